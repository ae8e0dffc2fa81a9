"""Faults on purpose: plain values that a test appends to `server.faults`.

A fault hits the first `times` events that match it and is then spent: with `times=1` the first
training Sandbox is evicted and its retry is not.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Literal

from grpclib import Status

Kind = Literal[
    "evicted",  # the worker is lost: internal failure with exit code 0, nothing committed
    "hung",  # the command dies, but the Sandbox stays "running" until its timeout
    "oom",  # the kernel kills the container for memory: exit code 137, KERNEL_OOM_KILL
    "terminated",  # another client terminates it: 137
    "timeout",  # its time is up at once: 124
    "init",  # the container cannot start: exit code 1, no output
    "unschedulable",  # finished before it was ever scheduled (first backend: create raises)
    "pending",  # never scheduled; only terminate() ends it
    "uncommitted",  # all looks well, `sync` too, but its Volume writes are lost
]


@dataclass
class SandboxFault:
    """A bad end of a Sandbox.

    `match` is a part of the command or of `key=value` of the tags ("" matches every Sandbox). The
    fault comes `after` seconds from the start of the command, and not before the command has
    `printed` a text.
    """

    kind: Kind
    match: str = ""
    times: int = 1
    after: float = 0.0
    printed: str = ""


@dataclass
class RpcFault:
    """An RPC that is slow by `delay` seconds, fails with `status`, or both.

    `name` is that of the protocol, for example "SandboxListV2".
    """

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
    """All faults still to come, and two delays in seconds."""

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
