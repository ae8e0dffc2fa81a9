"""Output of Sandboxes: followed while it grows, or fetched afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from modal_proto import api_pb2

from .world import Sandbox, World

LOOK_SECONDS = 0.02  # between two looks at a growing file
STREAMS = {"stdout": api_pb2.FILE_DESCRIPTOR_STDOUT, "stderr": api_pb2.FILE_DESCRIPTOR_STDERR}


class LogService:
    """The control-plane RPCs about the output of a World's Sandboxes."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def SandboxGetLogs(self, request):
        sandbox = self.world.find("sandboxes", request.sandbox_id)
        stdout = request.file_descriptor == api_pb2.FILE_DESCRIPTOR_STDOUT
        path = sandbox.folder / ("stdout" if stdout else "stderr")
        read = int(request.last_entry_id or 0)
        async for chunk, read in follow(path, sandbox.finished, read):  # noqa: B020
            line = api_pb2.TaskLogs(
                data=chunk.decode(errors="replace"), file_descriptor=request.file_descriptor
            )
            yield api_pb2.TaskLogsBatch(items=[line], entry_id=str(read), task_id=sandbox.task_id)
        yield api_pb2.TaskLogsBatch(entry_id=str(read), eof=True)

    async def AppFetchLogs(self, request) -> api_pb2.AppFetchLogsResponse:
        batches = []
        for sandbox in self.world.sandboxes.values():
            wanted = request.task_id in ("", sandbox.task_id) and sandbox.app_id == request.app_id
            if wanted and sandbox.started and sandbox.started < request.until.ToSeconds() + 1:
                items = _lines(sandbox, request.source)[-request.limit :]
                batches.append(api_pb2.TaskLogsBatch(items=items, task_id=sandbox.task_id))
        return api_pb2.AppFetchLogsResponse(batches=batches)


def _lines(sandbox: Sandbox, source: int) -> list[api_pb2.TaskLogs]:
    """The lines of both streams or of the `source`; their times give an order, no durations."""
    lines = []
    for stream, descriptor in STREAMS.items():
        if source in (api_pb2.FILE_DESCRIPTOR_UNSPECIFIED, descriptor):
            for text in getattr(sandbox, stream).splitlines(keepends=True):
                moment = int(sandbox.started * 1e9) + len(lines)
                lines.append(
                    api_pb2.TaskLogs(data=text, file_descriptor=descriptor, timestamp_ns=moment)
                )
    return lines


async def follow(
    path: Path, finished: asyncio.Event, offset: int
) -> AsyncIterator[tuple[bytes, int]]:
    """Yield (new bytes, offset after them) of a growing file until its writer has `finished`."""
    while True:
        last = finished.is_set()
        if path.exists():
            with path.open("rb") as file:
                file.seek(offset)
                while chunk := file.read(1 << 20):
                    offset += len(chunk)
                    yield chunk, offset
        if last:
            return
        ended = asyncio.ensure_future(finished.wait())
        await asyncio.wait({ended}, timeout=LOOK_SECONDS)
        ended.cancel()
