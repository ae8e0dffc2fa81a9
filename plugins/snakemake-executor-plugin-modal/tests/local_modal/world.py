"""State of the server, as plain records that tests may read at any time."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from grpclib import GRPCError, Status
from modal_proto import api_pb2

from .faults import Faults, SandboxFault
from .ids import new_id, web_token
from .paths import PathMap
from .volumes import View, Volume

GPUS = (
    *("T4", "L4", "A10", "A10G", "L40S", "A100", "A100-40GB", "A100-80GB"),
    *("RTX-PRO-6000", "H100", "H100!", "H200", "B200", "B200+"),
)

Result = api_pb2.GenericResult


@dataclass
class Image:
    """A layer of an image: its Dockerfile commands and the layers below, oldest first."""

    id: str
    commands: tuple[str, ...]
    files: dict[str, bytes]
    bases: tuple[str, ...]
    mount_id: str
    secrets: tuple[str, ...]
    chain: tuple[Image, ...]
    result: Result | None = None
    log: str = ""
    builds: int = 0

    @property
    def all_commands(self) -> list[str]:
        """The Dockerfile commands of the whole image, from its registry base up."""
        return [command for layer in self.chain for command in layer.commands] + list(self.commands)

    @property
    def text(self) -> str:
        """The commands and the files beside them (requirements, lock) as one text."""
        files = [content.decode(errors="replace") for content in self.files.values()]
        return "\n".join([*self.all_commands, *files])


@dataclass
class Secret:
    """A Secret; anonymous ones (of a dict) have no name."""

    id: str
    name: str
    values: dict[str, str]


@dataclass(eq=False)
class Sandbox:
    """A Sandbox from creation to end; times in seconds since the epoch, None until they come."""

    id: str
    task_id: str
    backend: int
    app_id: str
    name: str
    command: tuple[str, ...]
    image: Image
    gpu: str
    gpu_count: int
    cpu: float
    cpu_limit: float
    memory: int
    memory_limit: int
    timeout: float
    workdir: str
    tags: dict[str, str]
    env: dict[str, str]
    secrets: tuple[str, ...]
    volumes: dict[str, str]
    folder: Path
    created: float
    started: float | None = None
    ended: float | None = None
    result: Result | None = None
    definition: api_pb2.Sandbox = field(default_factory=api_pb2.Sandbox, repr=False)
    views: dict[str, tuple[Volume, View, str]] = field(default_factory=dict, repr=False)
    paths: PathMap | None = field(default=None, repr=False)
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    directory: Path | None = field(default=None, repr=False)
    scheduled: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    finished: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    stop: asyncio.Future | None = field(default=None, repr=False)
    process: asyncio.subprocess.Process | None = field(default=None, repr=False)
    fault: SandboxFault | None = None

    @property
    def state(self) -> str:
        """One of "pending", "running", "finished"."""
        if self.result is not None:
            return "finished"
        return "running" if self.started is not None else "pending"

    @property
    def returncode(self) -> int | None:
        """The exit code as Modal's client reports it."""
        if self.result is None:
            return None
        special = {Result.GENERIC_STATUS_TIMEOUT: 124, Result.GENERIC_STATUS_TERMINATED: 137}
        return special.get(self.result.status, self.result.exitcode)

    @property
    def status(self) -> str:
        """The result's status without its prefix ("SUCCESS", "KERNEL_OOM_KILL", ...), or ""."""
        if self.result is None:
            return ""
        return Result.GenericStatus.Name(self.result.status).removeprefix("GENERIC_STATUS_")

    @property
    def stdout(self) -> str:
        """The output of the command so far."""
        return self._printed("stdout")

    @property
    def stderr(self) -> str:
        """The error output of the command so far."""
        return self._printed("stderr")

    @property
    def text(self) -> str:
        """Command and tags as the text that faults are matched with."""
        return " ".join([*self.command, *(f"{key}={value}" for key, value in self.tags.items())])

    @property
    def fate(self) -> str:
        """The kind of the fault that hits it, "" if none does."""
        return self.fault.kind if self.fault else ""

    def _printed(self, stream: str) -> str:
        path = self.folder / stream
        return path.read_text(errors="replace") if path.exists() else ""


@dataclass
class World:
    """The state of a server. Only its event loop writes; `lock` guards what tests add."""

    root: Path
    python: str = sys.executable
    token: tuple[str, str] = ("ak-local", "as-local")
    access: str = field(default_factory=lambda: web_token(24 * 3600))
    image_environment: Mapping[str, str] = field(default_factory=dict)
    gpus: tuple[str, ...] = GPUS
    rates: dict[str, str] = field(default_factory=dict)
    page: int = 50
    http: str = ""
    grpc: str = ""
    faults: Faults = field(default_factory=Faults)
    apps: dict[str, str] = field(default_factory=dict)  # name -> id
    images: dict[str, Image] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
    volumes: dict[str, Volume] = field(default_factory=dict)
    mounts: dict[str, dict[str, tuple[str, int]]] = field(default_factory=dict)
    sandboxes: dict[str, Sandbox] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def volume(self, name: str, version: int = 2) -> Volume:
        """The Volume called `name`, made if it is missing."""
        with self.lock:
            for volume in self.volumes.values():
                if volume.name == name:
                    return volume
            folder = self.root / "volumes" / name
            folder.mkdir(parents=True, exist_ok=True)
            volume = Volume(new_id("vo"), name, folder, version)
            self.volumes[volume.id] = volume
            return volume

    def secret(self, name: str, values: Mapping[str, str]) -> Secret:
        """Define the Secret `name`, replacing an older one; without a name, an anonymous one."""
        with self.lock:
            secret = next((s for s in self.secrets.values() if name and s.name == name), None)
            secret = secret or Secret(new_id("st"), name, {})
            secret.values = dict(values)
            self.secrets[secret.id] = secret
            return secret

    def blob(self, digest: str) -> Path:
        """Where content with the sha256 `digest` (hex) is kept."""
        return self.root / "blobs" / digest

    def find(self, kind: str, id_: str):
        """The record `id_` of `kind` ("sandboxes", "volumes", ...), or the error NOT_FOUND."""
        record = getattr(self, kind).get(id_)
        if record is None:
            raise GRPCError(Status.NOT_FOUND, f"{kind[:-1].capitalize()} {id_} not found")
        return record
