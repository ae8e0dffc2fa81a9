"""RPCs of the control plane about Sandboxes, for both backends, and the `sync` of their Volumes.

The client uses the first backend when a GPU is asked for (create, then wait until a task exists)
and the second otherwise (create answers at once). Here both are the same, distinguished by id.
"""

from __future__ import annotations

import asyncio
import time

from aiohttp import web
from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal_proto import api_pb2

from .container import Containers
from .ids import sandbox_ids
from .world import Sandbox, World


class SandboxService:
    """Answers for the Sandboxes of a World."""

    def __init__(self, world: World, containers: Containers) -> None:
        self.world = world
        self.containers = containers

    # Creation

    async def SandboxCreate(self, request) -> api_pb2.SandboxCreateResponse:
        sandbox = self._create(request, backend=1, env={}, secret_ids=request.definition.secret_ids)
        return api_pb2.SandboxCreateResponse(
            sandbox_id=sandbox.id, metadata=self._metadata(sandbox)
        )

    async def SandboxCreateV2(self, request) -> api_pb2.SandboxCreateV2Response:
        env: dict[str, str] = {}
        secret_ids = []
        for source in request.secret_sources:
            if source.WhichOneof("source") == "secret_id":
                secret_ids.append(source.secret_id)
            else:
                env.update(source.env.contents)
        sandbox = self._create(request, backend=2, env=env, secret_ids=secret_ids)
        access = api_pb2.CommandRouterAccess(url=self.world.grpc, jwt=self.world.access)
        return api_pb2.SandboxCreateV2Response(
            sandbox_id=sandbox.id,
            task_id=sandbox.task_id,
            metadata=self._metadata(sandbox),
            command_router_access=access,
        )

    def _create(self, request, *, backend: int, env: dict[str, str], secret_ids) -> Sandbox:
        definition, resources = request.definition, request.definition.resources
        gpu = resources.gpu_config.gpu_type
        if gpu and gpu not in self.world.gpus:
            raise GRPCError(Status.INVALID_ARGUMENT, f"Unknown GPU type '{gpu}'")
        if not 0 < definition.timeout_secs <= 24 * 3600:
            message = "Sandbox timeout must be between 1 second and 24 hours"
            raise GRPCError(Status.INVALID_ARGUMENT, message)
        name = definition.name
        alive = (s for s in self.world.sandboxes.values() if s.result is None)
        if name and any(s.name == name and s.app_id == request.app_id for s in alive):
            raise GRPCError(Status.ALREADY_EXISTS, f"Sandbox with name '{name}' already exists")
        secrets = [self.world.find("secrets", secret_id) for secret_id in secret_ids]
        values = {key: value for secret in secrets for key, value in secret.values.items()}
        id_, task_id = sandbox_ids(backend)
        sandbox = Sandbox(
            id=id_,
            task_id=task_id,
            backend=backend,
            app_id=request.app_id,
            name=name,
            command=tuple(definition.entrypoint_args),
            image=self.world.find("images", definition.image_id),
            gpu=gpu,
            gpu_count=resources.gpu_config.count if gpu else 0,
            cpu=resources.milli_cpu / 1000,
            cpu_limit=resources.milli_cpu_max / 1000,
            memory=resources.memory_mb,
            memory_limit=resources.memory_mb_max,
            timeout=definition.timeout_secs,
            workdir=definition.workdir,
            tags={tag.tag_name: tag.tag_value for tag in request.tags},
            env={**values, **env},
            secrets=tuple(secret.name for secret in secrets if secret.name),
            volumes={
                mount.mount_path: self.world.find("volumes", mount.volume_id).name
                for mount in definition.volume_mounts
            },
            folder=self.world.root / "sandboxes" / id_,
            created=time.time(),
            definition=definition,
        )
        self.world.sandboxes[id_] = sandbox
        self.containers.launch(sandbox)
        return sandbox

    # Looking

    async def SandboxWait(self, request) -> api_pb2.SandboxWaitResponse:
        sandbox = self.world.find("sandboxes", request.sandbox_id)
        if sandbox.result is None and request.timeout > 0:
            ended = asyncio.ensure_future(sandbox.finished.wait())
            await asyncio.wait({ended}, timeout=request.timeout)
            ended.cancel()
        return api_pb2.SandboxWaitResponse(result=sandbox.result, metadata=self._metadata(sandbox))

    async def SandboxGetTaskId(self, request) -> api_pb2.SandboxGetTaskIdResponse:
        sandbox = self.world.find("sandboxes", request.sandbox_id)
        if sandbox.started is not None:
            return api_pb2.SandboxGetTaskIdResponse(task_id=sandbox.task_id)
        if sandbox.result is not None:
            return api_pb2.SandboxGetTaskIdResponse(task_result=sandbox.result)
        return api_pb2.SandboxGetTaskIdResponse()

    async def SandboxListV2(self, request) -> api_pb2.SandboxListResponse:
        wanted = {tag.tag_name: tag.tag_value for tag in request.tags}
        before = request.before_timestamp or float("inf")
        matching = [
            sandbox
            for sandbox in self.world.sandboxes.values()
            if sandbox.created < before
            and request.app_id in ("", sandbox.app_id)
            and wanted.items() <= sandbox.tags.items()
            and (request.include_finished or sandbox.result is None)
        ]
        matching.sort(key=lambda sandbox: sandbox.created, reverse=True)
        page = [self._info(sandbox) for sandbox in matching[: self.world.page]]
        return api_pb2.SandboxListResponse(sandboxes=page)

    async def SandboxGetFromNameV2(self, request) -> api_pb2.SandboxGetFromNameResponse:
        app_id = self.world.apps.get(request.app_name)
        for sandbox in reversed(self.world.sandboxes.values()):
            known = (sandbox.app_id, sandbox.name) == (app_id, request.sandbox_name)
            if known and (request.include_terminated or sandbox.result is None):
                return api_pb2.SandboxGetFromNameResponse(
                    sandbox_id=sandbox.id, metadata=self._metadata(sandbox)
                )
        raise GRPCError(Status.NOT_FOUND, f"No running Sandbox named '{request.sandbox_name}'")

    async def SandboxTagsGet(self, request) -> api_pb2.SandboxTagsGetResponse:
        sandbox = self.world.find("sandboxes", request.sandbox_id)
        return api_pb2.SandboxTagsGetResponse(tags=_tags(sandbox))

    # Acting

    async def SandboxTagsSet(self, request) -> Empty:
        sandbox = self.world.find("sandboxes", request.sandbox_id)
        sandbox.tags = {tag.tag_name: tag.tag_value for tag in request.tags}
        return Empty()

    async def SandboxTerminate(self, request) -> api_pb2.SandboxTerminateResponse:
        sandbox = self.world.find("sandboxes", request.sandbox_id)
        existing = sandbox.result
        self.containers.terminate(sandbox)
        return api_pb2.SandboxTerminateResponse(existing_result=existing)

    async def SandboxStdinWrite(self, request) -> api_pb2.SandboxStdinWriteResponse:
        sandbox = self.world.find("sandboxes", request.sandbox_id)
        await write_stdin(sandbox.process, request.input, request.eof)
        return api_pb2.SandboxStdinWriteResponse()

    async def SandboxGetCommandRouterAccess(self, request):
        return api_pb2.SandboxGetCommandRouterAccessResponse(
            url=self.world.grpc, jwt=self.world.access
        )

    async def TaskGetCommandRouterAccess(self, request):
        return api_pb2.TaskGetCommandRouterAccessResponse(
            url=self.world.grpc, jwt=self.world.access
        )

    SandboxWaitV2 = SandboxWait
    SandboxGetTaskIdV2 = SandboxGetTaskId
    SandboxList = SandboxListV2
    SandboxGetFromName = SandboxGetFromNameV2
    SandboxTagsGetV2 = SandboxTagsGet
    SandboxTagsSetV2 = SandboxTagsSet
    SandboxTerminateV2 = SandboxTerminate

    # HTTP

    def routes(self) -> list[web.RouteDef]:
        """The route of `sync`."""
        return [web.post("/sync/{id}", self.sync)]

    async def sync(self, request: web.Request) -> web.Response:
        """Commit Volumes on behalf of a running command."""
        sandbox = self.world.sandboxes[request.match_info["id"]]
        paths = (await request.text()).split("\n")
        return web.Response(text=await self.containers.sync(sandbox, [p for p in paths if p]))

    @staticmethod
    def _metadata(sandbox: Sandbox) -> api_pb2.SandboxHandleMetadata:
        return api_pb2.SandboxHandleMetadata(app_id=sandbox.app_id, result=sandbox.result)

    def _info(self, sandbox: Sandbox) -> api_pb2.SandboxInfo:
        task = api_pb2.TaskInfo(
            id=sandbox.task_id,
            started_at=sandbox.started or 0,
            enqueued_at=sandbox.created,
            result=sandbox.result,
            sandbox_id=sandbox.id,
        )
        return api_pb2.SandboxInfo(
            id=sandbox.id,
            created_at=sandbox.created,
            task_info=task,
            app_id=sandbox.app_id,
            tags=_tags(sandbox),
            name=sandbox.name,
            image_id=sandbox.image.id,
            timeout_secs=int(sandbox.timeout),
            metadata=self._metadata(sandbox),
        )


def _tags(sandbox: Sandbox) -> list[api_pb2.SandboxTag]:
    return [
        api_pb2.SandboxTag(tag_name=key, tag_value=value) for key, value in sandbox.tags.items()
    ]


async def write_stdin(process: asyncio.subprocess.Process | None, data: bytes, eof: bool) -> None:
    """Feed a process; a process that is gone is the client's error FAILED_PRECONDITION."""
    if process is None or process.returncode is not None:
        raise GRPCError(Status.FAILED_PRECONDITION, "the process is not running")
    process.stdin.write(data)
    await process.stdin.drain()
    if eof:
        process.stdin.close()
