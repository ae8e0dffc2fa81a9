"""The texts of SAEBench's own data sets, drawn by its own code.

    data set + sizes + seed --sae_bench's loader--> examples.parquet

One row per split, class and text that some size draws; the column ``order/<size>`` holds the
text's place in that size's draw, -1 if it is not in it. One capture therefore serves every size,
and each size's probes see exactly the texts, in the order, that sae_bench draws. A size is examples
per probe, half of them of the class.
"""

from latent_ledger.evaluations.saebench.upstream import quiet  # isort: skip

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from sae_bench.sae_bench_utils import dataset_info, dataset_utils

from latent_ledger.evaluations.saebench.artifacts import SPLITS, order_column
from latent_ledger.lib.errors import LedgerError
from latent_ledger.text.corpora.splits import text_digest
from latent_ledger.text.tables import EXAMPLES, write_rows


def produce(settings: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write ``examples.parquet`` of one data set; return facts: classes, rows, texts per size.

    `settings`: dataset (sae_bench's name), sizes, seed. Raises :class:`LedgerError` if the data set
    is not available or is too small for a size.
    """
    places: dict[tuple[str, str, str, int], dict[str, int]] = {}
    sizes = settings["sizes"]
    for size in sizes:
        for split, classes in draw(settings["dataset"], size, settings["seed"]).items():
            for name, texts in classes.items():
                seen: Counter[str] = Counter()  # a text may stand in a class more than once
                for place, text in enumerate(texts):
                    places.setdefault((split, name, text, seen[text]), {})[size] = place
                    seen[text] += 1
    rows = (
        (name, 1, split, text, text_digest(text), *(by.get(size, -1) for size in sizes))
        for (split, name, text, _), by in places.items()
    )
    schema = pa.schema([*EXAMPLES, *((order_column(size), pa.int32()) for size in sizes)])
    write_rows(rows, schema, out / "examples.parquet")
    return {
        "dataset": settings["dataset"],
        "classes": list(dict.fromkeys(name for _, name, *_ in places)),
        "rows": len(places),
        "drawn": {size: sum(size in by for by in places.values()) for size in sizes},
    }


def draw(dataset: str, size: str, seed: int) -> dict[str, dict[str, list[str]]]:
    """sae_bench's draw at a size, in its order: split -> selected class -> texts.

    Raises :class:`LedgerError` if the data set is not available or is too small.
    """
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
