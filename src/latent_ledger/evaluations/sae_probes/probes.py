"""sae_probes on one coder: its sparse probes on the latents of the last token of each text.

    cached activation -> sae.encode -> k latents with the largest normalised difference of class
    means in training -> logistic regression, penalty chosen on validation examples -> test AUROC

All of that is sae_probes' own ``run_sae_eval`` (setting "normal"), for every data set and seed. The
unit of every metric is the data set, its value the mean over the seeds: an interval measures how
far the benchmark's mean would move with other data sets, and the head-to-head pairs over them.
"""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from sae_probes.run_sae_evals import get_save_metrics_path, run_sae_eval
from threadpoolctl import threadpool_limits

from latent_ledger.evaluations.sae_probes import upstream
from latent_ledger.lib.files import read_json
from latent_ledger.lib.progress import Progress
from latent_ledger.statistics.records import Records, by_column

Runs = dict[tuple[str, int, int], dict[str, float]]
"""(data set, seed, k) -> test AUROC, accuracy, validation AUROC, and the best latent."""


def produce(
    settings: Mapping[str, Any], sae: Any, tokens: Path, baselines: Path, hook_point: str, out: Path
) -> dict[str, Any]:
    """Run the benchmark on one coder; write ``metrics.json`` and tables into `out`.

    `settings`: top_k, penalty ("l1" | "l2"), seeds, resamples, seed. `sae`: the part of a
    SAELens object that sae_probes needs, ``encode([n, d]) -> [n, width]``. `baselines`: the
    artifact of :mod:`~latent_ledger.evaluations.sae_probes.baselines` for the hook point that the
    coder reads. Tables: ``runs.parquet`` (per data set, seed and probe; `k` and `latent` are -1 for
    the baseline) and ``datasets.parquet``. Returns facts: hook point, examples per data set, seeds.
    """
    labels = upstream.read_labels(tokens)
    raw = pq.read_table(baselines / "baselines.parquet").to_pylist()
    runs: Runs = {}
    work = Progress("probe", total=len(labels) * len(settings["seeds"]), unit="data set")
    with threadpool_limits(1), work as progress:
        for seed, name in product(settings["seeds"], labels):
            results = fit(sae, name, labels, hook_point, seed, baselines, settings)
            runs |= {(name, seed, k): result for k, result in results.items()}
            progress.update(1, dataset=name)
    records = Records(out, resamples=settings["resamples"], seed=settings["seed"])
    rows = [
        {"dataset": name, "seed": seed, "probe": f"top{k}", "k": k, **result}
        for (name, seed, k), result in runs.items()
    ] + [{"probe": "raw", "k": -1, "latent": -1, **row} for row in raw]
    records.table("runs.parquet", by_column(rows))
    records.table("datasets.parquet", dataset_table(runs, raw, settings))
    record_metrics(records, runs, settings)
    facts = {
        "hook_point": hook_point,
        "examples": {name: len(values) for name, values in labels.items()},
        "seeds": list(settings["seeds"]),
    }
    records.write(facts)
    return facts


def fit(
    sae: Any,
    name: str,
    labels: Mapping[str, np.ndarray],
    hook_point: str,
    seed: int,
    cache: Path,
    settings: Mapping[str, Any],
) -> dict[int, dict[str, float]]:
    """sae_probes' probes on one data set with one seed: k -> a value of :data:`Runs`."""
    penalty = {"reg_type": settings["penalty"], "setting": "normal"}
    where = {"dataset": name, "hook_name": hook_point, "model_name": upstream.MODEL, **penalty}
    with upstream.data_sets(labels) as results:
        run_sae_eval(
            sae,
            model_cache_path=cache,
            device=str(getattr(sae, "device", "cpu")),
            ks=list(settings["top_k"]),
            results_path=results,
            seed=seed,
            **where,
        )
        results_by_k = read_json(get_save_metrics_path(sae_results_path=results, **where))
    return {
        metrics["k"]: upstream.scores(metrics) | {"latent": metrics["indices"][0]}
        for metrics in results_by_k
    }


def dataset_table(
    runs: Runs, raw: list[dict[str, Any]], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The columns of ``datasets.parquet``: per data set, means over the seeds."""
    names = sorted({name for name, *_ in runs})
    seeds = settings["seeds"]
    baseline = {(row["dataset"], row["seed"]): row["auroc"] for row in raw}
    logreg = np.array([np.mean([baseline[name, seed] for seed in seeds]) for name in names])
    table: dict[str, Any] = {"dataset": names, "auroc_raw": logreg}
    for k in settings["top_k"]:
        values = [[runs[name, seed, k]["auroc"] for seed in seeds] for name in names]
        table[f"auroc_k{k}"] = np.mean(values, axis=1)
        table[f"gap_raw_k{k}"] = table[f"auroc_k{k}"] - logreg
        table[f"win_k{k}"] = (table[f"gap_raw_k{k}"] > 0).astype(float)
    return table


def record_metrics(records: Records, runs: Runs, settings: Mapping[str, Any]) -> None:
    """Record the means over data sets, and the standard deviation of them between seeds."""
    count = len(settings["seeds"])
    texts = {"auroc_raw": "AUROC of logistic regression on the raw activations"}
    for k in settings["top_k"]:
        probe = f"a probe on the {k} best latents"
        texts |= {
            f"auroc_k{k}": f"AUROC of {probe}",
            f"gap_raw_k{k}": f"AUROC of {probe} minus that on raw",
            f"win_rate_k{k}": f"Share of data sets where {probe} beats raw",
        }
    for name, text in texts.items():
        records.measure(
            name,
            "mean",
            "datasets.parquet",
            unit="dataset",
            higher_is_better=None if name == "auroc_raw" else True,
            description=f"{text}; mean over data sets and {count} seeds, bootstrap over data sets.",
            unit_id="dataset",
            value=name.replace("win_rate", "win"),
        )
    for k in settings["top_k"]:
        means = [
            np.mean([result["auroc"] for (_, *run), result in runs.items() if run == [seed, k]])
            for seed in settings["seeds"]
        ]
        records.add(
            f"seed_sd_k{k}",
            float(np.std(means, ddof=1)) if count > 1 else float("nan"),
            unit="seed",
            n=count,
            higher_is_better=None,
            description=f"Standard deviation of auroc_k{k} between the seeds of split and fit.",
        )
