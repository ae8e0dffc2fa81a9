"""Containers: a Sandbox's folders, its process, its end.

A Sandbox is one subprocess in a new session, on a private "container disk" that stands for `/root`,
`/tmp` and its working directory (see `paths`), with a view per Volume (see `volumes`). It inherits
nothing from the server's environment. `python` is this machine's interpreter; an image's packages
are not installed.
"""

from __future__ import annotations

import asyncio
import shlex
import shutil
import stat
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .paths import PathMap
from .processes import held_mib, kill
from .world import Result, Sandbox, World

SYNC = '#!/bin/sh\nexec {python} -SE {script} {url} "$@"\n'
SYNC_SCRIPT = Path(__file__).with_name("sync_client.py")
OWN = ("/root", "/tmp")  # always on the private disk
MEMORY_CHECK = 0.1  # seconds between two looks at a Sandbox with a memory limit
LOOK_SECONDS = 0.05  # between two looks at what a Sandbox has printed


def _end(status: str, code: int = 0, message: str = "") -> Result:
    return Result(
        status=Result.GenericStatus.Value(f"GENERIC_STATUS_{status}"),
        exitcode=code,
        exception=message,
    )


ENDS = {
    "evicted": _end("INTERNAL_FAILURE", 0, "The worker running this Sandbox was lost."),
    "oom": _end("KERNEL_OOM_KILL", 137, "Container killed: it ran out of memory."),
    "terminated": _end("TERMINATED", 137),
    "timeout": _end("TIMEOUT", 124),
    "init": _end("INIT_FAILURE", 1, "Container failed to start."),
}


