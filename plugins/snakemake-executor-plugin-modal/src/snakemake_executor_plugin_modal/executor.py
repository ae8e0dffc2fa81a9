"""Snakemake's side: jobs become attempts, attempts become reports."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import AsyncIterator
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.utils import format_cli_arg, join_cli_args

from .attempt import Attempt, Outcome, Phase
from .background import Background
from .causes import BUDGET
from .costs import Budget, Prices
from .errors import ModalError
from .settings import LOCAL
from .task import Resources, Task, files_of, key_of, name_of, of_job

STARTING_SECONDS = 180.0
CLOSING_SECONDS = 90.0
INTERNAL = ("_cores", "_nodes", "mem_mib", "disk_mib")


class Executor(RemoteExecutor):
    """Runs each job in a Sandbox of its own; never waits in `run_job`."""

    current: Executor | None = None
    """The executor of this process's run, for :func:`.oneoff.run_in_sandbox`."""

    def __post_init__(self) -> None:
        """Check everything that can be checked before the first job."""
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
        from snakemake import __version__ as snakemake

        from . import preflight
        from .session import Session

        self.hook = _hook(settings.complete)
        prices = Prices.read(settings.prices)
        asked = [(job.name, Resources.of(job.name, job.resources)) for job in jobs]
        session = Session(settings)
        preflight.check_resources(asked, prices)
        preflight.check_images(session, asked, snakemake)
        preflight.check_environment(session, self.workflow.envvars)
        self._now(preflight.open_session(session, dict(self.envvars())))
        prices = self._now(preflight.rates(session, prices))
        self.budget = Budget(self._limit(), prices)
        self.budget.check_start(resources for _, resources in asked)
        self._open_pool(session, jobs)

    def _open_pool(self, session: Any, jobs: list[Any]) -> None:
        from .pool import Pool

        async def opened() -> Pool:
            pool = Pool(session, run_id(), self.budget, self.logger)
            pool.redact = [*(session.settings.pass_env or ()), *self.workflow.envvars]
            pool.environment = {"SOURCE_COMMIT": source_commit()}
            await pool.open(self._pack_sources(), [key_of(name_of(job)) for job in jobs])
            return pool

        self.pool = self._now(opened())

    def _now(self, coroutine: Any) -> Any:
        """Wait for a coroutine before the first job; Modal's errors become one line."""
        import modal

        try:
            return self.background.wait_for(coroutine, STARTING_SECONDS)
        except modal.exception.Error as error:
            said = " ".join(str(error).split())
            raise ModalError(f"Modal: {type(error).__name__}: {said}") from None

    def _limit(self) -> float | None:
        limit = self.executor_settings.budget_usd
        if limit is None:
            limit = (getattr(self.workflow, "config", None) or {}).get("budget_usd")
        return None if limit is None else float(limit)

    def _pack_sources(self) -> Any:
        """The archive of the sources: Snakemake's list and what the settings add."""
        from . import transfer

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
            f"{one.rule.name}:{name}={value}"
            for one in members
            for name, value in one.resources.items()
            if isinstance(value, int) and not isinstance(value, bool) and name not in INTERNAL
        }
        names = [value.partition("=")[0] for value in values]
        kept = sorted(value for value in values if names.count(value.partition("=")[0]) == 1)
        return join_cli_args(
            [super().get_job_args(job), format_cli_arg("--set-resources", kept, skip=not kept)]
        )

    def format_job_exec(self, job: Any) -> str:
        """The command, which is to run in the Sandbox's own working directory."""
        command = super().format_job_exec(job)
        directory = format_cli_arg("--directory", getattr(self.workflow, "overwrite_workdir", None))
        return command.replace(f" {directory}", "") if directory else command

    def run_job(self, job: Any) -> None:
        """Submit a job: at once, whatever Modal is doing."""
        self._catch_sigterm()
        attempt = Attempt(of_job(job, self.format_job_exec(job)))
        info = SubmittedJobInfo(job, external_jobid=attempt.id, aux={"attempt": attempt})
        attempt.report = partial(self._report, info, attempt)
        if self.hook is not None and not job.is_group():
            attempt.try_complete = partial(self._complete, job, attempt.task)
        self.report_job_submission(info)
        self.background.loop.call_soon_threadsafe(self.pool.launch, attempt)

    def _complete(self, job: Any, task: Task) -> bool:
        """Ask the hook; True if the job needs no Sandbox (runs in a thread of the pool)."""
        if not self.hook(job, self.pool.session.read_now):
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
                self.pool.collect(attempt)
            if attempt.phase is not Phase.ENDED:
                yield info
        if running:
            self.ticks.append(time.monotonic() - began)

    async def _alive(self) -> dict[str, Any] | None:
        """Living Sandboxes by id; None if Modal did not answer this time."""
        try:
            alive = await self.pool.session.alive(self.pool.tags)
        except Exception as error:
            if not self._list_failed:
                said = " ".join(f"{type(error).__name__}: {error}".split())
                self.logger.warning(f"Modal did not list the Sandboxes ({said}); trying again.")
            self._list_failed = True
            return None
        self._list_failed = False
        return alive

    def _report(self, info: SubmittedJobInfo, attempt: Attempt, outcome: Outcome) -> None:
        """Tell Snakemake how an attempt ended (runs in a thread of the pool)."""
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

        Snakemake's own handler waits for running jobs. It is set after this object was made, hence
        here, at the first job.
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
        """End all Sandboxes of this run (not only those of `active_jobs`: some are being born)."""
        self._close_pool()

    def shutdown(self) -> None:
        """The end, whichever: no Sandbox is left running."""
        self._close_pool()
        super().shutdown()

    def _close_pool(self) -> None:
        if self.pool is None or self.pool.closed:
            return
        try:
            count = self.background.wait_for(self.pool.close(), CLOSING_SECONDS)
        except Exception as error:
            said = " ".join(f"{type(error).__name__}: {error}".split())
            app = self.executor_settings.app
            self.logger.error(
                f"Some Sandboxes may still be running ({said}): look with `modal sandbox list "
                f"--app-id {app}`, or end all of them with `modal app stop {app}`."
            )
            return
        if count:
            self.logger.info(f"{count} Sandboxes were terminated.")
        self._sum_up()

    def _sum_up(self) -> None:
        """Say what the run cost, and keep it with the time of its ticks for who wants to know."""
        budget = self.budget
        said = {
            "run": self.pool.run,
            "spent_usd": round(budget.spent, 4),
            "prices": {"date": budget.prices.date, "source": budget.prices.source},
            "ticks": len(self.ticks),
            "median_tick_seconds": round(median(self.ticks or [0.0]), 3),
            "slowest_tick_seconds": round(max(self.ticks, default=0.0), 3),
        }
        (LOCAL / "last-run.json").write_text(json.dumps(said, indent=1) + "\n")
        self.logger.info(
            f"Modal: this run cost about ${budget.spent:.2f} "
            f"(rates of {budget.prices.date}, {budget.prices.source})."
        )


def _hook(setting: str | None) -> Any:
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
    """A benchmark file for a job that did not run: Snakemake expects one."""
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
