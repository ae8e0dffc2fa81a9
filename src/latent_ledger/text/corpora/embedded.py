"""Embedded texts, on every machine: the labelled probing sets of the sae-probes wheel.

The wheel (MIT licence) carries 113 sets as ``data/cleaned_data/<number>_<name>.csv.zst``. They are
read without importing the package, which would pull in a model library. Sets of one-versus-rest
copies of another set, names, coordinates and arithmetic belong to no family.
"""

import importlib.util
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.suggestions import nearest
from latent_ledger.text.corpora.source import CorpusSource

FAMILIES: dict[str, tuple[int, ...]] = {
    "headlines": (21, 22, 23, 24, 25, 26, 105),
    "news": (97, 100, 161, 162, 163),
    "reviews": (92, 111, 113, 157),
    "biographies": (56, 57, 58, 59, 60, 61, 62, 63, 64),
    "web": (65, 66, 67, 68, 69, 71, 73, 78, 79, 80, 81, 82, 83, 84, 85),
    "essays": (94, 110),
    "stories": (45, 48, 49),
    "questions": (36, 41, 44, 46, 47, 54, 55, 86, 90, 91),
    "social": (95, 96, 102, 106, 107),
    "science": (98, 99, 101),
    "code": (158, 159, 160),
}
"""Family of text -> numbers of its sets in the wheel."""

ONLY_LABEL: dict[int, str] = {161: "1", 162: "1", 163: "1"}
"""Sets of which only this label belongs to the family: AG News' negatives are source code."""

COLUMNS = {"text": "prompt", "label": "target"}
"""Field -> its column in the files."""


@cache
def wheel_folder() -> Path | None:
    """The folder of the wheel that holds the sets, without importing it; None if not installed."""
    spec = importlib.util.find_spec("sae_probes")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "data" / "cleaned_data"


def installed(number: int) -> bool:
    """Whether the file of one set lies in the installed wheel."""
    sets = wheel_folder()
    return sets is not None and any(sets.glob(f"{number}_*.csv.zst"))


def folder() -> Path:
    """The folder of the wheel that holds the sets."""
    sets = wheel_folder()
    if sets is None:
        raise LedgerError(
            "The embedded corpus lives in the package sae-probes, which is not installed: "
            "run `make ledger`, or `pip install --no-deps sae-probes`."
        )
    return sets


def set_path(number: int) -> Path:
    """The file of one set, e.g. ``59_wikidata_occupation_isjournalist.csv.zst``."""
    files = sorted(folder().glob(f"{number}_*.csv.zst"))
    if not files:
        raise LedgerError(
            f"The installed sae-probes carries no set {number}: install the version of the lock."
        )
    return files[0]


def read_set(number: int) -> list[tuple[str, str]]:
    """The ``(text, label)`` pairs of one set, in the order of the file, labels as strings."""
    import pyarrow as pa
    from pyarrow import csv

    columns = list(COLUMNS.values())
    with pa.CompressedInputStream(pa.OSFile(str(set_path(number))), "zstd") as stream:
        table = csv.read_csv(
            stream,
            # One block per file: texts hold line breaks, and none may straddle two blocks.
            read_options=csv.ReadOptions(block_size=1 << 27),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                include_columns=columns, column_types=dict.fromkeys(columns, pa.string())
            ),
        )
    return list(zip(*(table[column].to_pylist() for column in columns), strict=True))


def records(settings: Mapping, fields: tuple[str, ...]) -> Iterator[tuple[str, tuple]]:
    """Yield every record of ``settings["families"]``, set by set in the order of their numbers.

    Raises :class:`LedgerError` for an unknown family or field.
    """
    for field in fields:
        if field not in COLUMNS:
            raise LedgerError(
                f"corpus.text_field: the embedded corpus has no field {field!r}; leave it out, or "
                "write 'text'."
            )
    for family in settings["families"]:
        if family not in FAMILIES:
            near = nearest(family, FAMILIES, cutoff=0.0)
            raise LedgerError(
                f"corpus.families: the embedded corpus has no family {family!r}; the nearest is "
                f"{near!r} (there are {', '.join(FAMILIES)})."
            )
    for number in sorted({number for name in settings["families"] for number in FAMILIES[name]}):
        name = set_path(number).name.removesuffix(".csv.zst")
        for text, label in read_set(number):
            if ONLY_LABEL.get(number, label) == label:
                values = {"text": text, "label": label}
                yield name, tuple(values[field] for field in fields)


SOURCE = CorpusSource(
    name="embedded",
    accepts=lambda source: source == "embedded",
    records=records,
    named_concepts=True,
)
