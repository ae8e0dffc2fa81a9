"""Baselines of sae_probes: the prefilled activations of one hook point, and probes on them.

    last-token activations -> {cache}/model_activations_cached/{dataset}_{hook point}.pt
                           -> logistic regression (sae_probes' ``run_baselines``) per set and seed

All coders of the hook point share them: L2 logistic regression on the raw activations, its penalty
chosen on validation examples, shows what a plain probe can find.
"""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sae_probes.run_baselines import get_baseline_save_path, run_baseline_dataset_layer
from threadpoolctl import threadpool_limits

from latent_ledger.evaluations.sae_probes import upstream
from latent_ledger.lib.files import read_json
from latent_ledger.lib.progress import Progress


def produce(settings: Mapping[str, Any], tokens: Path, raw: Path, out: Path) -> dict[str, Any]:
    """Write the activation cache and ``baselines.parquet`` (one row per data set and seed).

    `settings`: ``seeds``, of sae_probes' split and fits. `raw`: activations of one hook point over
    the token set `tokens`. Returns facts: hook point, its width, data sets, seeds.
    """
    labels = upstream.read_labels(tokens)
    rows = upstream.last_tokens(raw, sum(map(len, labels.values())))
    hook_point = read_json(raw / "meta.json")["hook_point"]
    upstream.write_cache(labels, rows, hook_point, out)
    fits = []
    work = Progress("baseline", total=len(labels) * len(settings["seeds"]), unit="probe")
    with threadpool_limits(1), work as progress:
        for seed, name in product(settings["seeds"], labels):
            with upstream.data_sets(labels) as results:
                where = {"hook_name": hook_point, "model_name": upstream.MODEL}
                where |= {"method_name": "logreg", "results_path": results}
                run_baseline_dataset_layer(
                    numbered_dataset=name, model_cache_path=out, seed=seed, **where
                )
                (metrics,) = read_json(get_baseline_save_path(dataset=name, **where))
            fits.append({"dataset": name, "seed": seed, **upstream.scores(metrics)})
            progress.update(1, dataset=name)
    table = pa.Table.from_pylist(fits)
    pq.write_table(table, out / "baselines.parquet", compression="zstd")
    return {
        "hook_point": hook_point,
        "d": rows.shape[1],
        "examples": {name: len(values) for name, values in labels.items()},
        "seeds": list(settings["seeds"]),
    }
