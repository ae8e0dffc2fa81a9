"""A command in a Sandbox outside the graph, for an `onerror:` handler for instance."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import collecting
from .attempt import Attempt, Outcome
from .errors import ModalError
from .executor import Executor
from .settings import LOCAL
from .task import Resources, Task, file_name


def run_in_sandbox(
    name: str,
    command: str,
    *,
    sends: Mapping[str, Path | bytes],
    fetches: Sequence[str],
    mirrors: Sequence[str] = (),
    minutes: int = 10,
    memory_mib: int = 2000,
) -> None:
    """Run `command` as a job would run: sources, Volumes, environment and default image.

    `sends` maps paths there to files here or contents; `fetches` are the files that must come
    back, `mirrors` files and folders that come back as they are there, absent ones included.
    For use in the process of a run with this executor, after its last job.

    Raises a ModalError, in one line, if there is no such run, if it was interrupted, if the
    budget does not allow it, or if the command fails.
    """
    executor = Executor.current
    if executor is None or executor.pool is None:
        raise ModalError(f"{name}: no run with the executor modal has begun.")
    if executor.interrupted:
        raise ModalError(f"{name}: not run, because the run was interrupted.")
    pool = executor.pool
    resources = Resources(cores=1, memory_mib=memory_mib, seconds=60 * minutes)
    task = Task(
        name,
        command,
        sends=dict(sends),
        outputs=list(fetches),
        mirrors=list(mirrors),
        resources=resources,
        attempts_file=LOCAL / "attempts" / f"{file_name(name)}.jsonl",
    )
    attempt = Attempt(task)

    async def run() -> Outcome:
        pool.closed = False
        try:
            refusal = await pool.create(attempt)
            if refusal is not None:
                return Outcome(refusal)
            while await attempt.sandbox.poll.aio() is None:
                await asyncio.sleep(executor.executor_settings.poll_seconds)
            return await collecting.collect(attempt, pool.context)
        finally:
            await pool.close()

    try:
        outcome = executor.background.wait_for(run())
    except KeyboardInterrupt:
        executor.interrupted = True
        executor.background.wait_for(pool.close(), 60)
        raise
    if outcome.cause is not None:
        where = f" (log: {outcome.log})" if outcome.log else ""
        raise ModalError(f"{name}: {outcome.cause.line}{where}.")
