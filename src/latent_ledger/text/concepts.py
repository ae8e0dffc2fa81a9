"""Labelled texts for concept probing: balanced, deduplicated, and split without a leak.

    labelled texts -> one vote per text -> groups that share a passage -> train or test by hash
                   -> the first n/2 of either label, per concept and split, in hash order

A group lies on one side as a whole, for *all* concepts: a text in training of one concept is never
in testing of another, nor is an overlapping excerpt of it. The sides and the draw are functions of
text and seed and do not depend on the order of the source.

Sources: ``embedded`` (the sets of :mod:`latent_ledger.text.concept_sets`), or a hub data set or
local folder whose ``label_field`` holds the concepts' names; every other value is a negative. There
a concept may also be a contrast of two values, ``19 vs 21``: texts of the first are positive, of
the second negative, and all others are left out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.suggestions import nearest
from latent_ledger.text.concept_sets import CONCEPTS, OCCUPATIONS, ConceptSet
from latent_ledger.text.corpora import embedded
from latent_ledger.text.corpora.passages import clusters
from latent_ledger.text.corpora.registry import records, source_of
from latent_ledger.text.corpora.splits import position, text_digest
from latent_ledger.text.tables import write_examples

SPLITS = ("train", "test")
VERSUS = " vs "
"""Between the two labels of a contrast."""
SPARE = 4
"""Candidates kept per example asked for: bounds the work on large labelled sets."""


def all_texts(concepts: bool | Sequence[str] = True) -> list[str]:
    """Every distinct text of some embedded concepts (True: the occupations), sorted."""
    names = list(OCCUPATIONS) if concepts is True else list(concepts or ())
    return sorted({text for name in names for text, _ in embedded.read_set(_known(name).number)})


def produce(settings: Mapping, out: Path) -> dict:
    """Write ``examples.parquet``; return counts of examples and distinct texts.

    `settings`: ``source``, ``concepts`` (names), ``examples`` ({"train": n, "test": n}, counted
    per concept, half of them positive), ``seed``; ``text_field`` and ``label_field`` where the
    source is not embedded. Raises :class:`LedgerError` for a concept that is unknown or too rare.
    """
    sizes = {split: int(settings["examples"][split]) for split in SPLITS}
    for split, count in sizes.items():
        if count < 2 or count % 2:
            raise LedgerError(
                f"probing.examples.{split} is {count}: write an even number, half of the examples "
                "carry the concept."
            )
    salt = f"concepts {settings['seed']}"
    pools = _pools(settings, keep=SPARE * sum(sizes.values()), salt=salt)
    sides = _sides({text for pool in pools.values() for text in pool}, sizes, salt)
    rows = [
        (concept, label, split, text)
        for concept, pool in pools.items()
        for split in SPLITS
        for text, label in _draw(concept, split, sizes[split], pool, sides)
    ]
    write_examples(rows, out)
    return {
        "concepts": len(pools),
        "examples": len(rows),
        "distinct_texts": len({text for *_, text in rows}),
    }


def _known(concept: str) -> ConceptSet:
    if concept not in CONCEPTS:
        near = nearest(concept, CONCEPTS, cutoff=0.0)
        raise LedgerError(
            f"probing.concepts: there is no embedded concept {concept!r}; the nearest is {near!r} "
            f"(there are {', '.join(CONCEPTS)})."
        )
    return CONCEPTS[concept]


def _labelled(settings: Mapping) -> Iterator[tuple[str, str, int]]:
    """(concept, text, label) of every example in the source."""
    if source_of(settings["source"]).named_concepts:
        for concept in settings["concepts"]:
            labelled = _known(concept)
            for text, value in embedded.read_set(labelled.number):
                yield concept, text, int(value == labelled.positive)
        return
    if not settings.get("label_field"):
        raise LedgerError("probing.label_field: name the field that holds the concept of a text.")
    fields = (settings.get("text_field") or "text", settings["label_field"])
    for _, (text, value) in records(settings, fields):
        for concept in settings["concepts"]:
            positive, _, negative = concept.partition(VERSUS)
            if str(value) == positive:
                yield concept, text, 1
            elif not negative or str(value) == negative:
                yield concept, text, 0


def _first_of_each_label(rows: Iterable[tuple[str, int]], count: int) -> list[tuple[str, int]]:
    """The first `count` of the (text, label) `rows` with label 0, and with label 1, in order."""
    left = {0: count, 1: count}
    drawn = []
    for text, label in rows:
        if left[label]:
            left[label] -= 1
            drawn.append((text, label))
    return drawn


def _pools(settings: Mapping, keep: int, salt: str) -> dict[str, dict[str, int]]:
    """Concept -> {text: label} in hash order, at most `keep` per label.

    A text with both labels for one concept has none.
    """
    votes: dict[str, dict[str, int | None]] = {concept: {} for concept in settings["concepts"]}
    for concept, text, label in _labelled(settings):
        if isinstance(text, str) and text.strip():
            pool = votes[concept]
            pool[text] = label if pool.get(text, label) == label else None
    pools = {}
    for concept, pool in votes.items():
        labelled = [(text, label) for text, label in pool.items() if label is not None]
        labelled.sort(key=lambda row: position(text_digest(row[0]), salt))
        pools[concept] = dict(_first_of_each_label(labelled, keep))
    return pools


def _sides(texts: set[str], sizes: Mapping[str, int], salt: str) -> dict[str, str]:
    """Text -> "train" or "test", one side per group of texts that share a passage."""
    ordered = sorted(texts)
    groups = clusters(ordered).tolist()
    share = sizes["test"] / sum(sizes.values())
    first: dict[int, str] = {}
    for group, digest in zip(groups, map(text_digest, ordered), strict=True):
        first[group] = min(first.get(group, digest), digest)
    side = {
        group: "test" if position(digest, f"{salt} side") < share else "train"
        for group, digest in first.items()
    }
    return {text: side[group] for text, group in zip(ordered, groups, strict=True)}


def _draw(
    concept: str, split: str, count: int, pool: Mapping[str, int], sides: Mapping[str, str]
) -> list[tuple[str, int]]:
    """The first `count` / 2 texts of either label on one side, in hash order."""
    half = count // 2
    candidates = [(text, label) for text, label in pool.items() if sides[text] == split]
    drawn = _first_of_each_label(candidates, half)
    if len(drawn) < 2 * half:
        have = Counter(label for _, label in candidates)
        raise LedgerError(
            f"The concept {concept!r} has {have[1]} positive and {have[0]} negative texts for "
            f"{split}, and {half} of each are asked for: lower probing.examples.{split} to at most "
            f"{2 * min(have[0], have[1])}, or leave the concept out."
        )
    return drawn
