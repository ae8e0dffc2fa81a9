"""Errors that the user reads, each in a single line.

A :class:`LedgerError` carries a single line: the fault, its place, and the remedy. Jobs print it,
write it into their run record, and fail. Any other exception is a bug and keeps its traceback.
"""

from pathlib import Path


class LedgerError(Exception):
    """A fault that the user can correct; the message has the remedy."""


class GateError(LedgerError):
    """A gate that did not hold and blocks its dependents; the message starts with its name."""


class CorruptPayload(LedgerError):
    """A stored file no longer has the content its manifest promises; it has been set aside."""

    manifest: Path | None = None
    """Path of the manifest, if known."""
