"""What can go wrong on purpose: a fault is a plain value that a test appends to `server.faults`.

A fault hits the first `times` events that match it and is then spent, so a test reads as the story
it tells: "the first training Sandbox is evicted after 0.2 s, its retry is not".
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Literal

from grpclib import Status

Kind = Literal[
    "evicted",  # the worker is lost: internal failure with exit code 0, nothing committed
    "hung",  # the command dies, but the Sandbox stays "running" until its timeout
    "oom",  # the kernel kills the container for memory: exit code 137, its own status
    "terminated",  # somebody else terminates it: 137
    "timeout",  # its time is up at once: 124
    "init",  # the container cannot start: exit code 1, no output
    "unschedulable",  # finished before it was ever scheduled (first backend: create raises)
    "pending",  # never scheduled; only terminate() ends it
    "uncommitted",  # all looks well, `sync` too, but its Volume writes are lost
]


@dataclass
class SandboxFault:
    """One way for a Sandbox to end badly.

    `match` is looked for in the command and in `key=value` of the tags ("" matches every Sandbox);
    `after` is in seconds from the start of the command.
    """

    kind: Kind
    match: str = ""
    times: int = 1
    after: float = 0.0


@dataclass
class RpcFault:
    """One RPC (by its name in the protocol, e.g. "SandboxListV2") that is slow, fails, or both."""

    name: str
    status: Status | None = None
    message: str = "injected by the test"
    delay: float = 0.0
    times: int = 1


@dataclass
class ImageFault:
    """An image whose definition contains `match` does not build; `message` is its build error."""

    match: str
    message: str
    times: int = 1_000_000


@dataclass
class Faults:
    """All faults still to come, and the two delays that are no faults but matter in tests (s)."""

    sandboxes: list[SandboxFault] = field(default_factory=list)
    rpcs: list[RpcFault] = field(default_factory=list)
    images: list[ImageFault] = field(default_factory=list)
    scheduling_seconds: float = 0.0  # until a Sandbox of the first backend (with a GPU) is placed
    build_seconds: float = 0.0  # of an image that is not built yet
    sync_fails: int = 0  # how many of the next `sync <mountpoint>` calls fail
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def sandbox(self, text: str) -> SandboxFault | None:
        """The next fault for a Sandbox described by `text`; uses it up once."""
        return self._take(self.sandboxes, lambda fault: fault.match in text)

    def rpc(self, name: str) -> RpcFault | None:
        """The next fault for a call of the RPC `name`; uses it up once."""
        return self._take(self.rpcs, lambda fault: fault.name == name)

    def image(self, text: str) -> ImageFault | None:
        """The next fault for an image defined by `text`; uses it up once."""
        return self._take(self.images, lambda fault: fault.match in text)

    def sync(self) -> bool:
        """Whether this `sync` fails; uses one failure up."""
        with self._lock:
            if self.sync_fails <= 0:
                return False
            self.sync_fails -= 1
            return True

    def _take(self, faults: list, matches) -> object | None:
        with self._lock:
            for fault in faults:
                if fault.times > 0 and matches(fault):
                    fault.times -= 1
                    return fault
        return None
