"""Manifests that Snakemake would wrongly take for current.

Snakemake finds a changed param by comparing with what it wrote into ``.snakemake/metadata``. When
that folder is gone it sees nothing, and an old number would stand as a current one. A manifest
carries its own ingredients (``made_by``), so it can be judged without Snakemake's memory.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from latent_ledger.artifacts.provenance import Project, describe_change, ingredients
from latent_ledger.artifacts.store import Manifest, Store
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.numbers import canonical

Jobs = Mapping[str, tuple[str, Mapping[str, Any]]]
"""Path of a manifest -> (rule, settings) it should have been made with: :func:`plan.jobs`."""


def why_stale(
    manifest: Manifest, rule: str, settings: Mapping[str, Any], code: str, env: str
) -> str | None:
    """What of rule, settings, code and environment differs from what made `manifest`; or None."""
    made_by = manifest.made_by
    if made_by.get("rule") != rule:
        return "rule"
    if made_by["settings"] != canonical(dict(settings)):
        return "settings"
    if made_by["code"] != code:
        return "code"
    return "environment" if made_by["env"] != env else None


def forget(
    jobs: Jobs,
    code_digest: Callable[[str], str],
    env: Callable[[Mapping[str, Any]], str],
    store: Store | None,
    root: Path = Path(),
) -> list[str]:
    """Remove manifests that must be made again although Snakemake would see no reason to.

    These are manifests that are stale while Snakemake's record of them is missing, unreadable
    ones, and those whose payload is no longer in the store. Nothing is lost: what is still current
    comes back from the store in a moment. Returns one line per manifest, to be shown. Without a
    store (it is on a Volume, say, see :mod:`latent_ledger.artifacts.remote`) payloads are not
    looked for.
    """
    lines = []
    for path, (rule, settings) in jobs.items():
        if not (root / path).exists():
            continue
        reason = _why_remake(root, path, rule, settings, code_digest(rule), env(settings), store)
        if reason:
            (root / path).unlink()
            lines.append(f"{path} will be made again: {reason}.")
    return lines


def explain(jobs: Jobs, project: Project, store: Store, root: Path = Path()) -> list[str]:
    """What changed since the manifests in results/ were made, one line per rule and change.

    For example ``reconstruction (16 results): code: evals.reconstruction:produce``. Snakemake's own
    reason names a digest; this names the functions and the values behind it.
    """
    found: Counter[str] = Counter()
    for path, (rule, settings) in jobs.items():
        if not (root / path).exists():
            continue
        made_by = Manifest.read(root / path).made_by
        code, env = project.code_digest(rule), project.environment(settings)
        # What an input's change means is said by the input's own line.
        now = ingredients(rule, canonical(dict(settings)), code, env, {})
        if now != {**made_by, "inputs": {}}:
            before, after = store.functions_of(made_by["code"]), project.functions(rule)
            found[f"{rule}|{describe_change({**made_by, 'inputs': {}}, now, before, after)}"] += 1
    return [
        f"{rule} ({count} result{'s' if count > 1 else ''}): {change}"
        for line, count in found.items()
        for rule, _, change in [line.partition("|")]
    ]


def age(paths: Iterable[str], root: Path = Path()) -> None:
    """Make files look older than any input, so that Snakemake makes them again.

    For a ledger that was rendered outside its rule (after a failure), or whose inputs were
    forgotten: a missing intermediate manifest alone gives Snakemake no reason to run anything.
    """
    for path in paths:
        if (root / path).exists():
            os.utime(root / path, (1, 1))  # not 0, which Snakemake takes for "no time known"
            # Its record holds checksums of the inputs, which would excuse them for being newer.
            (root / ".snakemake/metadata" / _record_name(path)).unlink(missing_ok=True)


def _why_remake(
    root: Path,
    path: str,
    rule: str,
    settings: Mapping[str, Any],
    code: str,
    env: str,
    store: Store | None,
) -> str | None:
    try:
        manifest = Manifest.read(root / path)
    except LedgerError:
        return "it is no readable manifest"
    if store is not None and not store.payload_folder(manifest.digest).is_dir():
        return f"its payload {manifest.digest[:12]} is not in the store"
    stale = why_stale(manifest, rule, settings, code, env)
    if stale and not (root / ".snakemake/metadata" / _record_name(path)).exists():
        return f"its {stale} changed, and Snakemake's own record of it is gone"
    return None


def _record_name(path: str) -> str:
    """Name of Snakemake's metadata record of an output (its FilePersistence backend)."""
    return urlsafe_b64encode(path.encode()).decode()
