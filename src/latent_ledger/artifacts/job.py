"""Job of a rule: a lookup of its action key, a computation on a miss, and always a record.

A rule's script unpacks Snakemake's object into a :class:`Job` and hands it a function::

    Job.from_snakemake(snakemake).run(compute)

``compute(job, folders)`` gets verified input payloads (``job.input("model").folder()``) and the
empty folder(s) to fill, and returns the facts. It imports heavy libraries inside, so a job whose
key is in the store ends without loading torch. A rule with several outputs (an activation artifact
per hook point, a corpus part per split) names a *part* per output: only the missing are computed.

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
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from latent_ledger.artifacts import fork_server
from latent_ledger.artifacts.provenance import action_key, code_of, ingredients, named_inputs
from latent_ledger.artifacts.store import Manifest, Payload, Store, default_root
from latent_ledger.lib.errors import CorruptPayload, LedgerError
from latent_ledger.lib.files import write_json

VERSIONS = ("torch", "transformers", "eai-sparsify", "scikit-learn", "numpy", "snakemake")
"""Packages whose versions a run record names."""

USD_PER_SECOND = "SNAKEMAKE_MODAL_USD_PER_SECOND"
"""Environment variable with the price of the job's container, set by the Modal executor."""

Facts = dict[str, Any]
Lookup = Callable[[str], dict[str, Any] | None]
"""Action key -> the action, with its manifest and run record; None where there is none."""
Compute = Callable[["Job", dict[str, Path]], dict[str, Facts]]
"""Job and the folders of the missing parts, which it fills -> facts per part."""


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
    _began: datetime = field(default_factory=lambda: datetime.now(UTC))
    _clock: float = field(default_factory=time.monotonic)

    @classmethod
    def from_snakemake(cls, snakemake: Any, rule: str | None = None) -> Job:
        """Unpack the object that Snakemake injects into a script.

        `rule` names the action where several rules share one script. Expects the params
        ``settings``, ``code``, ``env`` and ``store``, the log ``record``, and the resource
        ``recompute`` (1 when a person forced the rule). The key ``parts`` of the param
        ``settings`` maps a part's name to settings of its own, in the order of the outputs.
        """
        rule, params = rule or snakemake.rule, snakemake.params
        parts = params.settings.get("parts") or [""]
        return cls(
            rule=rule,
            settings=dict(params.settings),
            inputs={name: Path(path) for name, path in named_inputs(snakemake.input).items()},
            outputs=dict(zip(parts, map(Path, snakemake.output), strict=True)),
            code=params.code.partition(":")[2],
            env=params.env.partition(":")[2],
            store=Store(default_root(params.store.partition(":")[2])),
            record=Path(snakemake.log.record),
            script=Path(snakemake.scriptdir) / f"{rule}.py",
            threads=int(snakemake.threads),
            recompute=bool(snakemake.resources.get("recompute", 0)),
            price_per_hour=3600 * float(os.environ.get(USD_PER_SECOND) or 0),
        )

    # -- for compute functions ------------------------------------------------------------------

    def input(self, name: str) -> Payload:
        """The payload behind a named input, verified when its folder is asked for."""
        return self._payloads[name]

    @cached_property
    def _payloads(self) -> dict[str, Payload]:
        """The inputs by name, read once: the keys name exactly what the computation reads."""
        return {name: self.store.open(path) for name, path in sorted(self.inputs.items())}

    def made_by(self, part: str = "") -> dict[str, Any]:
        """Ingredients of a part's action key: the settings are the shared ones and its own."""
        inputs = {name: payload.manifest.digest for name, payload in self._payloads.items()}
        settings = {name: value for name, value in self.settings.items() if name != "parts"}
        if part:
            settings |= self.settings["parts"][part]
        return ingredients(self.rule, settings, self.code, self.env, inputs)

    def key(self, part: str = "") -> str:
        """Action key of a part."""
        return action_key(self.made_by(part))

    def checkpoint(self, part: str = "") -> Path:
        """Folder that outlives a killed attempt of this very action."""
        return self.store.checkpoint_folder(self.key(part))

    # -- running --------------------------------------------------------------------------------

    def run(self, compute: Compute) -> None:
        """Restore what the store holds, compute the rest, and exit with one line on failure."""
        try:
            missing, run = self._restore_held(list(self.outputs))
            if missing and self.threads == 1 and (code := fork_server.run_script()) is not None:
                return _end_as(code)
            if missing:
                with self.store.computing(self.rule, map(self.key, missing)):
                    missing, run = self._restore_held(missing)  # another process may have ended
                    run = self._compute(compute, missing) if missing else run
            write_json(self.record, run)
        except CorruptPayload as error:
            # Its manifest was forgotten here; in a container that is a copy of the caller's.
            self._fail(str(error), corrupt=str(error.manifest or ""))
            raise SystemExit(1) from None
        except LedgerError as error:
            self._fail(str(error))
            raise SystemExit(1) from None
        except MemoryError:
            self._fail("out of memory: give the rule more mem_mb or a smaller batch")
            raise SystemExit(1) from None
        except Exception as error:
            self._fail(f"{type(error).__name__}: {error}")
            raise

    def restore_all(self, lookup: Lookup) -> bool:
        """Restore every part and write the record; False, with nothing written, if one lacks."""
        held = {}
        for part in self.outputs:
            action = self._look_up(part, lookup)
            if not action:
                return False
            held[part] = action
        write_json(self.record, self._restore(held))
        return True

    def _look_up(self, part: str, lookup: Lookup | None = None) -> dict[str, Any] | None:
        """The action of a part, in the store by default; None if it has to be computed."""
        lookup = lookup or self.store.lookup
        return None if self.recompute else lookup(self.key(part))

    def _restore_held(self, parts: list[str]) -> tuple[list[str], dict[str, Any]]:
        """Restore those of `parts` that the store holds; the others, and the run record."""
        held = {part: action for part in parts if (action := self._look_up(part))}
        return [part for part in parts if part not in held], self._restore(held)

    def _restore(self, held: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """Write the manifests of the parts whose actions are given; returns their run record."""
        for part, action in held.items():
            Manifest(**action["manifest"]).write(self.outputs[part])
        runs = [action["run"] for action in held.values()]
        return {**runs[0], "status": "restored"} if runs else {}

    def _compute(self, compute: Compute, missing: list[str]) -> dict[str, Any]:
        """Compute and commit the missing parts; returns the run record."""
        self._pin_code()
        _limit_threads(self.threads)
        staged = {part: self.store.stage() for part in missing}
        try:
            facts = compute(self, staged)
            run = self._describe("done")
            self._refuse_replaced_inputs()
            for part, folder in staged.items():
                key, made_by = self.key(part), self.made_by(part)
                manifest = self.store.commit(folder, facts=facts[part], key=key, made_by=made_by)
                earlier = self.store.record(key, manifest, run)
                if earlier:
                    run["nondeterminism"] = (
                        f"equal key, different content: {earlier[:12]} before, "
                        f"{manifest.digest[:12]} now"
                    )
                    self.store.record(key, manifest, run)
                    print(f"{self.rule}: nondeterminism: {run['nondeterminism']}", file=sys.stderr)
                shutil.rmtree(self.store.checkpoint_folder(key), ignore_errors=True)
                manifest.write(self.outputs[part])
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

    def _refuse_replaced_inputs(self) -> None:
        """Refuse to commit what was computed from inputs that are no longer the current ones."""
        for payload in self._payloads.values():
            if Manifest.read(payload.manifest_path).digest != payload.manifest.digest:
                raise LedgerError(
                    f"{payload.manifest_path} was replaced while this job computed from what it "
                    "was before: start the same command again."
                )

    def _fail(self, reason: str, **more: str) -> None:
        """Write a failure record, and print the reason in one line."""
        line = " ".join(reason.split())
        write_json(self.record, {**self._describe("failed"), "reason": line, **more})
        print(f"{self.rule}: {line}", file=sys.stderr, flush=True)

    def _describe(self, status: str) -> dict[str, Any]:
        """The run record: when, where, how long, how much."""
        seconds = time.monotonic() - self._clock
        torch: Any = sys.modules.get("torch")
        on_gpu = torch is not None and torch.cuda.is_available()
        return {
            "status": status,
            "rule": self.rule,
            "started": self._began.isoformat(timespec="seconds"),
            "seconds": round(seconds, 2),
            "cpu_seconds": round(sum(os.times()[:4]), 2),  # with the processes it has waited for
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


def fill(produce: Callable[[Job, Path], Facts]) -> Compute:
    """Adapt a function of one output folder to :meth:`Job.run` (the single part ``""``)."""
    return lambda job, folders: {"": produce(job, folders[""])}


def _end_as(code: int) -> None:
    """End as the process did that ran this script; a killed one left no record."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = "; out of memory, most likely: give the rule more mem_mb" if code == -9 else ""
        raise LedgerError(f"the job's process was killed ({name}){hint}")
    if code != 0:
        raise SystemExit(1)


def _limit_threads(threads: int) -> None:
    """Give numeric libraries, not loaded yet, the threads Snakemake reserved for this job."""
    os.environ.update(dict.fromkeys(fork_server.THREADS, str(threads)))
    # Spins of a waiting OpenMP thread. Steps/s of the embedded model on two cores: 7.4 with this,
    # 4.0 without spinning, 1.1 with libgomp's default of spinning for long.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("JAXTYPING_DISABLE", "1")


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

    def git(*command: str) -> str:
        done = subprocess.run(["git", *command], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unversioned"