class Containers:
    """Runs the Sandboxes of a World."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tasks: set[asyncio.Task] = set()

    def launch(self, sandbox: Sandbox) -> None:
        """Start `sandbox` in the background."""
        sandbox.stop = asyncio.get_running_loop().create_future()
        task = asyncio.get_running_loop().create_task(self._run(sandbox))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def terminate(self, sandbox: Sandbox, result: Result | None = None) -> None:
        """End `sandbox` as terminate() does, unless it has ended."""
        if not sandbox.stop.done():
            sandbox.stop.set_result(result or ENDS["terminated"])

    async def close(self) -> None:
        """End every Sandbox and wait for it."""
        for sandbox in list(self.world.sandboxes.values()):
            self.terminate(sandbox)
        if self.tasks:
            await asyncio.wait(set(self.tasks))

    async def sync(self, sandbox: Sandbox, paths: list[str]) -> str:
        """Commit the Volumes mounted at or above local `paths` (all, if none); the error or ""."""
        if sandbox.fate == "uncommitted":
            return ""
        for volume, view, below in sandbox.views.values():
            under = [path for path in paths if Path(path).is_relative_to(view.folder)]
            if paths and not under:
                continue
            if self.world.faults.sync():
                return "Input/output error"
            await asyncio.to_thread(volume.commit, view, below)
        return ""

    async def _run(self, sandbox: Sandbox) -> None:
        sandbox.fault = self.world.faults.sandbox(sandbox.text)
        try:
            result = await self._until_end(sandbox)
            if sandbox.fate not in ("evicted", "uncommitted"):
                await asyncio.to_thread(self._commit_all, sandbox)
        except Exception as error:
            result = _end("INTERNAL_FAILURE", 0, f"{type(error).__name__}: {error}")
        sandbox.ended = time.time()
        sandbox.result = result
        sandbox.scheduled.set()
        sandbox.finished.set()

    async def _until_end(self, sandbox: Sandbox) -> Result:
        if sandbox.fate == "unschedulable":
            return _end("INIT_FAILURE", 1, "No worker can run this Sandbox.")
        waiting = self.world.faults.scheduling_seconds if sandbox.backend == 1 else 0.0
        pending = sandbox.fate == "pending"
        if waiting or pending:
            await asyncio.wait({sandbox.stop}, timeout=None if pending else waiting)
            if sandbox.stop.done():
                return sandbox.stop.result()
        arguments = await asyncio.to_thread(self._prepare, sandbox)
        sandbox.started = time.time()
        sandbox.scheduled.set()
        if sandbox.fate == "init":
            return ENDS["init"]
        return await self._execute(sandbox, arguments)

    async def _execute(self, sandbox: Sandbox, arguments: list[str]) -> Result:
        with (
            (sandbox.folder / "stdout").open("wb") as out,
            (sandbox.folder / "stderr").open("wb") as err,
        ):
            try:
                process = await asyncio.create_subprocess_exec(
                    *arguments,
                    cwd=sandbox.directory,
                    env=sandbox.environment,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                )
            except OSError as error:
                err.write(f"{error}\n".encode())
                return _end("FAILURE", 127, str(error))
        sandbox.process = process
        exited = asyncio.ensure_future(process.wait())
        helpers = [asyncio.ensure_future(self._watch_memory(sandbox))]
        if sandbox.fate not in ("", "uncommitted"):
            helpers.append(asyncio.ensure_future(self._strike(sandbox)))
        try:
            hung = sandbox.fate == "hung"
            waits = {sandbox.stop} if hung else {sandbox.stop, exited}
            await asyncio.wait(waits, timeout=sandbox.timeout, return_when=asyncio.FIRST_COMPLETED)
            if sandbox.stop.done():
                return sandbox.stop.result()
            if not exited.done() or hung:
                return ENDS["timeout"]
            code = exited.result()
            code = 128 - code if code < 0 else code
            return _end("FAILURE" if code else "SUCCESS", code)
        finally:
            await asyncio.to_thread(kill, sandbox.id)
            await exited
            for helper in helpers:
                helper.cancel()

    async def _strike(self, sandbox: Sandbox) -> None:
        await asyncio.sleep(sandbox.fault.after)
        while sandbox.fault.printed not in sandbox.stdout:
            await asyncio.sleep(LOOK_SECONDS)
        if sandbox.fate == "hung":
            await asyncio.to_thread(kill, sandbox.id)
        else:
            self.terminate(sandbox, ENDS[sandbox.fate])

    async def _watch_memory(self, sandbox: Sandbox) -> None:
        """Kill a Sandbox whose processes hold more than its hard limit (MiB)."""
        while sandbox.memory_limit:
            await asyncio.sleep(MEMORY_CHECK)
            held = await asyncio.to_thread(held_mib, sandbox.id)
            if held > sandbox.memory_limit:
                self.terminate(sandbox, ENDS["oom"])
                return

    def _commit_all(self, sandbox: Sandbox) -> None:
        read_only = {m.mount_path for m in sandbox.definition.volume_mounts if m.read_only}
        for path, (volume, view, below) in sandbox.views.items():
            if path not in read_only:
                volume.commit(view, below)

    def _prepare(self, sandbox: Sandbox) -> list[str]:
        """Lay out the Sandbox's folders and environment; the arguments of its command."""
        disk, tools = sandbox.folder / "disk", sandbox.folder / "tools"
        tools.mkdir(parents=True)
        image_environment, image_workdir = _image_settings(sandbox.image.all_commands)
        workdir = sandbox.workdir or image_workdir or "/root"
        pairs = {path: disk / path[1:] for path in (*OWN, workdir) if path.rstrip("/")}
        for at, mount in enumerate(sandbox.definition.volume_mounts):
            volume = self.world.volumes[mount.volume_id]
            view = volume.mount(sandbox.folder / "mounts" / str(at), mount.sub_path)
            sandbox.views[mount.mount_path] = (volume, view, mount.sub_path)
            pairs[mount.mount_path] = view.folder
        for path, source, mode in self._mounted_files(sandbox):
            target = disk / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(mode)
            pairs.setdefault(path, target)
        paths = PathMap(pairs)
        directory = Path(paths.rewrite(workdir)) if workdir != "/" else disk
        for folder in (directory, disk / "root", disk / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        self._write_tools(sandbox, tools)
        environment = {
            "PATH": f"{tools}:{Path(self.world.python).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": "/root",
            "TMPDIR": "/tmp",
            "LANG": "C.UTF-8",
            "MODAL_SANDBOX_ID": sandbox.id,
            "MODAL_TASK_ID": sandbox.task_id,
            "MODAL_IMAGE_ID": sandbox.image.id,
            "MODAL_ENVIRONMENT": "main",
            **image_environment,
            **self.world.image_environment,
            **sandbox.env,
        }
        sandbox.paths, sandbox.directory = paths, directory
        sandbox.environment = {
            key: value if key == "PATH" else paths.rewrite(value)
            for key, value in environment.items()
        }
        return local_command(sandbox, sandbox.command or ("sleep", str(int(sandbox.timeout) + 1)))

    def _mounted_files(self, sandbox: Sandbox):
        """(container path, local content, mode) of every file added to the image."""
        for mount_id in sandbox.definition.mount_ids:
            for name, (digest, mode) in self.world.mounts.get(mount_id, {}).items():
                yield name, self.world.blob(digest), mode
        for layer in (*sandbox.image.chain, sandbox.image):
            for command in layer.commands:
                words = command.split()
                if len(words) == 3 and words[0] == "COPY" and words[1] == ".":
                    for name, (digest, mode) in self.world.mounts.get(layer.mount_id, {}).items():
                        place = f"{words[2].rstrip('/')}/{name.lstrip('/')}"
                        yield place, self.world.blob(digest), mode

    def _write_tools(self, sandbox: Sandbox, tools: Path) -> None:
        url = f"{self.world.http}/sync/{sandbox.id}"
        sync = SYNC.format(python=sys.executable, script=SYNC_SCRIPT, url=url)
        python = f'#!/bin/sh\nexec {shlex.quote(self.world.python)} "$@"\n'
        for name, text in {"sync": sync, "python": python, "python3": python}.items():
            (tools / name).write_text(text)
            (tools / name).chmod(stat.S_IRWXU)


def local_command(sandbox: Sandbox, command: Sequence[str]) -> list[str]:
    """`command` with local paths; the image's Python, at whatever path, is this machine's."""
    arguments = [sandbox.paths.rewrite(argument) for argument in command]
    if Path(arguments[0]).name.startswith("python") and not Path(arguments[0]).exists():
        arguments[0] = "python"
    program = shutil.which(arguments[0], path=sandbox.environment["PATH"])
    return [program or arguments[0], *arguments[1:]]


def _image_settings(commands: list[str]) -> tuple[dict[str, str], str]:
    """The environment and the working directory that an image's ENV and WORKDIR lines set."""
    environment: dict[str, str] = {}
    workdir = ""
    for command in commands:
        word, _, rest = command.partition(" ")
        if word == "ENV" and "=" in rest:
            for setting in shlex.split(rest):
                key, _, value = setting.partition("=")
                environment[key] = value
        elif word == "WORKDIR":
            workdir = rest.strip()
    environment.pop("PATH", None)  # of the image's Python, which is not here
    return environment, workdir
