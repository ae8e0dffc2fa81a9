"""The corpus: a stream of texts becomes disjoint parts that never change sides.

    texts -> exact duplicates out -> texts that concept probing uses out -> parts by hash

A document's side is a function of its text and the seed alone: the salted sha256, read as a number
in [0, 1), falls into the interval of a part. Intervals follow one another in the order the parts
are declared in. So neither the order of the source, nor documents added later, nor a part declared
behind the others move any document. Within a part, documents stand in the order of that number: a
random order, so that the first tokens of a part are a fair sample of all its sources. What the
fractions leave over is not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from latent_ledger import concepts
from latent_ledger.corpora import Document, documents
from latent_ledger.corpora.passages import Passages
from latent_ledger.corpora.splits import position, text_digest
from latent_ledger.errors import LedgerError

ROW_GROUP = 8192
SCHEMA = pa.schema(
    [
        ("doc_id", pa.int64()),
        ("sha256", pa.string()),
        ("source", pa.string()),
        ("text", pa.string()),
    ]
)


def produce(settings: Mapping, outs: Mapping[str, Path]) -> dict[str, dict]:
    """Write ``documents.parquet`` of some parts (name -> folder) and return facts for each.

    `settings`: ``source`` and what it needs (see :mod:`latent_ledger.corpora`), ``parts`` (name ->
    fraction, in order), ``seed``, and ``exclude_concepts``: True for the occupation concepts, or a list of
    concept names, whose texts (and texts that share a passage with them) are dropped. The facts
    count documents and bytes of the part, and the duplicates and concept texts dropped from the
    whole corpus. Raises :class:`LedgerError` for an unknown or empty part.
    """
    limits = _intervals(settings["parts"])
    for part in outs:
        if part not in limits:
            raise LedgerError(
                f"corpus.parts has no part {part!r} (it has {', '.join(limits)}): add its fraction."
            )
    salt = f"corpus {settings['seed']}"
    dropped = {"duplicates": 0, "concept_texts": 0}
    rows: dict[str, list[tuple[float, str, str, str]]] = {part: [] for part in outs}
    stream = _without_duplicates(documents(settings), dropped)
    excluded = settings.get("exclude_concepts")
    if excluded:
        stream = _without_concepts(stream, concepts.all_texts(excluded), dropped)
    for digest, document in stream:
        place = position(digest, salt)
        for part in outs:
            low, high = limits[part]
            if low <= place < high:
                rows[part].append((place, digest, document.source, document.text))
    return {part: _write(sorted(rows[part]), part, out) | dropped for part, out in outs.items()}


def read(folder: Path, columns: Sequence[str] = ("doc_id", "sha256", "text")) -> pa.Table:
    """Read columns of a part's documents, in the order of ``doc_id``."""
    return parquet.read_table(Path(folder) / "documents.parquet", columns=list(columns))


def _intervals(parts: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    limits, low = {}, 0.0
    for part, fraction in parts.items():
        if fraction <= 0:
            raise LedgerError(f"corpus.parts.{part} is {fraction}: write a fraction above 0.")
        limits[part] = (low, low + fraction)
        low += fraction
    if low > 1 + 1e-9:
        raise LedgerError(
            f"corpus.parts sum to {low:.6g}: fractions of one corpus sum to at most 1."
        )
    return limits


def _without_duplicates(
    stream: Iterator[Document], dropped: dict[str, int]
) -> Iterator[tuple[str, Document]]:
    seen: set[str] = set()
    for document in stream:
        digest = text_digest(document.text)
        if digest in seen:
            dropped["duplicates"] += 1
            continue
        seen.add(digest)
        yield digest, document


def _without_concepts(
    stream: Iterator[tuple[str, Document]], texts: Sequence[str], dropped: dict[str, int]
) -> Iterator[tuple[str, Document]]:
    known = {text_digest(text) for text in texts}
    passages = Passages(texts)
    while batch := list(islice(stream, ROW_GROUP)):
        shares = passages.found_in([document.text for _, document in batch])
        for (digest, document), overlaps in zip(batch, shares, strict=True):
            if overlaps or digest in known:
                dropped["concept_texts"] += 1
            else:
                yield digest, document


def _write(rows: list[tuple[float, str, str, str]], part: str, out: Path) -> dict:
    if not rows:
        raise LedgerError(
            f"The corpus part {part!r} is empty: enlarge corpus.parts.{part} or the corpus."
        )
    _, digests, sources, texts = zip(*rows, strict=True)
    columns = [range(len(rows)), digests, sources, texts]
    table = pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)],
        schema=SCHEMA,
    )
    parquet.write_table(
        table, Path(out) / "documents.parquet", row_group_size=ROW_GROUP, compression="zstd"
    )
    return {"documents": len(rows), "bytes": sum(len(text.encode()) for text in texts)}
