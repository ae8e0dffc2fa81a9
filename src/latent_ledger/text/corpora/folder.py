"""Texts of a local folder (or file): ``.txt``, ``.jsonl`` and ``.parquet``, in all subfolders.

A ``.txt`` file, a line of ``.jsonl`` and a row of ``.parquet`` are one record each. Files are read
in the order of their relative paths, which also name the data set of a document.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import listing, local
from latent_ledger.lib.suggestions import nearest
from latent_ledger.text.corpora.source import CorpusSource, require


def files(source: str) -> list[Path]:
    """The files a corpus reads, sorted.

    Raises :class:`LedgerError` for a path that does not exist or holds no file of a known kind.
    """
    root = local(source)
    if not root.exists():
        near = nearest(source, ["embedded"])
        hint = f"did you mean {near!r}? " if near else ""
        raise LedgerError(
            f"The corpus {source!r} does not exist: {hint}Name an existing folder, 'embedded', or "
            "'hub:<data set id>'."
        )
    paths = [root] if root.is_file() else sorted(root.rglob("*"))
    paths = [path for path in paths if path.suffix in READERS and path.is_file()]
    if not paths:
        raise LedgerError(
            f"The corpus folder {source} holds no {', '.join(READERS)} file: put text there, or "
            "name another folder."
        )
    return paths


def records(settings: Mapping, fields: tuple[str, ...]) -> Iterator[tuple[str, tuple]]:
    """Yield the records of every file, file by file, in the order of :func:`files`."""
    source = settings["source"]
    root = local(source)
    for path in files(source):
        name = path.name if path == root else path.relative_to(root).as_posix()
        for values in READERS[path.suffix](path, fields):
            yield name, values


def _text(path: Path, fields: tuple[str, ...]) -> Iterator[tuple]:
    if fields != ("text",):
        raise LedgerError(
            f"{path} is a .txt file and has no field but 'text': leave text_field out."
        )
    try:
        yield (path.read_text(encoding="utf-8"),)
    except UnicodeDecodeError as error:
        raise LedgerError(
            f"{path} is not UTF-8 text (byte {error.start}): convert it, for example with iconv."
        ) from None


def _jsonl(path: Path, fields: tuple[str, ...]) -> Iterator[tuple]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                raise LedgerError(f"{path}, line {number}, is not JSON: {error}") from None
            names = list(record) if isinstance(record, dict) else []
            require(fields, names, f"{path}, line {number},")
            yield tuple(record[field] for field in fields)


def _parquet(path: Path, fields: tuple[str, ...]) -> Iterator[tuple]:
    from pyarrow import ArrowInvalid, parquet

    try:
        file = parquet.ParquetFile(path)
    except ArrowInvalid as error:
        raise LedgerError(f"{path} is no Parquet file: {error}") from None
    with file:
        require(fields, file.schema_arrow.names, str(path))
        for batch in file.iter_batches(batch_size=1000, columns=list(fields)):
            yield from zip(*(batch[field].to_pylist() for field in fields), strict=True)


READERS: dict[str, Callable[[Path, tuple[str, ...]], Iterator[tuple]]] = {
    ".txt": _text,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}
"""File suffix -> how its records are read."""

SOURCE = CorpusSource(
    name="folder",
    accepts=lambda source: True,  # any name that the other origins refuse is a path
    records=records,
    listing=listing,
)
