"""The texts of SAEBench's own data sets, drawn by its own code.

    data set + sizes + seed --sae_bench's loader--> examples.parquet

One row per split, class and text that some size draws; the column ``order/<size>`` holds the
text's place in that size's draw, -1 if it is not in it. One capture therefore serves every size,
and each size's probes see exactly the texts, in the order, that sae_bench draws.

A size is examples per probe, half of them of the class; sae_bench keeps the beginning of a text.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from latent_ledger.evaluations.saebench.artifacts import SPLITS, order_column, quiet
from latent_ledger.lib.errors import LedgerError
from latent_ledger.text.corpora.splits import text_digest

Draw = dict[str, dict[str, list[str]]]
"""Split -> class -> texts, in sae_bench's order."""


def produce(settings: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write ``examples.parquet`` of one data set; return facts: classes, rows, texts per size.

    `settings`: dataset (sae_bench's name), sizes, seed. Raises :class:`LedgerError` if the data set
    is not available or is too small for a size.
    """
    rows: dict[tuple[str, str, str, int], dict[str, int]] = {}
    sizes = settings["sizes"]
    for size in sizes:
        for split, classes in draw(settings["dataset"], size, settings["seed"]).items():
            for name, texts in classes.items():
                seen: Counter[str] = Counter()  # a text may stand in a class more than once
                for place, text in enumerate(texts):
                    rows.setdefault((split, name, text, seen[text]), {})[size] = place
                    seen[text] += 1
    keys = list(rows)
    columns = {
        "example_id": pa.array(range(len(keys)), pa.int64()),
        "concept": pa.array([name for _, name, _, _ in keys]),
        "label": pa.array([1] * len(keys), pa.int8()),
        "split": pa.array([split for split, *_ in keys]),
        "text": pa.array([text for *_, text, _ in keys]),
        "sha256": pa.array([text_digest(text) for *_, text, _ in keys]),
    }
    for size in sizes:
        places = [rows[key].get(size, -1) for key in keys]
        columns[order_column(size)] = pa.array(places, pa.int32())
    parquet.write_table(pa.table(columns), Path(out) / "examples.parquet", compression="zstd")
    return {
        "dataset": settings["dataset"],
        "classes": list(dict.fromkeys(name for _, name, _, _ in keys)),
        "rows": len(keys),
        "drawn": {
            size: sum(size in places_by_size for places_by_size in rows.values()) for size in sizes
        },
    }


def draw(dataset: str, size: str, seed: int) -> Draw:
    """sae_bench's draw from one of its data sets at a size, from the classes it selects.

    Raises :class:`LedgerError` if the data set is not available or is too small.
    """
    from latent_ledger.evaluations.saebench import jaxtyping_off  # noqa: F401  # isort: skip
    from sae_bench.sae_bench_utils import dataset_info, dataset_utils

    train, _, test = size.partition("-")
    try:
        with quiet():
            drawn = dataset_utils.get_multi_label_train_test_data(
                dataset, int(train), int(test), seed
            )
            selected = dataset_info.chosen_classes_per_dataset[dataset]
            splits = [dataset_utils.filter_dataset(split, selected) for split in drawn]
    except (ValueError, AssertionError, KeyError, OSError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise LedgerError(
            f"SAEBench's data set {dataset} cannot be drawn at size {size} "
            f"({type(error).__name__}: {reason}): connect once so that it lies in the local cache, "
            "choose a smaller size, or leave it out of evaluations.saebench.datasets."
        ) from None
    return dict(zip(SPLITS, splits, strict=True))
