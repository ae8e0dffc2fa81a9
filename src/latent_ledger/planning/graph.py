"""From a configuration to the whole graph: the union of what its stages ask for.

    stages --captures, codes, token sets--> tokens, activations, codes
           --jobs--> manifest path -> (rule, settings)      what the rules run
           --rows--> the rows the ledger must have          what the ledger compares

The rules take their inputs and params from here; the ledger takes from here what *should* have
been run. Paths come from :mod:`latent_ledger.planning.paths`.
"""

from __future__ import annotations

from dataclasses import asdict, replace

from latent_ledger.config.coder_specs import base
from latent_ledger.lib.files import digest_json
from latent_ledger.models.hook_points import HookPoint
from latent_ledger.planning import paths
from latent_ledger.planning.models import capture_settings, parity_row
from latent_ledger.planning.registry import STAGES
from latent_ledger.planning.stage import Capture, Config, Jobs, RowPlan, Settings
from latent_ledger.planning.text import PACKED, of_part, packed


def captures(config: Config) -> list[Capture]:
    """Everything that must be captured, by token set, model and hook point."""
    return sorted({capture for stage in STAGES for capture in stage.captures(config)})


def capture_groups(config: Config) -> dict[tuple[str, str], list[HookPoint]]:
    """(token set, model) -> its hook points: one forward pass each."""
    groups: dict[tuple[str, str], list[HookPoint]] = {}
    for capture in captures(config):
        groups.setdefault((capture.split, capture.model), []).append(capture.hook_point)
    return groups


def codes(config: Config) -> list[tuple[str, str]]:
    """(token set, coder) of all codes that some stage reads."""
    return sorted({pair for stage in STAGES for pair in stage.codes(config)})


def token_sets(config: Config) -> dict[str, tuple[str, Settings]]:
    """Token set -> (manifest of its text, settings), for the sets that somebody reads.

    A set cut by another model's tokenizer is called ``<set>@<model>``.
    """
    used = dict.fromkeys((split, base(config, model)) for split, model in capture_groups(config))
    found = {paths.over(*one): packed(config, *one) for one in used if one[0] in PACKED}
    for stage in STAGES:
        found.update(stage.token_sets(config))
    return found


def jobs(config: Config) -> Jobs:
    """Every manifest the configuration asks for: path -> (rule, settings of that part)."""
    found: Jobs = {}
    for stage in STAGES:
        found.update(stage.jobs(config))
    for split, (_, settings) in token_sets(config).items():
        found[paths.tokens(split)] = ("tokens", settings)
    for (split, model), hook_points in capture_groups(config).items():
        settings = capture_settings(config, hook_points, model)
        for hook_point in hook_points:
            path = paths.activations(split, hook_point, model)
            found[path] = ("capture", of_part(settings, str(hook_point)))
    for split, name in codes(config):
        found[paths.codes(split, name)] = ("encode", {})
    return found


def rows(config: Config) -> list[RowPlan]:
    """Every row of the ledger, in reading order: stage by stage, the parity gates after the model.

    A row that rests on another row's manifest needs whatever that row needs: a comparison says
    which gate stopped the evaluation it wanted to compare.
    """
    found: list[RowPlan] = []
    for stage in STAGES:
        found += stage.rows(config)
        if stage.name == "models":
            found += [parity_row(config, capture) for capture in captures(config)]
    ways = {row.manifest: row.needs for row in found}
    return [
        replace(row, needs=list(dict.fromkeys(p for n in row.needs for p in (*ways.get(n, ()), n))))
        for row in found
    ]


def fingerprint(config: Config) -> str:
    """Digest of everything the ledger is planned from; it changes when a row or a job does."""
    planned = [asdict(row) for row in rows(config)]
    return digest_json([planned, jobs(config), config["ledger"], config.get("references")])


def read(row: RowPlan, payload):
    """The :class:`~latent_ledger.planning.stage.Finding` of a row, from its verified payload."""
    readers = {kind: reader for stage in STAGES for kind, reader in stage.readers.items()}
    return readers[row.row_type](row, payload)


def record_name(manifest: str) -> str:
    """Run record of the job behind a manifest, below results/records/."""
    name = manifest.removeprefix("results/")
    if name.startswith("activations/"):
        return f"{name.rpartition('/')[0]}.json"  # one capture job per token set and model
    if name == paths.CONCEPTS.removeprefix("results/"):
        return "concepts.json"
    return "corpus.json" if name.startswith("corpus/") else name
