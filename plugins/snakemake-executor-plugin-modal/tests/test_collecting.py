"""The log of a Sandbox that left no archive, without a server: one that cannot give it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import modal
import pytest
from snakemake_executor_plugin_modal.collecting import _last_log


class Tail:
    """Stands for `sandbox.logs.tail`: gives its lines, or raises."""

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
    pool = SimpleNamespace(session=SimpleNamespace(read=read))
    return asyncio.run(_last_log(attempt, pool, "jobs/7"))


def test_what_modal_kept_comes_first():
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
def test_a_log_that_modal_does_not_give_is_said_with_the_reason(error):
    """Not swallowed: whoever reads the job's log sees why it ends early."""
    said = last_log(Tail("one\n", error=error), b"older\n").splitlines()
    assert said[1:] == ["older"]
    assert "did not give" in said[0] and type(error).__name__ in said[0] and str(error) in said[0]


def test_what_modal_does_not_raise_is_not_caught():
    """A fault of our own is no reason to show an older log in place of the answer."""
    with pytest.raises(TypeError):
        last_log(Tail(error=TypeError("ours")), b"older\n")
