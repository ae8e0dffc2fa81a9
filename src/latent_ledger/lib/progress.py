"""Progress lines that read well in a terminal, a log file and a remote job alike.

One line every few seconds, never a carriage return: a log of a long job stays a log.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO


class Progress:
    """Counts units of work and reports rate, time left and a few running values.

    >>> with Progress("train coder", total=2, unit="step", every=0) as progress:
    ...     progress.update(1, loss=0.5)
    """

    def __init__(
        self,
        task: str,
        total: int | None = None,
        unit: str = "",
        *,
        start: int = 0,
        every: float = 5.0,
        stream: TextIO | None = None,
    ) -> None:
        self.task, self.total, self.unit, self.every = task, total, unit, every
        self.done = self.start = start
        self.stream = stream or sys.stderr
        self.values: dict[str, float | str] = {}
        self.began = self.last_line = time.monotonic()

    def update(self, amount: int = 1, **values: float | str) -> None:
        """Count `amount` more units; `values` (a loss, a rate) are shown on the next line."""
        self.done += amount
        self.values.update(values)
        if time.monotonic() - self.last_line >= self.every:
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
        print(", ".join(phrases), file=self.stream, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.say()
