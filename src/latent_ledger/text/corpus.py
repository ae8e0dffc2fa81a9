"""Corpus: a stream of texts, cut into disjoint parts that no document ever leaves.

    texts -> exact duplicates out -> texts that concept probing uses out -> parts by hash

A document's part is a function of its text and the seed alone: the salted sha256, read as a number
in [0, 1), falls into the interval of a part. Intervals follow one another in the order of the
configuration; documents beyond their sum are not used. So neither the order of the source, nor
documents added later, nor a part declared behind the others move any document. Within a part,
documents stand in the order of that number: its first tokens are a fair sample of all its sources.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from latent_ledger.lib.errors import LedgerError
from latent_ledger.text import concepts
from latent_ledger.text.corpora.passages import Passages
from latent_ledger.text.corpora.registry import documents
from latent_ledger.text.corpora.splits import position, text_digest
from latent_ledger.text.tables import write_rows

ROW_GROUP = 8192
SCHEMA = pa.schema(
    {"doc_id": pa.int64(), "sha256": pa.string(), "source": pa.string(), "text": pa.string()}
)

Row = tuple[float, str, str, str]
"""A document on its way into a part: place in [0, 1), sha256, source, text."""


def produce(settings: Mapping, outs: Mapping[str, Path]) -> dict[str, dict]:
    """Write ``documents.parquet`` of some parts (name -> folder); return facts for each.

    `settings`: ``source`` and what it needs, ``parts`` (name -> fraction, in order), ``seed``, and
    ``exclude_concepts``: True for the occupation concepts, or a list of concept names, whose texts
    (and texts that share a passage with them) are dropped. The facts are the numbers of documents
    and bytes. Raises :class:`LedgerError` for an unknown or empty part.
    """
    limits = _intervals(settings["parts"])
    for corpus_split in outs:
        if corpus_split not in limits:
            raise LedgerError(
                f"corpus.parts has no part {corpus_split!r} (it has {', '.join(limits)}): add its "
                "fraction."
            )
    salt = f"corpus {settings['seed']}"
    rows: dict[str, list[Row]] = {corpus_split: [] for corpus_split in outs}
    seen: set[str] = set()
    for document in documents(settings):
        digest = text_digest(document.text)
        if digest in seen:
            continue
        seen.add(digest)
        place = position(digest, salt)
        for corpus_split in outs:
            low, high = limits[corpus_split]
            if low <= place < high:
                rows[corpus_split].append((place, digest, document.source, document.text))
    excluded = settings.get("exclude_concepts")
    if excluded:
        texts = concepts.all_texts(excluded)
        known, passages = {text_digest(text) for text in texts}, Passages(texts)
        for corpus_split, part in rows.items():
            shares = passages.found_in([text for *_, text in part])
            rows[corpus_split] = [
                row
                for row, overlaps in zip(part, shares, strict=True)
                if row[1] not in known and not overlaps
            ]
    return {
        corpus_split: _write(sorted(rows[corpus_split]), corpus_split, out)
        for corpus_split, out in outs.items()
    }


def produce_slice(settings: Mapping, out: Path) -> dict:
    """Write the first documents of the source, in its order, duplicates and all; return facts.

    `settings`: ``source`` and what it needs, ``documents`` (how many), ``slice`` (its name). Models
    and coders trained here may have seen them. Raises :class:`LedgerError` if there are fewer.
    """
    count = settings["documents"]
    rows = [
        (0.0, text_digest(document.text), document.source, document.text)
        for document in islice(documents(settings), count)
    ]
    if len(rows) < count:
        raise LedgerError(
            f"corpus.slices.{settings['slice']} asks for {count} documents, and "
            f"{settings['source']} has {len(rows)}: lower it, or choose another corpus."
        )
    return _write(rows, settings["slice"], out)


def read(folder: Path, columns: Sequence[str] = ("doc_id", "sha256", "text")) -> pa.Table:
    """Read columns of a part's documents, in the order of ``doc_id``."""
    return parquet.read_table(Path(folder) / "documents.parquet", columns=list(columns))


def _intervals(parts: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    limits, low = {}, 0.0
    for corpus_split, fraction in parts.items():
        if fraction <= 0:
            raise LedgerError(
                f"corpus.parts.{corpus_split} is {fraction}: write a fraction above 0."
            )
        limits[corpus_split] = (low, low + fraction)
        low += fraction
    if low > 1 + 1e-9:
        raise LedgerError(
            f"corpus.parts sum to {low:.6g}: fractions of one corpus sum to at most 1."
        )
    return limits


def _write(rows: list[Row], corpus_split: str, out: Path) -> dict:
    if not rows:
        raise LedgerError(
            f"The corpus part {corpus_split!r} is empty: enlarge corpus.parts.{corpus_split} or "
            "the corpus."
        )
    documents_path = Path(out) / "documents.parquet"
    write_rows((row[1:] for row in rows), SCHEMA, documents_path, row_group_size=ROW_GROUP)
    return {"documents": len(rows), "bytes": sum(len(text.encode()) for *_, text in rows)}
