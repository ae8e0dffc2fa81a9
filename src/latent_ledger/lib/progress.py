"""Progress lines that read well in a terminal, a log file and a remote job alike.

One line every few seconds, never a carriage return: a log of a long job stays a log.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

EVERY = 5.0
"""Seconds between two lines."""


class Progress:
    """Counter of units of work that reports rate, time left and a few running values."""

    def __init__(self, task: str, total: int, unit: str, start: int = 0) -> None:
        self.task, self.total, self.unit = task, total, unit
        self.done = self.start = start
        self.values: dict[str, float | str] = {}
        self.began = self.last_line = time.monotonic()

    def update(self, amount: int = 1, **values: float | str) -> None:
        """Count `amount` more units; `values` (a loss, a rate) are shown on the next line."""
        self.done += amount
        self.values.update(values)
        if time.monotonic() - self.last_line >= EVERY:
            self.say()

    def say(self) -> None:
        """Print the current state now."""
        self.last_line = time.monotonic()
        seconds = max(self.last_line - self.began, 1e-9)
        rate = (self.done - self.start) / seconds
        total = f"/{self.total:,}" if self.total else ""
        phrases = [f"{self.task}: {self.done:,}{total} {self.unit}".rstrip(), f"{rate:,.3g}/s"]
        if self.total and rate > 0 and self.done < self.total:
            phrases.append(f"{(self.total - self.done) / rate:.0f} s left")
        phrases += [
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in self.values.items()
        ]
        print(", ".join(phrases), file=sys.stderr, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self.say()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence of a library that prints several lines per step of its own."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield
