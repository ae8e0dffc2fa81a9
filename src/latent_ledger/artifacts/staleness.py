"""Manifests and ledgers that Snakemake would wrongly take for current.

Snakemake sees a changed param by comparing with its own record in ``.snakemake/metadata``. When
that record is gone, or is of a newer manifest than the one that lies there, it sees nothing, and an
old number would stand as a current one. A manifest carries its ingredients (``made_by``), so it can
be judged without Snakemake's record.

An outdated manifest gets a record of Snakemake with the reason as its params
(:func:`mark_outdated`). Snakemake's comparison then finds the change and prints the reason. Nothing
in ``results/`` is deleted or touched, so a dry run, ``--lint`` and ``--summary`` leave it as it
was.
"""

import json
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from latent_ledger.artifacts.provenance import Project, describe_change, ingredients
from latent_ledger.artifacts.store import Manifest, Store
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.numbers import canonical

Jobs = Mapping[str, tuple[str, Mapping[str, Any]]]
"""Path of a manifest -> (rule, settings) that it should have been made with."""

RECORDS = Path(".snakemake/metadata")
"""Where Snakemake keeps its record of each output, below the working directory."""
RECORD_FORMAT = 6
"""Version of these records: Snakemake compares params from this one on."""


def why_stale(
    manifest: Manifest, rule: str, settings: Mapping[str, Any], code: str, env: str
) -> str | None:
    """The first of rule, settings, code and environment that differs from `manifest`; or None."""
    made_by = manifest.made_by
    if made_by.get("rule") != rule:
        return "rule"
    if made_by["settings"] != canonical(dict(settings)):
        return "settings"
    if made_by["code"] != code:
        return "code"
    return "environment" if made_by["env"] != env else None


def outdated(
    jobs: Jobs,
    code_digest: Callable[[str], str],
    env: Callable[[Mapping[str, Any]], str],
    store: Store | None,
    root: Path = Path(),
) -> dict[str, str]:
    """Manifests that must be made again although Snakemake would see no reason to, and why.

    These are manifests that are stale while Snakemake's record of them does not show it, unreadable
    ones, and those whose payload is no longer in the store. Without a store (it is on a Volume, see
    :mod:`latent_ledger.artifacts.remote`) payloads are not looked for. Raises :class:`LedgerError`
    when there are manifests and their store is not there at all.
    """
    present = [path for path in jobs if (root / path).exists()]
    if present and store is not None and not store.root.is_dir():
        raise LedgerError(
            f"{len(present)} manifests ({present[0]}, ...) rest on the store {store.root}, which "
            "is not there: set LATENT_LEDGER_STORE or `store` to where it is, or delete the "
            "manifests to make everything again."
        )
    reasons = {}
    for path in present:
        rule, settings = jobs[path]
        reason = _why_remake(root, path, rule, settings, code_digest(rule), env(settings), store)
        if reason:
            reasons[path] = reason
    return reasons


def explain(jobs: Jobs, project: Project, store: Store, root: Path = Path()) -> list[str]:
    """Changes since the manifests in results/ were made, one line per rule and change.

    For example ``probing (16 results): code: evaluations.probing.evaluation:produce``. Snakemake's
    own reason names a digest; this names the functions and the values behind it.
    """
    changes: Counter[tuple[str, str]] = Counter()
    for path, (rule, settings) in jobs.items():
        try:
            made_by = Manifest.read(root / path).made_by
        except LedgerError:
            continue  # absent or unreadable: there is nothing to compare with
        code, env = project.code_digest(rule), project.environment(settings)
        # A changed input is explained by the line of the job that made it.
        now = ingredients(rule, canonical(dict(settings)), code, env, {})
        then = {**made_by, "inputs": {}}
        if now != then:
            before, after = store.functions_of(made_by["code"]), project.functions(rule)
            changes[rule, describe_change(then, now, before, after)] += 1
    return [
        f"{rule} ({count} result{'s' if count > 1 else ''}): {change}"
        for (rule, change), count in changes.items()
    ]


def mark_outdated(reasons: Mapping[str, str], root: Path = Path()) -> None:
    """Write Snakemake's record of each file so that its params differ from any that a rule has.

    `reasons`: path -> why; Snakemake prints it as the old value of the params. Once the file is
    made again, Snakemake replaces the record.
    """
    for path, reason in reasons.items():
        record = root / RECORDS / _record_name(path)
        record.parent.mkdir(parents=True, exist_ok=True)
        params = [repr(f"outdated: {reason}")]
        record.write_text(
            json.dumps({"record_format_version": RECORD_FORMAT, "params": params}), encoding="utf-8"
        )


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
    if stale is None:
        return None
    # The params of a rule that hold these, as rules/common.smk names them.
    now = {"settings": dict(settings), "environment": f"env:{env}"}.get(stale, f"code:{code}")
    return _why_unseen(root / RECORDS / _record_name(path), stale, now)


def _why_unseen(record: Path, stale: str, now: Any) -> str | None:
    """Why Snakemake does not see that a param is `now` another; None if it does see it."""
    try:
        params = json.loads(record.read_text(encoding="utf-8"))["params"]
    except FileNotFoundError:
        return f"its {stale} changed, and Snakemake's own record of it is gone"
    except (OSError, ValueError, LookupError, TypeError):
        params = None
    if not params or repr(now) in params:
        return f"its {stale} changed, and Snakemake's own record is not of this manifest"
    return None


def _record_name(path: str) -> str:
    """Place of Snakemake's record of an output, in parts no longer than a file's name may be.

    As in its FilePersistence backend.
    """
    name = urlsafe_b64encode(path.encode()).decode()
    *folders, last = (name[start : start + 254] for start in range(0, len(name), 254))
    return "/".join([*(f"@{folder}" for folder in folders), last])
