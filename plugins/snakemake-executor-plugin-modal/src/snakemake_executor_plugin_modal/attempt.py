"""An attempt: one try of a job in one Sandbox, from submission to its last line."""

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
from .settings import exchange
from .task import Task, file_name


class Phase(enum.Enum):
    """State of an attempt."""

    LAUNCHING = "launching"
    RUNNING = "running"
    COLLECTING = "collecting"
    """Its Sandbox has ended; its results are being fetched."""
    ENDED = "ended"
    """Reported as done or failed."""


@dataclass(frozen=True)
class Outcome:
    """End of an attempt; `cause` is None if it ended well."""

    cause: Cause | None = None
    log: Path | None = None


@dataclass(eq=False)
class Attempt:
    """State of one attempt. The pool's loop writes it, every thread reads it."""

    task: Task
    report: Callable[[Outcome], None] = lambda outcome: None
    """Called once with the end of the attempt, in a thread."""
    try_complete: Callable[[], bool] | None = None
    """The hook, bound to this job; called in a thread."""
    phase: Phase = Phase.LAUNCHING
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    sandbox: Any = None
    sandbox_id: str = ""
    memory_mib: int = 0
    """Memory of its Sandbox; more than its rule declares after an out-of-memory end."""
    created: float = 0.0
    """Seconds since the epoch."""
    started: str = ""
    """The same moment in ISO format, UTC."""

    def begin(self, sandbox: Any) -> None:
        """Take note of its Sandbox and the time."""
        self.sandbox, self.sandbox_id = sandbox, sandbox.object_id
        self.created, self.started = time.time(), datetime.now(UTC).isoformat(timespec="seconds")
        self.phase = Phase.RUNNING

    def folder(self, run_id: str) -> str:
        """Its folder on the main Volume."""
        return exchange("jobs", run_id, f"{self.task.key}-{self.id}")

    def log_file(self, folder: Path) -> Path:
        """The file below `folder` that keeps its log if it fails."""
        return folder / f"{file_name(self.task.name)}-attempt{self.task.number}.log"
