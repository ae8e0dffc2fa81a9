"""SAEBench's own data sets: exactly the texts that its own code draws, at every size."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from latent_ledger.evaluations.saebench import texts
from latent_ledger.evaluations.saebench.artifacts import order_column
from latent_ledger.lib.errors import LedgerError

BIOS = "LabHC/bias_in_bios_class_set1"
CLASSES = (0, 1, 2, 6, 9)
SIZES = ["16-8", "8-4"]


def biographies(split: str) -> list[dict]:
    """Ten texts per profession and gender, and a profession that the class set leaves out."""
    return [
        {"hard_text": f"{split} {job} {gender} {n}", "profession": job, "gender": gender}
        for job in (*CLASSES, 27)
        for gender in (0, 1)
        for n in range(10)
    ]


@pytest.fixture
def hub(monkeypatch):
    """sae_bench's loader, with the published columns and a few rows."""
    from sae_bench.sae_bench_utils import dataset_utils

    requests = []

    def load_dataset(name, *configuration, **options):
        requests.append((name, *configuration))
        if name == "LabHC/bias_in_bios":
            return {split: biographies(split) for split in ("train", "test")}
        if name == "Helsinki-NLP/europarl":
            first, second = configuration[0].split("-")
            return [{"translation": {c: f"{c} {n}" for c in (first, second)}} for n in range(40)]
        raise FileNotFoundError(f"Couldn't reach {name}")

    monkeypatch.setattr(dataset_utils, "load_dataset", load_dataset)
    return requests


def drawn(tmp_path, dataset):
    facts = texts.produce({"dataset": dataset, "sizes": SIZES, "seed": 42}, tmp_path)
    return facts, pq.read_table(tmp_path / "examples.parquet").to_pandas()


@pytest.mark.parametrize("dataset", [BIOS, "Helsinki-NLP/europarl"])
def test_every_size_is_sae_benchs_own_draw_in_its_order(tmp_path, hub, dataset):
    from sae_bench.sae_bench_utils import dataset_info, dataset_utils

    facts, table = drawn(tmp_path, dataset)
    assert facts["classes"] == dataset_info.chosen_classes_per_dataset[dataset]
    for size in SIZES:
        train, test = map(int, size.split("-"))
        theirs = dataset_utils.get_multi_label_train_test_data(dataset, train, test, 42)
        for split, classes in zip(("train", "test"), theirs, strict=True):
            for name in facts["classes"]:
                ours = table[(table["split"] == split) & (table["concept"] == name)]
                ours = ours[ours[order_column(size)] >= 0].sort_values(order_column(size))
                assert ours["text"].tolist() == classes[name], (size, split, name)


def test_balanced_sets_of_a_smaller_size_are_captured_with_the_larger_one(tmp_path, hub):
    """pandas draws a prefix, so that 1500-500 costs nothing beside 4000-1000."""
    facts, table = drawn(tmp_path, BIOS)
    assert facts["rows"] == facts["drawn"]["16-8"] == 5 * (8 + 4)
    assert facts["drawn"]["8-4"] == 5 * (4 + 2)
    assert not table["text"].str.contains(" 27 ").any()


@pytest.mark.parametrize(
    ("dataset", "sizes", "message"),
    [
        ("fancyzhx/ag_news", SIZES, "FileNotFoundError: Couldn't reach fancyzhx/ag_news"),
        (BIOS, ["400-40"], r"cannot be drawn at size 400-40 \(KeyError: '0'\)"),
        ("Helsinki-NLP/europarl", ["400-40"], "cannot be drawn at size 400-40"),
    ],
)
def test_unavailable_draw_is_a_one_line_error(tmp_path, hub, dataset, sizes, message):
    with pytest.raises(LedgerError, match=message) as error:
        texts.produce({"dataset": dataset, "sizes": sizes, "seed": 42}, tmp_path)
    assert "\n" not in str(error.value) and "evaluations.saebench.datasets" in str(error.value)
