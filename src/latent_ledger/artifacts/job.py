"""Job of a rule: a lookup of its action key, a computation on a miss, and always a record.

A rule's script unpacks Snakemake's object into a :class:`Job` and hands it a function::

    Job.from_snakemake(snakemake).run(compute)

``compute(job, folders)`` gets verified input payloads (``job.input("model").folder()``) and the
empty folder(s) to fill, and returns the facts. It imports heavy libraries inside, so a job whose
key is in the store ends without loading torch.

A rule with several outputs (an activation artifact per hook point, a corpus part per split) names
a *part* per output. Each part has a key, and only the missing parts are computed.

The record of a run (when, where, how long, how much memory, which versions) is written to the
rule's log path, never into a manifest: on failure too, with the reason, which becomes a ledger row.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from latent_ledger.artifacts import fork_server
from latent_ledger.artifacts.provenance import action_key, code_of, ingredients, named_inputs
from latent_ledger.artifacts.store import Actions, Manifest, Payload, Store, default_root
from latent_ledger.lib.errors import CorruptPayload, LedgerError
from latent_ledger.lib.files import write_json

VERSIONS = ("torch", "transformers", "eai-sparsify", "scikit-learn", "numpy", "snakemake")
"""Packages whose versions a run record names."""

USD_PER_SECOND = "SNAKEMAKE_MODAL_USD_PER_SECOND"
"""Environment variable with the price of the job's container, set by the Modal executor."""

Facts = dict[str, Any]


