"""Text and tokens: the corpus in disjoint parts, the labelled concepts, and the token sets."""

from __future__ import annotations

from collections.abc import Mapping

from latent_ledger.config import sources
from latent_ledger.config.coder_specs import ORIGINAL
from latent_ledger.planning import paths
from latent_ledger.planning.stage import Config, Jobs, Settings, Stage, without
from latent_ledger.text.concept_sets import OCCUPATIONS
from latent_ledger.text.corpora.registry import source_of

PACKED = ("coder", "evaluation", "scoring")
"""Token sets that are parts of the corpus; others hold labelled examples, one per row."""


def listing(section: str, source: str) -> Settings:
    """Digest of a local folder's files, so that an edit is seen; nothing for any other source."""
    return sources.listing(section, source)


def corpus_settings(config: Config) -> Settings:
    """Parts are intervals of the documents' hash, so the last part can grow without moving any."""
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
    """Concepts whose texts no model or coder may see: the occupations, and any other probed one.

    All occupations are held out, so that probing for one more of them retrains nothing.
    """
    probing = config["evaluations"].get("probing", {})
    if "source" not in probing or not source_of(probing["source"]).named_concepts:
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


def budget(config: Config, split: str, base: str = ORIGINAL) -> int:
    """Tokens taken from a part of the corpus for the coders of a published model."""
    budgets = config["tokens"]["budget"]
    return budgets[split] if base == ORIGINAL else config["model"]["others"][base]["tokens"][split]


def packed(config: Config, split: str, base: str = ORIGINAL) -> tuple[str, Settings]:
    """Text and settings of a token set that is a part of the corpus: contexts up to a budget."""
    settings = {
        "layout": "packed",
        "context": config["tokens"]["context"],
        "budget": budget(config, split, base),
        "part": split,
    }
    return paths.corpus(split), settings


def of_part(settings: Mapping, part: str) -> Settings:
    """Settings of one output of a job that has several."""
    return {**without(settings, "parts"), **settings["parts"][part]}


def jobs(config: Config) -> Jobs:
    """The corpus' parts and, if somebody probes, the concepts."""
    corpus = corpus_settings(config)
    found: Jobs = {
        paths.corpus(part): ("corpus", of_part(corpus, part)) for part in corpus["parts"]
    }
    if "probing" in config["evaluations"]:
        found[paths.CONCEPTS] = ("concepts", concepts_settings(config))
    return found


STAGE = Stage("data", jobs=jobs)
