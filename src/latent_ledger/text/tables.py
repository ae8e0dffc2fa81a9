"""Tables of texts: numbered rows of a fixed schema in one Parquet file."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from latent_ledger.text.corpora.splits import text_digest

EXAMPLES = pa.schema(
    {
        "example_id": pa.int64(),
        "concept": pa.string(),
        "label": pa.int8(),
        "split": pa.string(),
        "text": pa.string(),
        "sha256": pa.string(),
    }
)
"""The columns of ``examples.parquet``."""


def write_rows(rows: Iterable[Sequence], schema: pa.Schema, path: Path, **options: Any) -> None:
    """Write rows, at least one, behind their number; `options` are those of pyarrow."""
    numbered = ((number, *row) for number, row in enumerate(rows))
    table = pa.Table.from_arrays(list(zip(*numbered, strict=True)), schema=schema)
    parquet.write_table(table, path, compression="zstd", **options)


def write_examples(rows: Iterable[tuple[str, int, str, str]], out: Path) -> None:
    """Write ``examples.parquet`` below `out`, from each (concept, label, split, text)."""
    digested = ((*row, text_digest(row[-1])) for row in rows)
    write_rows(digested, EXAMPLES, Path(out) / "examples.parquet")
