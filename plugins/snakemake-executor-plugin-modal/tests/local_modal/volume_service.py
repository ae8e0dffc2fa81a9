"""RPCs about Volumes (version 2), and the plain HTTP through which their blocks travel."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from pathlib import Path
from urllib.parse import quote

from aiohttp import web
from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal_proto import api_pb2

from .volumes import ASIDE, Volume, replace
from .world import World

BLOCK = 8 << 20  # bytes per block of a Volume file


class VolumeService:
    """Answers for the Volumes of a World."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def VolumeGetOrCreate(self, request) -> api_pb2.VolumeGetOrCreateResponse:
        name = request.deployment_name
        known = next((v for v in self.world.volumes.values() if v.name == name), None)
        if known is None:
            if request.object_creation_type == api_pb2.OBJECT_CREATION_TYPE_UNSPECIFIED:
                message = f"Volume '{name}' not found in environment 'main'"
                raise GRPCError(Status.NOT_FOUND, message)
            known = self.world.volume(name or "anonymous", request.version or 2)
        elif request.object_creation_type == api_pb2.OBJECT_CREATION_TYPE_CREATE_FAIL_IF_EXISTS:
            raise GRPCError(Status.ALREADY_EXISTS, f"Volume '{name}' already exists")
        return api_pb2.VolumeGetOrCreateResponse(
            volume_id=known.id, version=known.version, metadata=self._metadata(known)
        )

    async def VolumeGetById(self, request) -> api_pb2.VolumeGetByIdResponse:
        volume = self.world.find("volumes", request.volume_id)
        return api_pb2.VolumeGetByIdResponse(volume_id=volume.id, metadata=self._metadata(volume))

    async def VolumeList(self, request) -> api_pb2.VolumeListResponse:
        if request.pagination.created_before:
            return api_pb2.VolumeListResponse()
        items = [
            api_pb2.VolumeListItem(label=v.name, volume_id=v.id, metadata=self._metadata(v))
            for v in self.world.volumes.values()
        ]
        return api_pb2.VolumeListResponse(items=items, environment_name="main")

    async def VolumeDelete(self, request) -> Empty:
        volume = self.world.find("volumes", request.volume_id)
        del self.world.volumes[volume.id]
        await asyncio.to_thread(shutil.rmtree, volume.folder)
        return Empty()

    async def VolumeCommit(self, request):
        raise GRPCError(Status.FAILED_PRECONDITION, "commit() works inside a container only")

    async def VolumeReload(self, request):
        raise GRPCError(Status.FAILED_PRECONDITION, "reload() works inside a container only")

    async def VolumeListFiles2(self, request):
        volume = self.world.find("volumes", request.volume_id)
        entries = await asyncio.to_thread(self._entries, volume, request.path, request.recursive)
        for start in range(0, len(entries), 1000):
            yield api_pb2.VolumeListFiles2Response(entries=entries[start : start + 1000])

    async def VolumeGetFile2(self, request) -> api_pb2.VolumeGetFile2Response:
        volume = self.world.find("volumes", request.volume_id)
        path = self._inside(volume, request.path)
        if not path.is_file():
            raise GRPCError(Status.NOT_FOUND, f"No such file: '{request.path}'")
        size = path.stat().st_size
        length = request.len or size - request.start
        first, last = request.start // BLOCK, -(-(request.start + length) // BLOCK)
        where = f"{self.world.http}/volume/{volume.id}/{quote(request.path.strip('/'))}"
        urls = []
        for block in range(first, last):
            begin = max(block * BLOCK, request.start)
            end = min((block + 1) * BLOCK, request.start + length)
            urls.append(f"{where}?begin={begin}&end={end}")
        return api_pb2.VolumeGetFile2Response(
            get_urls=urls, size=size, start=request.start, len=length
        )

    async def VolumePutFiles2(self, request) -> api_pb2.VolumePutFiles2Response:
        volume = self.world.find("volumes", request.volume_id)
        missing = []
        for at, file in enumerate(request.files):
            exists = self._inside(volume, file.path).exists()
            if exists and request.disallow_overwrite_existing_files:
                raise GRPCError(Status.ALREADY_EXISTS, f"'{file.path}' already exists")
            for number, block in enumerate(file.blocks):
                digest = block.contents_sha256.hex()
                if not self.world.blob(digest).exists():
                    missing.append(
                        api_pb2.VolumePutFiles2Response.MissingBlock(
                            file_index=at,
                            block_index=number,
                            put_url=f"{self.world.http}/block/{digest}",
                        )
                    )
        if not missing:
            await asyncio.to_thread(self._assemble, volume, request.files)
        return api_pb2.VolumePutFiles2Response(missing_blocks=missing)

    async def VolumeRemoveFile2(self, request) -> Empty:
        volume = self.world.find("volumes", request.volume_id)
        await asyncio.to_thread(self._remove, volume, request.path, request.recursive)
        return Empty()

    async def VolumeCopyFiles2(self, request) -> Empty:
        volume = self.world.find("volumes", request.volume_id)
        await asyncio.to_thread(self._copy, volume, request.src_paths, request.dst_path)
        return Empty()

    # HTTP

    def routes(self) -> list[web.RouteDef]:
        """The routes of uploads and downloads."""
        return [
            web.put("/block/{digest}", self.put_block),
            web.put("/blob/{id}", self.put_blob),
            web.get("/volume/{id}/{path:.*}", self.get_range),
        ]

    async def put_block(self, request: web.Request) -> web.Response:
        """Take a block of a Volume file; refused if its digest is another than that of the URL."""
        content = await request.read()
        digest = hashlib.sha256(content).hexdigest()
        if digest != request.match_info["digest"]:
            raise web.HTTPBadRequest(text=f"the block has digest {digest}")
        self.world.blob(digest).write_bytes(content)
        return web.Response(text=digest)

    async def put_blob(self, request: web.Request) -> web.Response:
        """Take a large file of a mount."""
        content = await request.read()
        self.world.blob(request.match_info["id"]).write_bytes(content)
        return web.Response(headers={"ETag": hashlib.md5(content).hexdigest()})

    async def get_range(self, request: web.Request) -> web.Response:
        """Hand out the bytes `begin` to `end` of a Volume file."""
        volume = self.world.volumes[request.match_info["id"]]
        begin, end = int(request.query["begin"]), int(request.query["end"])
        with self._inside(volume, request.match_info["path"]).open("rb") as file:
            file.seek(begin)
            return web.Response(body=file.read(end - begin))

    # Files

    @staticmethod
    def _metadata(volume: Volume) -> api_pb2.VolumeMetadata:
        return api_pb2.VolumeMetadata(version=volume.version, name=volume.name)

    @staticmethod
    def _inside(volume: Volume, path: str) -> Path:
        return volume.folder / path.strip("/")

    def _entries(self, volume: Volume, path: str, recursive: bool) -> list[api_pb2.FileEntry]:
        start = self._inside(volume, path)
        with volume.lock:
            if not start.exists():
                raise GRPCError(Status.NOT_FOUND, f"No such file or directory: '{path}'")
            if start.is_file():
                paths = [start]
            else:
                paths = sorted(start.rglob("*") if recursive else start.iterdir())
            return [self._entry(volume, each) for each in paths]

    @staticmethod
    def _entry(volume: Volume, path: Path) -> api_pb2.FileEntry:
        status = path.lstat()
        kind = api_pb2.FileEntry.FILE
        if path.is_symlink():
            kind = api_pb2.FileEntry.SYMLINK
        elif path.is_dir():
            kind = api_pb2.FileEntry.DIRECTORY
        return api_pb2.FileEntry(
            path=str(path.relative_to(volume.folder)),
            type=kind,
            mtime=int(status.st_mtime),
            size=status.st_size,
        )

    def _assemble(self, volume: Volume, files) -> None:
        with volume.lock:
            for file in files:
                target = self._inside(volume, file.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                aside = target.with_name(f".{target.name}{ASIDE}")
                with aside.open("wb") as out:
                    for number, block in enumerate(file.blocks):
                        out.seek(number * BLOCK)  # blocks come without their trailing zeros
                        out.write(self.world.blob(block.contents_sha256.hex()).read_bytes())
                    out.truncate(file.size)
                aside.chmod(file.mode or 0o644)
                aside.replace(target)

    def _remove(self, volume: Volume, name: str, recursive: bool) -> None:
        path = self._inside(volume, name)
        with volume.lock:
            if path.is_dir() and not path.is_symlink():
                if not recursive:
                    message = f"'{name}' is a directory; remove it with recursive=True"
                    raise GRPCError(Status.INVALID_ARGUMENT, message)
                shutil.rmtree(path)
            elif path.exists() or path.is_symlink():
                path.unlink()
            else:
                raise GRPCError(Status.NOT_FOUND, f"No such file or directory: '{name}'")

    def _copy(self, volume: Volume, names, to: str) -> None:
        target = self._inside(volume, to)
        with volume.lock:
            for name in names:
                source = self._inside(volume, name)
                if not source.exists():
                    raise GRPCError(Status.NOT_FOUND, f"No such file or directory: '{name}'")
                place = target / source.name if target.is_dir() else target
                copy = shutil.copytree if source.is_dir() else replace
                copy(source, place)
