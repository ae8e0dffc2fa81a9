"""The log of a Sandbox that left no archive, tested without a server."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import modal
import pytest
from snakemake_executor_plugin_modal.collecting import _last_log


class Tail:
    """A stand-in for `sandbox.logs.tail`: gives its lines, then raises `error` if there is one."""

    def __init__(self, *lines: str, error: Exception | None = None) -> None:
        self.lines, self.error = lines, error

    async def aio(self, _count: int):
        for line in self.lines:
            yield SimpleNamespace(message=line)
        if self.error:
            raise self.error


def last_log(tail: Tail, saved: bytes | None) -> str:
    async def read(path: str) -> bytes | None:
        assert path == "jobs/7/log.txt"
        return saved

    attempt = SimpleNamespace(sandbox=SimpleNamespace(logs=SimpleNamespace(tail=tail)))
    context = SimpleNamespace(session=SimpleNamespace(read=read))
    return asyncio.run(_last_log(attempt, context, "jobs/7"))


def test_last_log_prefers_modals_lines_to_the_saved_copy():
    assert last_log(Tail("one\n", "two\n"), b"older\n") == "one\ntwo\n"
    assert last_log(Tail(), b"older\n") == "older\n"
    assert last_log(Tail(), None) == ""


@pytest.mark.parametrize(
    "error",
    [
        modal.exception.NotFoundError("it is gone"),
        modal.exception.LogsFetchError("too far back"),
        modal.exception.UnimplementedError("no such call"),
        OSError("unreachable"),
    ],
)
def test_last_log_without_modals_lines_names_the_reason(error):
    reason, *copy = last_log(Tail("one\n", error=error), b"older\n").splitlines()
    assert copy == ["older"]
    assert "did not give" in reason and type(error).__name__ in reason and str(error) in reason


def test_last_log_with_an_error_that_is_not_modals_raises_it():
    """A fault of this package must not pass for a missing log."""
    with pytest.raises(TypeError):
        last_log(Tail(error=TypeError("ours")), b"older\n")
