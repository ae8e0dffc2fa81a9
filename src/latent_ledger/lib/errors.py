"""Errors that the user reads, each in a single line.

A :class:`LedgerError` carries a single line of prose: the fault, its place, and the remedy. Jobs
print that line, write it into their run record, and exit with a code that is not zero. Any other
exception is a bug and keeps its traceback.
"""

from pathlib import Path


class LedgerError(Exception):
    """A fault that the user can correct; the message has the remedy."""


class GateError(LedgerError):
    """A gate (hook-point parity, encode fidelity, metric null) did not hold: dependents are
    blocked.

    Its message starts with the gate's name, because it becomes the ledger row's reason.
    """


class CorruptPayload(LedgerError):
    """A stored file no longer has the content its manifest promises; it has been set aside."""

    manifest: Path | None = None
    """Path of the manifest, if known."""
