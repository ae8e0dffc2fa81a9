"""sae_bench's sparse probing on one coder, from prefilled activations and without a model.

    artifact of a size -> sae.encode, mean over tokens -> k latents with the largest difference of
    class means -> logistic regression -> test accuracy per class

It is ``run_eval_single_dataset`` as it stands, called with ``model=None`` after the seeding that
``run_eval_single_sae`` does. sae_bench reports one accuracy per class and nothing per example, so
the unit of every metric is the class, or over several data sets the data set with the mean over its
classes. An interval, given from three units on, measures how far the mean would move with other
units, not the precision of one accuracy. Half of a probe's examples are negatives: chance is 0.5.
The accuracy of probes on *all* latents, which stop early on the test examples, is no metric.
"""

from latent_ledger.evaluations.saebench.upstream import quiet, seed_generators  # isort: skip

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sae_bench.evals.sparse_probing import main as upstream
from sae_bench.evals.sparse_probing.eval_config import SparseProbingEvalConfig
from threadpoolctl import threadpool_limits

from latent_ledger.lib.files import read_json
from latent_ledger.lib.progress import Progress
from latent_ledger.statistics.records import Records, by_column, stacked

CLASSES, DATA_SETS = "classes.parquet", "datasets.parquet"


class Encoder:
    """A SAELens object as sae_bench needs it: on any device, while artifacts are on the CPU."""

    def __init__(self, sae: Any) -> None:
        self.sae, self.dtype = sae, sae.dtype

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Latents [..., width] of activations [..., d], both on the CPU."""
        return self.sae.encode(x.to(self.sae.device, self.dtype)).cpu()


def produce(
    settings: Mapping[str, Any], sae: Any, artifacts: Mapping[str, Path], out: Path
) -> dict[str, Any]:
    """Probe one coder on every data set and size; write ``metrics.json`` and tables into `out`.

    `settings`: datasets (short names), sizes, top_k, batch (texts encoded at a time), resamples,
    seed. `artifacts`: ``<data set>/<size>`` -> folder of
    :mod:`~latent_ledger.evaluations.saebench.artifacts`, of the hook point that the coder reads.
    Metrics of one of several data sets are called ``top_1/<data set>``; those of a size that is
    not the first end in it. Returns facts: datasets, sizes, hook point, context, and by data set
    its classes and texts per class.
    """
    facts: dict[str, Any] = {key: list(settings[key]) for key in ("datasets", "sizes")}
    facts |= {"classes": {}, "texts": {}}
    parts = []
    work = Progress("sae_bench", total=len(artifacts), unit="artifact")
    with threadpool_limits(1), work as progress:
        for dataset, size in product(settings["datasets"], settings["sizes"]):
            folder = artifacts[f"{dataset}/{size}"]
            meta = read_json(folder / "meta.json")
            accuracies = probe(settings, sae, meta, folder)
            parts.append(class_rows(size, meta, accuracies, settings["top_k"]))
            facts["classes"][dataset] = meta["classes"]
            facts["texts"].setdefault(dataset, {})[size] = meta["texts"]
            facts |= {key: meta[key] for key in ("hook_point", "context")}
            progress.update(1, dataset=dataset, size=size)
    records = Records(out, resamples=settings["resamples"], seed=settings["seed"])
    records.table(CLASSES, stacked(parts))
    several = len(settings["datasets"]) > 1
    if several:
        records.table(DATA_SETS, by_column(data_set_row(part, settings["top_k"]) for part in parts))
    for size in settings["sizes"]:
        end = "" if size == settings["sizes"][0] else f"/{size}"
        if several:
            record_metrics(records, settings, DATA_SETS, {"size": size}, end)
        for dataset in settings["datasets"]:
            name = f"/{dataset}{end}" if several else end
            where = {"size": size, "dataset": dataset}
            record_metrics(records, settings, CLASSES, where, name)
    records.write(facts)
    return facts


def probe(
    settings: Mapping[str, Any], sae: Any, meta: Mapping[str, Any], folder: Path
) -> dict[str, dict[str, float]]:
    """sae_bench's result on one artifact: its metric name -> class -> test accuracy."""
    config = SparseProbingEvalConfig(
        random_seed=settings["seed"],
        dataset_names=[meta["name"]],
        probe_train_set_size=meta["train"],
        probe_test_set_size=meta["test"],
        context_length=meta["context"],
        sae_batch_size=settings["batch"],
        k_values=list(settings["top_k"]),
    )
    seed_generators(settings["seed"])
    with quiet():
        _, per_class = upstream.run_eval_single_dataset(
            meta["name"],
            config,
            Encoder(sae),
            model=None,
            layer=-1,  # layer and hook are only read when there is no artifact
            hook_point=meta["hook_point"],
            device="cpu",
            artifacts_folder=str(folder),
            save_activations=False,
        )
    return per_class


def class_rows(
    size: str,
    meta: Mapping[str, Any],
    accuracies: Mapping[str, Mapping[str, float]],
    top_k: Sequence[int],
) -> dict[str, list]:
    """The columns of ``classes.parquet`` for one data set and size: one row per class."""
    classes = meta["classes"]

    def column(name: str) -> list[float]:
        return [float(accuracies[f"{name}_accuracy"][class_name]) for class_name in classes]

    rows: dict[str, list] = {
        "dataset": [meta["dataset"]] * len(classes),
        "size": [size] * len(classes),
        "class": list(classes),
    }
    for k in top_k:
        ours, baseline = column(f"sae_top_{k}_test"), column(f"llm_top_{k}_test")
        gap = np.subtract(ours, baseline).tolist()
        rows |= {f"top_{k}": ours, f"llm_top_{k}": baseline, f"gap_{k}": gap}
    rows["all_early_stopped_on_test"] = column("sae_test")
    rows["llm_all_early_stopped_on_test"] = column("llm_test")
    return rows


def data_set_row(classes: Mapping[str, list], top_k: Sequence[int]) -> dict[str, Any]:
    """A row of ``datasets.parquet``: the means over the classes of one data set and size."""
    names = (f"{kind}_{k}" for k in top_k for kind in ("top", "llm_top", "gap"))
    means = {name: float(np.mean(classes[name])) for name in names}
    return {name: classes[name][0] for name in ("dataset", "size")} | means


def record_metrics(
    records: Records, settings: Mapping[str, Any], table: str, where: Mapping[str, str], end: str
) -> None:
    """Record the means over the units of `table` at one size, their names ending in `end`."""
    unit, unit_id, units = (
        ("concept", "class", "classes")
        if table == CLASSES
        else ("data set", "dataset", "data sets")
    )
    for k in settings["top_k"]:
        for name, text, higher_is_better in (
            (f"top_{k}", f"accuracy of sae_bench's probe on the {k} best latents", True),
            (f"llm_top_{k}", f"the same on the {k} best dimensions of the hook point itself", None),
            (f"gap_{k}", f"top_{k} minus llm_top_{k}", True),
        ):
            records.measure(
                name + end,
                "mean",
                table,
                unit=unit,
                higher_is_better=higher_is_better,
                description=(
                    f"Test {text}, mean over {units} at {where['size']} examples; sae_bench gives "
                    "no values per example."
                ),
                where=where,
                unit_id=unit_id,
                value=name,
            )
            if records.metrics[name + end]["n"] < 3:  # too few units for an interval
                records.metrics[name + end]["ci"] = None
