"""RPCs about all but Volumes and Sandboxes: greeting, Apps, Secrets, mounts, images, rates."""

from __future__ import annotations

import asyncio
import hashlib
import time

from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal_proto import api_pb2

from .ids import new_id, web_token
from .world import Image, Result, World

BUILDER = "2025.06"  # the image builder version of the environment


class Objects:
    """Answers for a World."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def ClientHello(self, request: Empty) -> api_pb2.ClientHelloResponse:
        return api_pb2.ClientHelloResponse(image_builder_version=BUILDER)

    async def AuthTokenGet(self, request) -> api_pb2.AuthTokenGetResponse:
        return api_pb2.AuthTokenGetResponse(token=web_token())

    async def WorkspaceNameLookup(self, request: Empty) -> api_pb2.WorkspaceNameLookupResponse:
        return api_pb2.WorkspaceNameLookupResponse(workspace_name="local", username="local")

    async def WorkspaceBillingRates(self, request) -> api_pb2.WorkspaceBillingRatesResponse:
        if not self.world.rates:
            raise GRPCError(Status.PERMISSION_DENIED, "billing rates are not available to you")
        return api_pb2.WorkspaceBillingRatesResponse(rates=self.world.rates)

    async def EnvironmentGetOrCreate(self, request) -> api_pb2.EnvironmentGetOrCreateResponse:
        settings = api_pb2.EnvironmentSettings(image_builder_version=BUILDER)
        name = request.deployment_name or "main"
        metadata = api_pb2.EnvironmentMetadata(name=name, settings=settings)
        return api_pb2.EnvironmentGetOrCreateResponse(environment_id="en-main", metadata=metadata)

    # Apps

    async def AppGetOrCreate(self, request) -> api_pb2.AppGetOrCreateResponse:
        apps, name = self.world.apps, request.app_name
        if name not in apps:
            if request.object_creation_type != api_pb2.OBJECT_CREATION_TYPE_CREATE_IF_MISSING:
                raise GRPCError(Status.NOT_FOUND, f"App '{name}' not found in environment 'main'")
            apps[name] = new_id("ap")
        metadata = api_pb2.AppHandleMetadata(
            description=name, app_id=apps[name], environment_name="main"
        )
        return api_pb2.AppGetOrCreateResponse(app_id=apps[name], handle_metadata=metadata)

    async def AppStop(self, request) -> Empty:
        return Empty()

    # Secrets

    async def SecretGetOrCreate(self, request) -> api_pb2.SecretGetOrCreateResponse:
        name, values = request.deployment_name, dict(request.env_dict)
        kind = request.object_creation_type
        known = next((s for s in self.world.secrets.values() if name and s.name == name), None)
        if kind == api_pb2.OBJECT_CREATION_TYPE_UNSPECIFIED:
            if known is None:
                message = f"Secret '{name}' not found in environment 'main'"
                raise GRPCError(Status.NOT_FOUND, message)
            missing = [key for key in request.required_keys if key not in known.values]
            if missing:
                message = f"Secret '{name}' is missing required keys: {', '.join(missing)}"
                raise GRPCError(Status.NOT_FOUND, message)
        elif known and kind == api_pb2.OBJECT_CREATION_TYPE_CREATE_FAIL_IF_EXISTS:
            raise GRPCError(Status.ALREADY_EXISTS, f"Secret '{name}' already exists")
        elif not known or kind == api_pb2.OBJECT_CREATION_TYPE_CREATE_OVERWRITE_IF_EXISTS:
            known = self.world.secret(name, values)
        return api_pb2.SecretGetOrCreateResponse(
            secret_id=known.id, metadata=self._secret_metadata(known)
        )

    async def SecretGetInfo(self, request) -> api_pb2.SecretGetInfoResponse:
        secret = self.world.find("secrets", request.secret_id)
        return api_pb2.SecretGetInfoResponse(metadata=self._secret_metadata(secret))

    async def SecretList(self, request) -> api_pb2.SecretListResponse:
        if request.pagination.created_before:
            return api_pb2.SecretListResponse()
        items = [
            api_pb2.SecretListItem(
                label=secret.name, secret_id=secret.id, metadata=self._secret_metadata(secret)
            )
            for secret in self.world.secrets.values()
            if secret.name
        ]
        return api_pb2.SecretListResponse(items=items, environment_name="main")

    @staticmethod
    def _secret_metadata(secret) -> api_pb2.SecretMetadata:
        return api_pb2.SecretMetadata(
            name=secret.name, keys=sorted(secret.values), environment_name="main"
        )

    # Mounts: local files that travel with an image or a Sandbox

    async def MountBatchedCheckExistence(self, request):
        missing = [d for d in request.sha256_hex_hashes if not self.world.blob(d).exists()]
        return api_pb2.MountBatchedCheckExistenceResponse(missing_sha256_hex_hashes=missing)

    async def MountPutFile(self, request) -> api_pb2.MountPutFileResponse:
        path = self.world.blob(request.sha256_hex)
        if request.WhichOneof("data_oneof") == "data":
            digest = hashlib.sha256(request.data).hexdigest()
            if digest != request.sha256_hex:
                raise GRPCError(Status.INVALID_ARGUMENT, f"content has digest {digest}")
            path.write_bytes(request.data)
        elif request.data_blob_id:
            self.world.blob(request.data_blob_id).replace(path)
        return api_pb2.MountPutFileResponse(exists=path.exists())

    async def MountGetOrCreate(self, request) -> api_pb2.MountGetOrCreateResponse:
        if request.deployment_name and not request.files:
            # Modal's client and standalone Pythons, mounted into images by name.
            return api_pb2.MountGetOrCreateResponse(mount_id=new_id("mo"))
        files = {f.filename: (f.sha256_hex, f.mode or 0o644) for f in request.files}
        mount_id = new_id("mo")
        self.world.mounts[mount_id] = files
        content = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
        metadata = api_pb2.MountHandleMetadata(content_checksum_sha256_hex=content)
        return api_pb2.MountGetOrCreateResponse(mount_id=mount_id, handle_metadata=metadata)

    async def BlobCreate(self, request) -> api_pb2.BlobCreateResponse:
        blob_id = new_id("bl")
        urls = api_pb2.UploadUrlList(items=[f"{self.world.http}/blob/{blob_id}"])
        return api_pb2.BlobCreateResponse(blob_ids=[blob_id], upload_urls=urls)

    # Images

    async def ImageGetOrCreate(self, request) -> api_pb2.ImageGetOrCreateResponse:
        definition = request.image
        bases = tuple(base.image_id for base in definition.base_images)
        mounted = sorted(self.world.mounts.get(definition.context_mount_id, {}).items())
        key = api_pb2.Image()
        key.CopyFrom(definition)
        key.context_mount_id = repr(mounted)
        content = key.SerializeToString(deterministic=True) + request.builder_version.encode()
        id_ = "im-" + hashlib.sha256(content).hexdigest()[:22]
        image = self.world.images.get(id_)
        if image is None:
            below = [self.world.images[base] for base in bases]
            image = Image(
                id=id_,
                commands=tuple(definition.dockerfile_commands),
                files={file.filename: file.data for file in definition.context_files},
                bases=bases,
                mount_id=definition.context_mount_id,
                secrets=tuple(self.world.secrets[s].name for s in definition.secret_ids),
                chain=tuple(layer for base in below for layer in (*base.chain, base)),
            )
            self.world.images[id_] = image
        failed = image.result and image.result.status == Result.GENERIC_STATUS_FAILURE
        if failed or request.force_build:
            image.result = None
        return api_pb2.ImageGetOrCreateResponse(image_id=id_, result=image.result)

    async def ImageJoinStreaming(self, request):
        image = self.world.find("images", request.image_id)
        if image.result is None:
            await asyncio.sleep(self.world.faults.build_seconds)
        if image.result is None:
            image.builds += 1
            fault = self.world.faults.image(image.text)
            image.log = "".join(f"=> {command}\n" for command in image.commands)
            image.result = Result(status=Result.GENERIC_STATUS_SUCCESS)
            if fault:
                image.log += fault.message + "\n"
                image.result = Result(status=Result.GENERIC_STATUS_FAILURE, exception=fault.message)
        line = api_pb2.TaskLogs(
            data=image.log, file_descriptor=api_pb2.FILE_DESCRIPTOR_STDOUT, timestamp=time.time()
        )
        yield api_pb2.ImageJoinStreamingResponse(task_logs=[line], entry_id="1")
        yield api_pb2.ImageJoinStreamingResponse(result=image.result, entry_id="2", eof=True)

    async def ImageFromId(self, request) -> api_pb2.ImageFromIdResponse:
        return api_pb2.ImageFromIdResponse(image_id=self.world.find("images", request.image_id).id)
