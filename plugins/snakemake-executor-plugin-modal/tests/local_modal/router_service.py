"""The task command router: output and input of a running Sandbox, and commands run inside it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

from grpclib import GRPCError, Status
from modal_proto import task_command_router_pb2 as router_pb2

from .container import local_command
from .logs import follow
from .sandbox_service import write_stdin
from .world import Sandbox, World


@dataclass
class Exec:
    """A command started by exec() in a Sandbox; its output is in files below `folder`."""

    folder: Path
    process: asyncio.subprocess.Process
    finished: asyncio.Event = field(default_factory=asyncio.Event)


class RouterService:
    """Answers for the tasks of a World."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.execs: dict[str, Exec] = {}
        self.tasks: set[asyncio.Task] = set()

    # The command of the Sandbox itself

    async def SandboxStdioReadV2(self, request):
        sandbox = self._sandbox(request.task_id)
        error = request.file_descriptor == router_pb2.SANDBOX_STDIO_FILE_DESCRIPTOR_STDERR
        path = sandbox.folder / ("stderr" if error else "stdout")
        async for chunk, offset in follow(path, sandbox.finished, request.offset):
            yield router_pb2.SandboxStdioReadV2Response(
                data=chunk, starting_offset=offset - len(chunk)
            )

    async def SandboxStdinWriteV2(self, request) -> router_pb2.SandboxStdinWriteV2Response:
        await write_stdin(self._sandbox(request.task_id).process, request.data, request.eof)
        return router_pb2.SandboxStdinWriteV2Response()

    async def TaskReloadVolumes(self, request) -> router_pb2.TaskReloadVolumesResponse:
        for volume, view, below in self._sandbox(request.task_id).views.values():
            await asyncio.to_thread(volume.reload, view, below)
        return router_pb2.TaskReloadVolumesResponse()

    # Further commands

    async def TaskExecStart(self, request) -> router_pb2.TaskExecStartResponse:
        sandbox = self._sandbox(request.task_id)
        if sandbox.state != "running":
            raise GRPCError(Status.NOT_FOUND, f"Sandbox {sandbox.id} is not running")
        if request.exec_id in self.execs:  # a retry of a call whose answer was lost
            return router_pb2.TaskExecStartResponse()
        folder = sandbox.folder / "execs" / request.exec_id
        folder.mkdir(parents=True)
        environment = dict(sandbox.environment)
        for source in request.secret_sources:
            values = source.env.contents
            if source.WhichOneof("source") == "secret_id":
                values = self.world.find("secrets", source.secret_id).values
            environment |= {key: sandbox.paths.rewrite(value) for key, value in values.items()}
        directory = sandbox.directory
        if request.workdir:
            directory = Path(sandbox.paths.rewrite(request.workdir))
        with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
            process = await asyncio.create_subprocess_exec(
                *local_command(sandbox, request.command_args),
                cwd=directory,
                env=environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        run = self.execs[request.exec_id] = Exec(folder, process)
        task = asyncio.get_running_loop().create_task(
            self._follow(sandbox, run, request.timeout_secs)
        )
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return router_pb2.TaskExecStartResponse()

    async def TaskExecStdioRead(self, request):
        run = self._exec(request.exec_id)
        error = request.file_descriptor == router_pb2.TASK_EXEC_STDIO_FILE_DESCRIPTOR_STDERR
        path = run.folder / ("stderr" if error else "stdout")
        async for chunk, _ in follow(path, run.finished, request.offset):
            yield router_pb2.TaskExecStdioReadResponse(data=chunk)

    async def TaskExecStdinWrite(self, request) -> router_pb2.TaskExecStdinWriteResponse:
        await write_stdin(self._exec(request.exec_id).process, request.data, request.eof)
        return router_pb2.TaskExecStdinWriteResponse()

    async def TaskExecWait(self, request) -> router_pb2.TaskExecWaitResponse:
        run = self._exec(request.exec_id)
        await run.finished.wait()
        return router_pb2.TaskExecWaitResponse(**_exit_status(run.process.returncode))

    async def TaskExecPoll(self, request) -> router_pb2.TaskExecPollResponse:
        run = self._exec(request.exec_id)
        if not run.finished.is_set():
            return router_pb2.TaskExecPollResponse()
        return router_pb2.TaskExecPollResponse(**_exit_status(run.process.returncode))

    async def _follow(self, sandbox: Sandbox, run: Exec, timeout: int) -> None:
        exited = asyncio.ensure_future(run.process.wait())
        over = asyncio.ensure_future(sandbox.finished.wait())
        await asyncio.wait(
            {exited, over}, timeout=timeout or None, return_when=asyncio.FIRST_COMPLETED
        )
        over.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.process.pid, signal.SIGKILL)
        await exited
        run.finished.set()

    def _exec(self, exec_id: str) -> Exec:
        if exec_id not in self.execs:
            raise GRPCError(Status.NOT_FOUND, f"no command {exec_id}")
        return self.execs[exec_id]

    def _sandbox(self, task_id: str) -> Sandbox:
        for sandbox in self.world.sandboxes.values():
            if sandbox.task_id == task_id:
                return sandbox
        raise GRPCError(Status.NOT_FOUND, f"no task {task_id}")


def _exit_status(code: int) -> dict[str, int]:
    return {"signal": -code} if code < 0 else {"code": code}
