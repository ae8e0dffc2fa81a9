"""Run context: what creating Sandboxes and collecting their results have in common."""

from __future__ import annotations

from dataclasses import dataclass, field

from .costs import Budget
from .session import Session


@dataclass(frozen=True)
class RunContext:
    """The run that a Sandbox belongs to."""

    session: Session
    run_id: str
    """Name of the runs in this working directory; a tag of every Sandbox."""
    budget: Budget
    memory_exceeded: dict[str, int] = field(default_factory=dict)
    """Job key -> MiB of the last attempt that ran out of memory."""
