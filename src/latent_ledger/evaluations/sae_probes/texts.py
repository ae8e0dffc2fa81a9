"""Labelled texts from sae_probes' data sets, without those that trained a model or coder here.

    texts of one set -> one vote per text -> hash order -> without texts seen in training
                     -> the first n/2 of either label

The embedded corpus comes from the same package, so a text is dropped when it equals a text that
trained the model or the coders, or shares a passage of 64 bytes with one
(:mod:`latent_ledger.text.corpora.passages`). The draw is a function of text and seed; the label is
1 for the second of a set's two values in sorted order, as in sae_probes' ``LabelEncoder``, which
splits into training and test itself: every row's ``split`` is "pool".
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latent_ledger.lib.errors import LedgerError
from latent_ledger.text import corpus
from latent_ledger.text.corpora import embedded
from latent_ledger.text.corpora.passages import Passages
from latent_ledger.text.corpora.splits import position, text_digest
from latent_ledger.text.tables import write_examples


def produce(settings: Mapping[str, Any], trained_on: Sequence[Path], out: Path) -> dict[str, int]:
    """Write ``examples.parquet`` (the columns of ``text/tables.py``); return counts.

    `settings`: ``datasets`` (names as in sae_probes, ``65_high-school``), ``examples`` (texts per
    set, half of either label), ``seed``. `trained_on`: the corpus parts that trained the model and
    the coders. Raises :class:`LedgerError` for a set that has too few texts left.
    """
    salt, half = f"sae_probes {settings['seed']}", settings["examples"] // 2
    # Three candidates per text to be drawn bound the work on large sets.
    pools = {name: candidates(name, 3 * half, salt) for name in settings["datasets"]}
    texts = sorted({text for pool in pools.values() for text, _ in pool})
    seen = seen_in_training(texts, trained_on)
    rows: list[tuple[str, int, str, str]] = []
    for name, pool in pools.items():
        drawn = first_of_either([row for row in pool if row[0] not in seen], half)
        fewest = min(sum(label == value for _, label in drawn) for value in (0, 1))
        if fewest < half:
            raise LedgerError(
                f"evaluations.sae_probes: {name} has {fewest} texts of a label that nothing here "
                f"was trained on, and {half} are asked for: lower examples to {2 * fewest}, or "
                "leave the set out."
            )
        rows += [(name, label, "pool", text) for text, label in drawn]
    write_examples(rows, out)
    return {
        "datasets": len(pools),
        "examples": len(rows),
        "candidates": sum(map(len, pools.values())),
        "dropped_as_seen": sum(text in seen for pool in pools.values() for text, _ in pool),
    }


def candidates(name: str, per_label: int, salt: str) -> list[tuple[str, int]]:
    """Distinct texts of a set in hash order with their 0/1 label, at most `per_label` of each.

    A text with both labels is left out. Raises :class:`LedgerError` unless the set has two labels.
    """
    rows = [(text, value) for text, value in embedded.read_set(set_number(name)) if text]
    values = sorted({value for _, value in rows})
    if len(values) != 2:
        raise LedgerError(
            f"evaluations.sae_probes.datasets: {name} has {len(values)} labels, not two; choose "
            "another set."
        )
    votes: dict[str, set[int]] = {}
    for text, value in rows:
        if text.strip():
            votes.setdefault(text, set()).add(values.index(value))
    ordered = sorted(votes, key=lambda text: position(text_digest(text), salt))
    pool = [(text, min(votes[text])) for text in ordered if len(votes[text]) == 1]
    return first_of_either(pool, per_label)


def first_of_either(pool: Iterable[tuple[str, int]], count: int) -> list[tuple[str, int]]:
    """The first `count` texts of either label, in the order of the pool."""
    drawn, seen = [], Counter[int]()
    for text, label in pool:
        seen[label] += 1
        if seen[label] <= count:
            drawn.append((text, label))
    return drawn


def set_number(name: str) -> int:
    """The number of a set, from its name. Raises :class:`LedgerError` if there is no such set."""
    head = name.partition("_")[0]
    if head.isdigit() and embedded.set_path(int(head)).name == f"{name}.csv.zst":
        return int(head)
    raise LedgerError(
        f"evaluations.sae_probes.datasets: sae_probes carries no set {name!r}; write number and "
        "name, such as 65_high-school."
    )


def seen_in_training(texts: Sequence[str], trained_on: Iterable[Path]) -> set[str]:
    """Those of `texts` that equal a training text or share a passage with one."""
    known, reference = set(texts), Passages(texts)
    seen: set[str] = set()
    for corpus_split in trained_on:
        corpus_texts = corpus.read(corpus_split, ["text"])["text"].to_pylist()
        seen.update(text for text in corpus_texts if text in known)
        # First the few training texts that share a passage (a sieve makes that one cheap pass),
        # then the texts that share it with them.
        shares = reference.found_in(corpus_texts)
        overlapping = [corpus_texts[index] for index in np.flatnonzero(shares)]
        if overlapping:
            hits = Passages(overlapping).found_in(texts)
            seen.update(texts[index] for index in np.flatnonzero(hits))
    return seen
