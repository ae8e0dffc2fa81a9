"""Snakemake's side of the executor: jobs become attempts, attempts become reports."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.utils import format_cli_arg, join_cli_args

from . import preflight, transfer
from .attempt import Attempt, Outcome, Phase
from .background import Background
from .causes import BUDGET
from .costs import Budget, Prices
from .errors import ModalError
from .pool import Pool
from .run_context import RunContext
from .session import Session
from .settings import LOCAL
from .task import Resources, Task, files_of, key_of, name_of, task_of_job

STARTING_SECONDS = 180.0
CLOSING_SECONDS = 90.0
INTERNAL = ("_cores", "_nodes", "mem_mib", "disk_mib")

Hook = Callable[[Any, Callable[[str], bytes | None]], bool]
"""(Snakemake's job, a reader of the Volume's files) -> whether the job needs no Sandbox."""


class Executor(RemoteExecutor):
    """Runs each job in a separate Sandbox; never waits in `run_job`."""

    current: Executor | None = None
    """The executor of this process's run, for :func:`.oneoff.run_in_sandbox`."""
    pool: Pool | None
    """None if no job needs a Sandbox."""
    hook: Hook | None
    """The callable of --modal-complete."""

    def __post_init__(self) -> None:
        """Check everything that can be checked before the first job.

        Raises a ModalError, in one line, for what is missing or contradicts itself.
        """
        settings = self.executor_settings
        self.background = Background()
        self.interrupted = False
        self.over_budget = False
        self._cores_of_job: int | str = "all"
        self._list_failed = False
        self.ticks: list[float] = []
        """Seconds that each look at running Sandboxes took."""
        self.pool = None
        self.next_seconds_between_status_checks = settings.poll_seconds
        Executor.current = self
        jobs = [job for job in self.dag.needrun_jobs() if not job.is_local]
        if not jobs:
            return
        # Not at the top: Snakemake imports this package, which does not depend on it.
        from snakemake import __version__ as snakemake

        self.hook = _hook(settings.complete)
        prices = Prices.read(settings.prices)
        requests = [(job.name, Resources.from_declared(job.name, job.resources)) for job in jobs]
        session = Session(settings)
        preflight.check_resources(requests, prices)
        preflight.check_images(session, requests, snakemake)
        preflight.check_environment(session, self.workflow.envvars)
        self._wait_for(preflight.open_session(session, dict(self.envvars())))
        prices = self._wait_for(preflight.rates(session, prices))
        budget = Budget(self._limit(), prices)
        budget.check_start(resources for _, resources in requests)
        self._open_pool(RunContext(session, run_id(), budget), jobs)

    def _open_pool(self, context: RunContext, jobs: list[Any]) -> None:
        sources = self._pack_sources()
        redact = [*(context.session.settings.pass_env or ()), *self.workflow.envvars]
        environment = {"SOURCE_COMMIT": source_commit()}

        async def opened() -> Pool:
            pool = Pool(context, sources, self.logger, redact=redact, environment=environment)
            await pool.open(key_of(name_of(job)) for job in jobs)
            return pool

        self.pool = self._wait_for(opened())

    def _wait_for(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Wait for a coroutine before the first job; Modal's errors become one line."""
        import modal

        try:
            return self.background.wait_for(coroutine, STARTING_SECONDS)
        except modal.exception.Error as error:
            message = " ".join(str(error).split())
            raise ModalError(f"Modal: {type(error).__name__}: {message}") from None

    def _opened_pool(self) -> Pool:
        """The pool of a run with jobs for Sandboxes."""
        assert self.pool is not None
        return self.pool

    def _limit(self) -> float | None:
        limit = self.executor_settings.budget_usd
        if limit is None:
            limit = (getattr(self.workflow, "config", None) or {}).get("budget_usd")
        return None if limit is None else float(limit)

    def _pack_sources(self) -> transfer.Archive:
        """The archive of the sources: Snakemake's list and what the settings add."""
        settings = self.executor_settings
        added = [*(settings.sources or ()), *(settings.pythonpath or ())]
        absent = [path for path in added if not Path(path).exists()]
        if absent:
            raise ModalError(f"--modal-sources/--modal-pythonpath: {absent[0]} does not exist.")
        listed = [path for path in self.dag.get_sources() if not str(path).startswith("..")]
        files = {
            str(file): file
            for path in [*listed, *added]
            for file in files_of(Path(path), "the sources")
        }
        return transfer.pack(files, LOCAL / "out")

    # -- submitting -----------------------------------------------------------------------------

    @property
    def cores(self) -> int | str:
        """Cores for the job whose command is being formatted: what its rule asks for."""
        return self._cores_of_job

    def get_python_executable(self) -> str:
        """The image's Python."""
        return "python"

    def get_job_args(self, job: Any) -> str:
        """As Snakemake's, with the resources as this process evaluated them."""
        self._cores_of_job = max(1, job.threads)
        members = job.jobs if job.is_group() else [job]
        values = {
            f"{member.rule.name}:{name}={value}"
            for member in members
            for name, value in member.resources.items()
            if isinstance(value, int) and not isinstance(value, bool) and name not in INTERNAL
        }
        names = [value.partition("=")[0] for value in values]
        kept = sorted(value for value in values if names.count(value.partition("=")[0]) == 1)
        return join_cli_args(
            [super().get_job_args(job), format_cli_arg("--set-resources", kept, skip=not kept)]
        )

    def format_job_exec(self, job: Any) -> str:
        """The command, which is to run in the Sandbox's working directory."""
        command = super().format_job_exec(job)
        directory = format_cli_arg("--directory", getattr(self.workflow, "overwrite_workdir", None))
        return command.replace(f" {directory}", "") if directory else command

    def run_job(self, job: Any) -> None:
        """Submit a job without waiting for Modal."""
        self._catch_sigterm()
        attempt = Attempt(task_of_job(job, self.format_job_exec(job)))
        info = SubmittedJobInfo(job, external_jobid=attempt.id, aux={"attempt": attempt})
        attempt.report = partial(self._report, info, attempt)
        if self.hook is not None and not job.is_group():
            attempt.try_complete = partial(self._complete, self.hook, job, attempt.task)
        self.report_job_submission(info)
        self.background.loop.call_soon_threadsafe(self._opened_pool().launch, attempt)

    def _complete(self, hook: Hook, job: Any, task: Task) -> bool:
        """Ask the hook; True if the job needs no Sandbox (runs in a thread of the pool)."""
        if not hook(job, self._opened_pool().session.read_now):
            return False
        missing = [path for path in task.outputs if not Path(path).exists()]
        if missing:
            raise ModalError(f"it returned True without having written {missing[0]}")
        benchmark = getattr(job, "benchmark", None)
        if benchmark:
            write_empty_benchmark(Path(benchmark))
        return True

    # -- looking --------------------------------------------------------------------------------

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncIterator[SubmittedJobInfo]:
        """One look at all jobs: one list call. Results are fetched and reported by the pool."""
        began = time.monotonic()
        running = {
            job.aux["attempt"] for job in active_jobs if job.aux["attempt"].phase is Phase.RUNNING
        }
        alive = await self._alive() if running else None
        for info in active_jobs:
            attempt = info.aux["attempt"]
            if attempt in running and alive is not None and attempt.sandbox_id not in alive:
                self._opened_pool().collect(attempt)
            if attempt.phase is not Phase.ENDED:
                yield info
        if running:
            self.ticks.append(time.monotonic() - began)

    async def _alive(self) -> dict[str, Any] | None:
        """Living Sandboxes by id; None if Modal did not answer this time."""
        try:
            pool = self._opened_pool()
            alive = await pool.session.alive(pool.tags)
        except Exception as error:
            if not self._list_failed:
                message = " ".join(f"{type(error).__name__}: {error}".split())
                self.logger.warning(f"Modal did not list the Sandboxes ({message}); trying again.")
            self._list_failed = True
            return None
        self._list_failed = False
        return alive

    def _report(self, info: SubmittedJobInfo, attempt: Attempt, outcome: Outcome) -> None:
        """Report to Snakemake how an attempt ended (runs in a thread of the pool)."""
        if outcome.cause is None:
            self.report_job_success(info)
            return
        cause = outcome.cause
        if cause.kind == BUDGET and not self.over_budget:
            self.over_budget = True
            stop = getattr(self.workflow.scheduler, "exit_gracefully", None)
            if stop is not None:
                stop()
        self.logger.error(f"{attempt.task.name}: {cause.line}.")
        logs = {"aux_logs": [str(outcome.log)]} if outcome.log else {}
        self.report_job_error(info, msg=f"{cause.line}. ", **logs)

    # -- ending ---------------------------------------------------------------------------------

    def _catch_sigterm(self) -> None:
        """Make SIGTERM do what Ctrl-C does: end the Sandboxes, then this process.

        Snakemake's handler waits for running jobs. It is set after this object was made, hence
        this one is set at the first job.
        """
        if threading.current_thread() is not threading.main_thread():
            return

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
            signal.signal(signal.SIGTERM, interrupt)

    def cancel(self) -> None:
        """End all Sandboxes; a second Ctrl-C must not leave one running."""
        self.interrupted = True
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        super().cancel()

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """End all Sandboxes of this run, those that are still being created among them."""
        self._close_pool()

    def shutdown(self) -> None:
        """End of the run, good or bad: no Sandbox is left running."""
        self._close_pool()
        super().shutdown()

    def _close_pool(self) -> None:
        pool = self.pool
        if pool is None or pool.closed:
            return
        try:
            count = self.background.wait_for(pool.close(), CLOSING_SECONDS)
        except Exception as error:
            message = " ".join(f"{type(error).__name__}: {error}".split())
            app = self.executor_settings.app
            self.logger.error(
                f"Some Sandboxes may still be running ({message}): look with `modal sandbox list "
                f"--app-id {app}`, or end all of them with `modal app stop {app}`."
            )
            return
        if count:
            self.logger.info(f"{count} Sandboxes were terminated.")
        self._sum_up(pool)

    def _sum_up(self, pool: Pool) -> None:
        """Log what the run cost; write it, with the time of its ticks, to last-run.json."""
        budget = pool.budget
        summary = {
            "run": pool.run_id,
            "spent_usd": round(budget.spent, 4),
            "prices": {"date": budget.prices.date, "source": budget.prices.source},
            "ticks": len(self.ticks),
            "median_tick_seconds": round(median(self.ticks or [0.0]), 3),
            "slowest_tick_seconds": round(max(self.ticks, default=0.0), 3),
        }
        (LOCAL / "last-run.json").write_text(json.dumps(summary, indent=1) + "\n")
        self.logger.info(
            f"Modal: this run cost about ${budget.spent:.2f} "
            f"(rates of {budget.prices.date}, {budget.prices.source})."
        )


def _hook(setting: str | None) -> Hook | None:
    """The callable that --modal-complete names; a ModalError if there is none."""
    if not setting:
        return None
    module, _, name = setting.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ModalError(f"--modal-complete {setting}: {error}.") from None


def run_id() -> str:
    """The name of the runs in this working directory, kept in .snakemake/modal."""
    path = LOCAL / "run-id"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(uuid.uuid4().hex[:12])
    return path.read_text().strip()


def source_commit() -> str:
    """Short commit of the sources, with ``+`` for uncommitted changes; empty outside of git."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        commit = git("rev-parse", "--short", "HEAD")
        return commit + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def write_empty_benchmark(path: Path) -> None:
    """Write a benchmark file, which Snakemake expects, for a job that did not run."""
    columns = [
        "s",
        "h:m:s",
        "max_rss",
        "max_vms",
        "max_uss",
        "max_pss",
        "io_in",
        "io_out",
        "mean_load",
        "cpu_time",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text('{"s": 0.0, "note": "completed by --modal-complete"}\n')
        return
    values = ["0.0", "0:00:00", *["NA"] * (len(columns) - 2)]
    path.write_text("\t".join(columns) + "\n" + "\t".join(values) + "\n")
