"""Planning of text and tokens: the corpus in disjoint parts, the labelled concepts, token sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latent_ledger.config.coder_specs import ORIGINAL
from latent_ledger.config.sources import kind_of_source, local
from latent_ledger.lib.files import digest_json
from latent_ledger.planning import costs, paths
from latent_ledger.planning.stage import Config, Context, Jobs, PlannedJob, Settings, Stage, without

OCCUPATIONS = ("journalist", "athlete", "actor", "politician", "singer", "researcher")
"""Concepts that are always held out, so that adding one of them retrains nothing."""

CORPUS_TOKEN_SETS = ("coder", "evaluation", "scoring")
"""Token sets that are parts of the corpus; others hold labelled examples, one per row."""


def listing(section: str, source: str) -> Settings:
    """Names, sizes and times of a local folder's files, so that editing one is seen; else nothing.

    A touched file costs one job at most: equal content has an equal digest, which cuts off below.
    """
    if kind_of_source(section, source) != "folder":
        return {}
    root = local(source)
    files = sorted(
        path for path in ([root] if root.is_file() else root.rglob("*")) if path.is_file()
    )
    stats = [(path, path.stat()) for path in files]
    found = [[str(path.relative_to(root)), s.st_size, s.st_mtime_ns] for path, s in stats]
    return {"files": digest_json(found)}


def corpus_settings(config: Config) -> Settings:
    """Parts as intervals of the documents' hash, so the last part can grow without moving any."""
    corpus = without(config["corpus"], "slices") | listing("corpus", config["corpus"]["source"])
    fractions, parts, low = corpus.pop("parts"), {}, 0.0
    for part, fraction in fractions.items():
        parts[part] = {"part": part, "interval": [round(low, 10), round(low + fraction, 10)]}
        low += fraction
    return {**corpus, "exclude_concepts": _held_out_concepts(config), "parts": parts}


def slice_settings(config: Config, name: str) -> Settings:
    """The first documents of the corpus' source, whatever part they belong to."""
    corpus = without(config["corpus"], "parts", "seed", "slices")
    size = config["corpus"]["slices"][name]["documents"]
    return corpus | listing("corpus", corpus["source"]) | {"slice": name, "documents": size}


def _held_out_concepts(config: Config) -> bool | list[str]:
    """Concepts whose texts no model or coder may see: the occupations, and any other probed one."""
    probing = config["evaluations"].get("probing", {})
    if probing.get("source") != "embedded":
        return True
    others = sorted(name for name in probing["concepts"] if name not in OCCUPATIONS)
    return sorted([*OCCUPATIONS, *others]) if others else True


def concepts_settings(config: Config) -> Settings:
    """Which labelled examples are drawn."""
    probing = config["evaluations"]["probing"]
    wanted = ("source", "concepts", "examples", "seed")
    optional = ("revision", "split", "text_field", "label_field")
    found = {name: probing[name] for name in (*wanted, *optional) if name in probing}
    return {**found, **listing("evaluations.probing", probing["source"])}


def budget(config: Config, token_set: str, base: str = ORIGINAL) -> int:
    """Tokens taken from a part of the corpus for the coders of a published model."""
    budgets, others = config["tokens"]["budget"], config["model"]["others"]
    return budgets[token_set] if base == ORIGINAL else others[base]["tokens"][token_set]


def corpus_job(config: Config, corpus_split: str) -> PlannedJob:
    """The job behind one part of the corpus; it makes all parts."""
    settings = part_settings(corpus_settings(config), corpus_split)
    return PlannedJob("corpus", settings, record="corpus.json")


def part_settings(settings: Mapping[str, Any], part: str) -> Settings:
    """Settings of one output of a job that has several."""
    return {**without(settings, "parts"), **settings["parts"][part]}


def jobs(config: Config) -> Jobs:
    """The corpus' parts and, if there is probing, the concepts."""
    planned = {
        paths.corpus(corpus_split): corpus_job(config, corpus_split)
        for corpus_split in config["corpus"]["parts"]
    }
    if "probing" in config["evaluations"]:
        planned[paths.CONCEPTS] = PlannedJob(
            "concepts", concepts_settings(config), record="concepts.json"
        )
    return planned


def tokens_job(context: Context, name: paths.Tokens) -> PlannedJob:
    """A token set cut by a published model's tokenizer: its own text, or a part of the corpus."""
    config = context.config
    if name.token_set in context.token_sets:
        own = context.token_sets[name.token_set]
        text, settings = own.text, own.settings
    else:
        text = paths.corpus(name.token_set)
        settings = {
            "layout": "packed",
            "context": config["tokens"]["context"],
            "budget": budget(config, name.token_set, name.base),
            "part": name.token_set,
        }
    inputs = {"model": paths.model(name.base), "text": text}
    return PlannedJob("tokens", settings, inputs, name.token_set, name.base)


def token_set_size(context: Context, token_set: str, base: str = ORIGINAL) -> float:
    """Tokens of a token set, at most: texts shorter than the context have fewer."""
    if token_set in context.token_sets:
        return context.token_sets[token_set].size
    if token_set in CORPUS_TOKEN_SETS:
        return budget(context.config, token_set, base)
    return 0.0


STAGE = Stage(
    name="text",
    costs=costs.TEXT,
    jobs=jobs,
    makes={paths.Tokens: tokens_job},
)
