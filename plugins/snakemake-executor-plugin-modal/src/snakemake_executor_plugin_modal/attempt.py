"""One try of one job in one Sandbox, from submission to its last line."""

from __future__ import annotations

import enum
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .causes import Cause
from .session import exchange
from .task import Task


class Phase(enum.Enum):
    """Where an attempt stands."""

    LAUNCHING = "launching"
    RUNNING = "running"
    COLLECTING = "collecting"
    """Its Sandbox has ended; its results are being fetched."""
    ENDED = "ended"
    """Reported, whether it ended well or not."""


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended; `cause` is None if it ended well."""

    cause: Cause | None = None
    log: Path | None = None


@dataclass(eq=False)
class Attempt:
    """What is known of one attempt. Written by the pool's loop, read by everybody."""

    task: Task
    report: Callable[[Outcome], None] = lambda outcome: None
    """Told how it ended; called once, in a thread."""
    try_complete: Callable[[], bool] | None = None
    """The hook, bound to this job; called in a thread."""
    phase: Phase = Phase.LAUNCHING
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    sandbox: Any = None
    sandbox_id: str = ""
    memory_mib: int = 0
    """What it was given; more than asked for after an out-of-memory end."""
    created: float = 0.0
    started: str = ""

    def begin(self, sandbox: Any) -> None:
        """It has a Sandbox now."""
        self.sandbox, self.sandbox_id = sandbox, sandbox.object_id
        self.created, self.started = time.time(), datetime.now(UTC).isoformat(timespec="seconds")
        self.phase = Phase.RUNNING

    def folder(self, run: str) -> str:
        """Its folder on the main Volume."""
        return exchange("jobs", run, f"{self.task.key}-{self.id}")

    def log_file(self, folder: Path) -> Path:
        """Where its log is kept on this machine if it fails."""
        from .task import file_name

        return folder / f"{file_name(self.task.name)}-attempt{self.task.number}.log"