@dataclass
class Job:
    """A script's inputs, outputs and settings, free of Snakemake's types."""

    rule: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, Path]
    outputs: Mapping[str, Path]
    """Manifest to write, per part; a rule with one output has the single part ``""``."""
    code: str
    env: str
    store: Store
    record: Path
    script: Path | None = None
    threads: int = 1
    recompute: bool = False
    price_per_hour: float = 0.0
    _opened: dict[str, Payload] = field(default_factory=dict)

    @classmethod
    def from_snakemake(cls, snakemake: Any, rule: str | None = None) -> Job:
        """Unpack the object Snakemake injects into a script.

        `rule` names the action where several Snakemake rules share one script.

        Expects params ``settings`` (one dict; its optional key ``parts`` maps a part's name to
        settings of its own, in the order of the outputs), ``code``, ``env`` and ``store``, the
        log ``record``, and the resource ``recompute`` (1 when a person forced this rule).
        """
        settings = dict(snakemake.params.settings)
        parts = settings.get("parts")
        outputs = [Path(path) for path in snakemake.output]
        names = list(parts) if parts else [""]
        return cls(
            rule=rule or snakemake.rule,
            settings=settings,
            inputs={name: Path(path) for name, path in named_inputs(snakemake.input).items()},
            outputs=dict(zip(names, outputs, strict=True)),
            code=snakemake.params.code.partition(":")[2],
            env=snakemake.params.env.partition(":")[2],
            store=Store(default_root(snakemake.params.store.partition(":")[2])),
            record=Path(snakemake.log.record),
            script=Path(snakemake.scriptdir) / f"{rule or snakemake.rule}.py",
            threads=int(snakemake.threads),
            recompute=bool(snakemake.resources.get("recompute", 0)),
            price_per_hour=3600 * float(os.environ.get(USD_PER_SECOND) or 0),
        )

    # -- for compute functions ------------------------------------------------------------------

    def input(self, name: str) -> Payload:
        """The payload behind a named input, verified when its folder is asked for."""
        if name not in self._opened:
            self._opened[name] = self.store.open(self.inputs[name])
        return self._opened[name]

    def part_settings(self, output_name: str) -> dict[str, Any]:
        """Settings of one part: the shared ones and its own."""
        shared = {name: value for name, value in self.settings.items() if name != "parts"}
        return {**shared, **self.settings["parts"][output_name]} if output_name else shared

    def made_by(self, output_name: str = "") -> dict[str, Any]:
        """Ingredients of a part's action key."""
        inputs = {name: Manifest.read(path).digest for name, path in sorted(self.inputs.items())}
        return ingredients(self.rule, self.part_settings(output_name), self.code, self.env, inputs)

    def checkpoint(self, output_name: str = "") -> Path:
        """Folder that outlives a killed attempt of this very action."""
        return self.store.checkpoint_folder(action_key(self.made_by(output_name)))

    # -- running --------------------------------------------------------------------------------

    def run(self, compute: Callable[[Job, dict[str, Path]], dict[str, Facts]]) -> None:
        """Restore what the store holds, compute the rest, and exit with one line on failure.

        `compute` gets the folders of the missing parts and returns facts per part.
        """
        began, clock = datetime.now(UTC), time.monotonic()
        try:
            restored = self._restore(self.store)
            missing = [output_name for output_name in self.outputs if output_name not in restored]
            if missing and self.threads == 1 and (code := fork_server.run_script()) is not None:
                return self._end_as(code, began, clock)
            if missing:
                run = self._compute(compute, missing, began, clock)
            else:
                run = {**next(iter(restored.values()))["run"], "status": "restored"}
            write_json(self.record, run)
        except CorruptPayload as error:
            # Its manifest was forgotten here; in a container that is a copy of the caller's.
            self._fail(str(error), began, clock, corrupt=str(error.manifest or ""))
            raise SystemExit(1) from None
        except LedgerError as error:
            self._fail(str(error), began, clock)
            raise SystemExit(1) from None
        except MemoryError:
            self._fail("out of memory: give the rule more mem_mb or a smaller batch", began, clock)
            raise SystemExit(1) from None
        except Exception as error:
            self._fail(f"{type(error).__name__}: {error}", began, clock)
            raise

    def _end_as(self, code: int, began: datetime, clock: float) -> None:
        """Exit as the process did that ran this script; a killed one left no record."""
        if code < 0:
            signal_name = signal.Signals(-code).name
            hint = "; out of memory, most likely: give the rule more mem_mb" if code == -9 else ""
            self._fail(f"the job's process was killed ({signal_name}){hint}", began, clock)
        if code != 0:
            raise SystemExit(1)

    def restore_all(self, actions: Actions) -> bool:
        """Restore every part and write the record; False, with nothing written, if one lacks.

        The Modal executor's hook calls it with `actions` of its own, without this job's process.
        """
        keys = {output_name: action_key(self.made_by(output_name)) for output_name in self.outputs}
        if self.recompute or not all(map(actions.lookup, keys.values())):
            return False
        restored = self._restore(actions)
        if len(restored) < len(self.outputs):
            return False
        write_json(self.record, {**next(iter(restored.values()))["run"], "status": "restored"})
        return True

    def _restore(self, actions: Actions) -> dict[str, dict[str, Any]]:
        """Write the manifests of all parts the store has; returns their actions."""
        restored = {}
        for output_name, output in self.outputs.items():
            made_by = self.made_by(output_name)
            action = None if self.recompute else actions.lookup(action_key(made_by))
            if action is not None:
                Manifest(**action["manifest"]).write(output)
                restored[output_name] = action
        return restored

    def _compute(
        self,
        compute: Callable[[Job, dict[str, Path]], dict[str, Facts]],
        missing: list[str],
        began: datetime,
        clock: float,
    ) -> dict[str, Any]:
        """Compute and commit the missing parts; returns the run record."""
        self._pin_code()
        _limit_threads(self.threads)
        staged = {output_name: self.store.stage() for output_name in missing}
        try:
            facts = compute(self, staged)
            run = self._describe("done", began, clock)
            for output_name in missing:
                made_by = self.made_by(output_name)
                key = action_key(made_by)
                manifest = self.store.commit(
                    staged[output_name],
                    rule=self.rule,
                    facts=facts[output_name],
                    key=key,
                    made_by=made_by,
                )
                earlier = self.store.record(key, manifest, run)
                if earlier:
                    run["nondeterminism"] = (
                        f"equal key, different content: {earlier[:12]} before, "
                        f"{manifest.digest[:12]} now"
                    )
                    self.store.record(key, manifest, run)
                    print(f"{self.rule}: nondeterminism: {run['nondeterminism']}", file=sys.stderr)
                shutil.rmtree(self.store.checkpoint_folder(key), ignore_errors=True)
                manifest.write(self.outputs[output_name])
        finally:
            for folder in staged.values():
                shutil.rmtree(folder, ignore_errors=True)
        return run

    def _pin_code(self) -> None:
        """Record the code behind the key, function by function; refuse code that has changed."""
        if self.script is None:
            return
        reached = code_of(self.script, Path(__file__).parents[2])
        if reached.digest != self.code:
            raise LedgerError(
                "the code was edited after the workflow had started, so this result would carry "
                "the wrong key: start the same command again."
            )
        self.store.record_code(reached.digest, dict(reached.functions))

    def _fail(self, reason: str, began: datetime, clock: float, **more: str) -> None:
        """Write a failure record, and print the reason in one line."""
        line = " ".join(reason.split())
        write_json(self.record, {**self._describe("failed", began, clock), "reason": line, **more})
        print(f"{self.rule}: {line}", file=sys.stderr, flush=True)

    def _describe(self, status: str, began: datetime, clock: float) -> dict[str, Any]:
        """The run record: when, where, how long, how much."""
        seconds = time.monotonic() - clock
        torch: Any = sys.modules.get("torch")
        on_gpu = torch is not None and torch.cuda.is_available()
        return {
            "status": status,
            "rule": self.rule,
            "started": began.isoformat(timespec="seconds"),
            "seconds": round(seconds, 2),
            "cpu_seconds": round(_cpu_seconds(), 2),
            "host": platform.node(),
            "device": torch.cuda.get_device_name() if on_gpu else "CPU",
            "threads": self.threads,
            "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "versions": _versions(),
            "git_commit": _git_commit(),
            "cost_usd": round(self.price_per_hour * seconds / 3600, 4),
            "computed_torch": torch is not None,
            "sandbox": os.environ.get("MODAL_SANDBOX_ID", ""),
        }


def fill(produce: Callable[[Job, Path], Facts]) -> Callable[[Job, dict[str, Path]], dict]:
    """Adapt a function of one output folder to :meth:`Job.run` (the single part ``""``)."""
    return lambda job, folders: {"": produce(job, folders[""])}


def _limit_threads(threads: int) -> None:
    """Give numeric libraries, not loaded yet, the threads Snakemake reserved for this job."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    # How long a waiting OpenMP thread spins. Measured on two cores, steps/s of the embedded model:
    # 7.4 with this, 4.0 without spinning, 1.1 with libgomp's default of spinning for long.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("JAXTYPING_DISABLE", "1")


def _cpu_seconds() -> float:
    """Processor time of this process and of those it has waited for."""
    used = [resource.getrusage(scope) for scope in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _versions() -> dict[str, str]:
    """Installed versions of :data:`VERSIONS`, read without importing them."""
    versions = {"python": platform.python_version()}
    for name in VERSIONS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return versions


def _git_commit() -> str:
    """Short commit of the working tree, with ``+`` when it has uncommitted changes.

    Sources that travelled to a container have no history; their sender sets ``SOURCE_COMMIT``.
    """
    if os.environ.get("SOURCE_COMMIT"):
        return os.environ["SOURCE_COMMIT"]
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unversioned"
    return commit + ("+" if changed else "")
