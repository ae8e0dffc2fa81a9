"""Manifests and ledgers that Snakemake would wrongly take for current.

Snakemake sees a changed param by comparing with its own record in ``.snakemake/metadata``. When
that record is gone, or is of a newer manifest than the one that lies there, it sees nothing. A
manifest carries its ingredients (``made_by``), so it can be judged without that record.

An outdated manifest gets a record of Snakemake with the reason as its params
(:func:`mark_outdated`): Snakemake finds the change and prints the reason. Nothing in ``results/``
is touched, so a dry run, ``--lint`` and ``--summary`` leave it as it was.
"""

import json
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from latent_ledger.artifacts.provenance import Project, describe_change, ingredients
from latent_ledger.artifacts.store import Manifest, Store
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.numbers import canonical


class Made(NamedTuple):
    """What a manifest should have been made with."""

    rule: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str] = MappingProxyType({})
    """Paths of manifests, by name."""
    shared: bool = False
    """Whether its job makes others too, and shows Snakemake the settings of them all."""


Jobs = Mapping[str, Made]
"""Path of a manifest -> what it should have been made with."""
RECORD_FORMAT = 6
"""Version of Snakemake's own records: it compares params from this one on."""


def why_stale(
    manifest: Manifest, rule: str, settings: Mapping[str, Any], project: Project
) -> str | None:
    """The first of rule, settings, code and environment that differs from `manifest`; or None."""
    now = _ingredients_now(rule, settings, project)
    for name in ("rule", "settings", "code", "env"):
        if manifest.made_by[name] != now[name]:
            return "environment" if name == "env" else name
    return None


def _ingredients_now(rule: str, settings: Mapping[str, Any], project: Project) -> dict[str, Any]:
    """Ingredients of a job's action key in this checkout, without its inputs."""
    code, env = project.code_digest(rule), project.environment(settings)
    return ingredients(rule, canonical(dict(settings)), code, env, {})


def outdated(
    jobs: Jobs, project: Project, store: Store | None, root: Path = Path()
) -> dict[str, str]:
    """Manifests that must be made again although Snakemake would see no reason to, and why.

    Without a store (it is on a Volume, see :mod:`latent_ledger.artifacts.remote`) payloads are not
    looked for. A :class:`LedgerError` where there are manifests and their store is not.
    """
    present = [path for path in jobs if (root / path).exists()]
    if present and store is not None and not store.root.is_dir():
        raise LedgerError(
            f"{len(present)} manifests ({present[0]}, ...) rest on the store {store.root}, which "
            "is not there: set LATENT_LEDGER_STORE or `store` to where it is, or delete the "
            "manifests to make everything again."
        )
    manifests = {path: Manifest.read_if_readable(root / path) for path in present}

    def why(path: str, manifest: Manifest | None) -> str | None:
        if manifest is None:
            return "it is no readable manifest"
        if store is not None and not store.payload_folder(manifest.digest).is_dir():
            return f"its payload {manifest.digest[:12]} is not in the store"
        made, record = jobs[path], root / _record_path(path)
        unseen = _why_stale_unseen(manifest, made, project, record)
        return unseen or _why_other_inputs(manifest, made, manifests)

    reasons = {path: why(path, manifest) for path, manifest in manifests.items()}
    return {path: reason for path, reason in reasons.items() if reason}


def explain(jobs: Jobs, project: Project, store: Store, root: Path = Path()) -> list[str]:
    """Changes since the manifests in results/ were made, one line per rule and change.

    For example ``probing (16 results): code: evaluations.probing.evaluation:produce``, where
    Snakemake's own reason names a digest.
    """
    changes: Counter[tuple[str, str]] = Counter()
    for path, made in jobs.items():
        manifest = Manifest.read_if_readable(root / path)
        if manifest is None:
            continue  # there is nothing to compare with
        # A changed input is explained by the line of the job that made it.
        then = {**manifest.made_by, "inputs": {}}
        now = _ingredients_now(made.rule, made.settings, project)
        if now != then:
            functions = store.functions_of(then["code"]), project.functions(made.rule)
            changes[made.rule, describe_change(then, now, *functions)] += 1

    return [
        f"{rule} ({count} result{'s' if count > 1 else ''}): {change}"
        for (rule, change), count in changes.items()
    ]


def mark_outdated(reasons: Mapping[str, str], root: Path = Path()) -> None:
    """Write Snakemake's record of each path with its reason, which it prints, as the old params."""
    for path, reason in reasons.items():
        record = root / _record_path(path)
        record.parent.mkdir(parents=True, exist_ok=True)
        params = [repr(f"outdated: {reason}")]
        content = {"record_format_version": RECORD_FORMAT, "params": params}
        record.write_text(json.dumps(content), encoding="utf-8")


def _why_other_inputs(
    manifest: Manifest, made: Made, manifests: Mapping[str, Manifest | None]
) -> str | None:
    """Which input a manifest was made with another version of. An absent one runs its job."""
    made_from = manifest.made_by["inputs"]
    if made_from.keys() != made.inputs.keys():
        return "it was made from other inputs"
    for name, path in made.inputs.items():
        above = manifests.get(path)
        if above is not None and made_from[name] != above.digest:
            return f"it was made from another version of its input {name!r}"
    return None


def _why_stale_unseen(manifest: Manifest, made: Made, project: Project, record: Path) -> str | None:
    """Why a manifest is stale although Snakemake's record of it does not show it, or None."""
    stale = why_stale(manifest, made.rule, made.settings, project)
    if stale is None:
        return None
    # The param of a rule that holds it, as rules/common.smk names them.
    now = {
        "settings": dict(made.settings),
        "environment": f"env:{project.environment(made.settings)}",
    }.get(stale, f"code:{project.code_digest(made.rule)}")
    try:
        params = json.loads(record.read_text(encoding="utf-8"))["params"]
    except FileNotFoundError:
        return f"its {stale} changed, and Snakemake's own record of it is gone"
    except (OSError, ValueError, LookupError, TypeError):
        params = None
    if not params or repr(now) in params or (made.shared and stale == "settings"):
        return f"its {stale} changed, and Snakemake's own record is not of this manifest"
    return None


def _record_path(path: str) -> Path:
    """Place of Snakemake's record of an output, below the working directory.

    Its name is cut into parts no longer than a file's may be, as in the FilePersistence backend.
    """
    name = urlsafe_b64encode(path.encode()).decode()
    *folders, last = (name[start : start + 254] for start in range(0, len(name), 254))
    return Path(".snakemake/metadata", *(f"@{folder}" for folder in folders), last)
