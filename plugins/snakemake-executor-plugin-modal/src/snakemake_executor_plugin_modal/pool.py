"""The Sandboxes of a run: created beside Snakemake, a bounded number at a time, adopted, ended.

Creating a Sandbox with a GPU blocks until it is scheduled, so it happens here, never in `run_job`.
Everything below runs in one event loop (:class:`.background.Background`), so nothing is locked.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
from collections.abc import Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any

from . import causes, collecting, transfer
from .attempt import Attempt, Outcome, Phase
from .causes import Cause
from .run_context import RunContext
from .settings import LOCAL, MOUNT, exchange
from .task import Task

USD_PER_SECOND = "SNAKEMAKE_MODAL_USD_PER_SECOND"
"""Environment variable of every job: the cost of its Sandbox."""

RUNNER = Path(__file__).with_name("runner.py")
ENDING_SECONDS = 60.0
"""Seconds to terminate until no Sandbox is listed."""


class Pool:
    """The Sandboxes of one run, and those that an earlier, killed client of it left."""

    def __init__(
        self,
        context: RunContext,
        sources: transfer.Archive,
        logger: Any,
        *,
        redact: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Create in the event loop that the pool is to run in.

        The values of the variables named in `redact` are hidden in logs; every job gets the
        variables of `environment`.
        """
        self.context, self.sources, self.logger = context, sources, logger
        self.session, self.run_id, self.budget = context.session, context.run_id, context.budget
        self.redact, self.environment = list(redact), dict(environment or {})
        self.slots = asyncio.Semaphore(self.session.settings.creations)
        self.left: dict[str, tuple[Any, dict[str, str]]] = {}
        """Job key -> (Sandbox, its tags) of an earlier client."""
        self.under_way: set[asyncio.Task] = set()
        self.loop = asyncio.get_running_loop()
        self.closed = False

    # -- before the first job -------------------------------------------------------------------

    async def open(self, wanted: Iterable[str]) -> None:
        """Send the sources and the runner, and look for Sandboxes of a killed client.

        `wanted` are the keys of the jobs that may run; Sandboxes of other jobs are ended.
        """
        await self.session.upload({self._sources: self.sources.path, self._runner: RUNNER})
        wanted = set(wanted)
        for sandbox in (await self.session.alive(self.tags)).values():
            tags = await sandbox.get_tags.aio()
            if tags.get("job") in wanted:
                self.left[tags["job"]] = (sandbox, tags)
            else:
                await sandbox.terminate.aio()

    @property
    def tags(self) -> dict[str, str]:
        """The tags that all Sandboxes of this run carry."""
        return {"snakemake": self.run_id}

    @property
    def _sources(self) -> str:
        return exchange("sources", f"{self.sources.digest[:32]}.tar.gz")

    @property
    def _runner(self) -> str:
        digest = hashlib.sha256(RUNNER.read_bytes()).hexdigest()[:16]
        return exchange("sources", f"runner-{digest}.py")

    # -- launching ------------------------------------------------------------------------------

    def launch(self, attempt: Attempt) -> None:
        """Start an attempt in the background; call in the pool's loop."""
        self._beside(self._launch(attempt))

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)

    async def _launch(self, attempt: Attempt) -> None:
        try:
            if await self._completed(attempt):
                await self._end(attempt, Outcome())
                return
            async with self.slots:
                refusal = await self.create(attempt)
        except Exception as error:
            refusal = causes.cause_of_creation(error)
        if refusal is not None:
            collecting.record(attempt, self.context, refusal)
            await self._end(attempt, Outcome(refusal))

    async def _end(self, attempt: Attempt, outcome: Outcome) -> None:
        attempt.phase = Phase.ENDED
        await asyncio.to_thread(attempt.report, outcome)

    async def _completed(self, attempt: Attempt) -> bool:
        if attempt.try_complete is None:
            return False
        try:
            return await asyncio.to_thread(attempt.try_complete)
        except Exception as error:
            message = " ".join(f"{type(error).__name__}: {error}".split())
            self.logger.warning(
                f"{attempt.task.name}: the hook --modal-complete failed ({message}); "
                "the job runs in a Sandbox instead."
            )
            return False

    async def create(self, attempt: Attempt) -> Cause | None:
        """Give an attempt its Sandbox; returns the cause if it gets none. Raises Modal's errors."""
        if self.closed:
            return Cause(causes.REFUSED, "the run is ending")
        task = self._with_memory(attempt)
        refusal = self.budget.refusal(attempt, task.resources)
        if refusal:
            return Cause(causes.BUDGET, refusal)
        archive = await asyncio.to_thread(self._pack, task)
        spec = self._spec(task, archive)
        if await self._adopted(attempt, spec):
            archive.path.unlink(missing_ok=True)
            return None
        folder = attempt.folder(self.run_id)
        await self.session.upload({f"{folder}/in.tar.gz": archive.path})
        archive.path.unlink(missing_ok=True)
        at = f"{MOUNT}/"
        command = ["python", at + self._runner, MOUNT, at + self._sources, at + folder]
        tags = {"rule": task.rule, "job": task.key, "attempt": attempt.id, "spec": spec}
        sandbox = await self.session.create(command, {**self.tags, **tags}, task.resources)
        attempt.begin(sandbox)
        if self.closed:
            await sandbox.terminate.aio()
        return None

    def _with_memory(self, attempt: Attempt) -> Task:
        """The task, with more memory if an attempt ran out of it and the rule asks for no more."""
        task = attempt.task
        wanted, failed = task.resources.memory_mib, self.context.memory_exceeded.get(task.key, 0)
        if failed and wanted <= failed:
            wanted = int(failed * self.session.settings.oom_factor)
        attempt.memory_mib = wanted
        task.resources = dataclasses.replace(task.resources, memory_mib=wanted)
        return task

    def _pack(self, task: Task) -> transfer.Archive:
        """The input archive of a task, with the job's description for the runner."""
        rate = self.budget.prices.per_second(task.resources) or 0.0
        spec = {
            "command": task.command,
            "seconds": task.resources.seconds,
            "outputs": task.outputs,
            "optional": task.optional,
            "logs": task.logs,
            "mirrors": task.mirrors,
            "redact": self.redact,
            "environment": {**self.environment, USD_PER_SECOND: str(rate)},
            "pythonpath": list(self.session.settings.pythonpath or ()),
        }
        content = json.dumps(spec, sort_keys=True).encode()
        members = {**task.sends, transfer.SPEC: content}
        return transfer.pack(members, LOCAL / "out", unhashed=transfer.SPEC)

    def _spec(self, task: Task, archive: transfer.Archive) -> str:
        """Digest of everything that decides what a Sandbox does: 16 hexadecimal digits."""
        image = self.session.images[task.resources.image].digest
        # Snakemake writes some options from sets, so their order differs from run to run.
        command = " ".join(sorted(task.command.split()))
        wanted = repr((task.resources, task.outputs, task.logs, self.environment))
        parts = [command, archive.digest, self.sources.digest, image, wanted, self._runner]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    async def _adopted(self, attempt: Attempt, spec: str) -> bool:
        """Take over the Sandbox that a killed client left for equal work; end it for other work."""
        sandbox, tags = self.left.pop(attempt.task.key, (None, {}))
        if sandbox is None:
            return False
        if tags.get("spec") == spec and await sandbox.poll.aio() is None:
            attempt.id = tags["attempt"]
            attempt.begin(sandbox)
            self.logger.info(f"{attempt.task.name}: adopted the Sandbox of an earlier run.")
            return True
        await sandbox.terminate.aio()
        return False

    # -- collecting -----------------------------------------------------------------------------

    def collect(self, attempt: Attempt) -> None:
        """Fetch the results of an attempt whose Sandbox is no longer listed; call in any thread."""
        attempt.phase = Phase.COLLECTING
        self.loop.call_soon_threadsafe(self._beside, self._collect(attempt))

    async def _collect(self, attempt: Attempt) -> None:
        try:
            if await attempt.sandbox.poll.aio() is None:
                attempt.phase = Phase.RUNNING  # the list was behind
                return
            outcome = await collecting.collect(attempt, self.context)
        except Exception as error:
            message = " ".join(f"{type(error).__name__}: {error}".split())
            cause = Cause(causes.FAILED, f"its results could not be fetched: {message}")
            collecting.record(attempt, self.context, cause)
            outcome = Outcome(cause)
        await self._end(attempt, outcome)

    # -- ending ---------------------------------------------------------------------------------

    async def close(self) -> int:
        """End every Sandbox of this run, adopted ones included; returns how many there were.

        Work under way is cancelled first. Listing again after terminating catches a Sandbox that
        was created between the two. Raises TimeoutError after :data:`ENDING_SECONDS`.
        """
        self.closed = True
        for task in list(self.under_way):
            task.cancel()
        if self.under_way:
            await asyncio.wait(self.under_way, timeout=5)
        ended: set[str] = set()
        deadline = asyncio.get_running_loop().time() + ENDING_SECONDS
        while alive := await self.session.alive(self.tags):
            await asyncio.gather(
                *(sandbox.terminate.aio() for sandbox in alive.values()), return_exceptions=True
            )
            ended |= set(alive)
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"{len(alive)} Sandboxes are still there")
            await asyncio.sleep(0.2)
        await self.session.remove(exchange("jobs", self.run_id))
        return len(ended)
