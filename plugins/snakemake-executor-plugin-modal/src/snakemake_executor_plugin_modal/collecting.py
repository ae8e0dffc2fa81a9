"""Results of a Sandbox that ended: its files in place, or one line of cause and its log."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from . import causes, costs, transfer
from .attempt import Attempt, Outcome
from .causes import Cause
from .run_context import RunContext
from .settings import LOCAL

LOGS = LOCAL / "logs"
LATE_COMMIT = (0.0, 0.5, 1.0, 2.0)
"""Seconds to wait for a result archive: a Volume shows what a Sandbox wrote shortly after."""

LOG_LINES = 400


async def collect(attempt: Attempt, context: RunContext) -> Outcome:
    """Fetch, verify and place the results of an ended Sandbox, and record what it cost."""
    code, timed_out, terminated = await _exit(attempt)
    local = LOCAL / "in" / f"{attempt.id}.tar.gz"
    try:
        marker, log = await _fetched(attempt, context, local, wait=code == 0)
        cause = causes.cause_of_end(
            code,
            timed_out=timed_out,
            terminated=terminated,
            marker=marker,
            log=log,
            limits={
                "minutes": attempt.task.resources.seconds // 60,
                "memory_mib": attempt.memory_mib,
            },
        )
        if marker is not None:
            cause = await asyncio.to_thread(_place, attempt, marker, local, cause)
    finally:
        local.unlink(missing_ok=True)
    kept = None
    if cause is not None:
        kept = attempt.log_file(LOGS)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(log or "(the Sandbox left no log)\n")
        if cause.kind == causes.OUT_OF_MEMORY:
            context.memory_exceeded[attempt.task.key] = attempt.memory_mib
    record(attempt, context, cause, (marker or {}).get("seconds"))
    return Outcome(cause, kept)


async def _exit(attempt: Attempt) -> tuple[int, bool, bool]:
    """(exit code, timed out, terminated) of an ended Sandbox."""
    import modal

    try:
        await attempt.sandbox.wait.aio()
    except modal.exception.SandboxTimeoutError:
        return causes.TIMED_OUT, True, False
    except modal.exception.SandboxTerminatedError:
        return causes.KILLED, False, True
    return attempt.sandbox.returncode or 0, False, False


async def _fetched(
    attempt: Attempt, context: RunContext, local: Path, *, wait: bool
) -> tuple[dict[str, Any] | None, str]:
    """(marker, log) of the result archive; (None, the log from elsewhere) without it."""
    folder = attempt.folder(context.run_id)
    for seconds in LATE_COMMIT if wait else LATE_COMMIT[:2]:
        await asyncio.sleep(seconds)
        if await context.session.download(f"{folder}/out.tar.gz", local):
            try:
                marker = await asyncio.to_thread(transfer.read_marker, local)
                return marker, await asyncio.to_thread(transfer.read_log, local)
            except transfer.Broken:
                continue
    return None, await _last_log(attempt, context, folder)


async def _last_log(attempt: Attempt, context: RunContext, folder: str) -> str:
    """The log of a Sandbox that left no archive: what Modal kept, or the last renewed copy.

    Where Modal does not give its log, a line above the copy says so and why.
    """
    import modal

    lost = ""
    try:
        lines = [entry.message async for entry in attempt.sandbox.logs.tail.aio(LOG_LINES)]
        if lines:
            return "".join(lines)
    except (modal.exception.Error, OSError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        lost = (
            f"(Modal did not give this Sandbox's log, {reason}; what follows was saved before.)\n"
        )
    content = await context.session.read(f"{folder}/log.txt")
    return lost + (content or b"").decode(errors="replace")


def _place(
    attempt: Attempt, marker: dict[str, Any], archive: Path, cause: Cause | None
) -> Cause | None:
    """Put the results in place (logs only, if it failed); the cause if they are not whole."""
    task = attempt.task
    try:
        if cause is not None:
            transfer.unpack(archive, marker, outputs=(), logs=task.logs)
            return cause
        optional = [path for path in task.optional if path in marker["files"]]
        transfer.unpack(
            archive,
            marker,
            outputs=[*task.outputs, *optional],
            logs=task.logs,
            mirrors=task.mirrors,
        )
    except transfer.Broken as error:
        return cause or Cause(causes.LOST, f"its results are not whole: {error}")
    except OSError as error:
        return cause or Cause(causes.FAILED, f"its results could not be written here: {error}")
    return None


def record(
    attempt: Attempt, context: RunContext, cause: Cause | None, seconds: float | None = None
) -> None:
    """Write the attempt's line to its attempts file, and charge its cost to the budget.

    `seconds` are those that the Sandbox measured; without them, those since it was created.
    """
    resources, prices = attempt.task.resources, context.budget.prices
    if seconds is None:
        seconds = time.time() - attempt.created if attempt.created else 0.0
    rate = prices.per_second(resources)
    cost = None if rate is None else rate * seconds
    context.budget.settle(attempt, cost)
    costs.append(
        attempt.task.attempts_file,
        costs.AttemptRecord(
            run=context.run_id,
            job=attempt.task.name,
            attempt=attempt.task.number,
            sandbox=attempt.sandbox_id,
            started=attempt.started,
            seconds=round(seconds, 2),
            gpu=resources.gpu,
            gpus=resources.gpus,
            cores=resources.cores,
            memory_mib=resources.memory_mib,
            rates=prices.rates(resources),
            cost_usd=None if cost is None else round(cost, 6),
            outcome="failed" if cause else "done",
            cause=cause.line if cause else "",
        ),
    )
