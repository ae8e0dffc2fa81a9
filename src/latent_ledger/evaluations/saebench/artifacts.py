"""Prefilled activations for sae_bench's sparse probing, in the form of its own cache.

    token set (probing's, or one of SAEBench's data sets) + activations of one hook point
        -> {"train": {class: [N, L, D]}, "test": {...}, "llm_results": {...}}  in one file

For probing texts, a class is a concept. Its texts are the concept's positive examples (a text of
two classes is left out), and the other classes are its negatives. A probe on `train` examples
therefore takes ``train // 2`` texts per class, as sae_bench does for its two-class probes. BOS, EOS
and padding are zero, by which sae_bench recognises them. A long text keeps its end, where sae_bench
keeps the beginning: these labels describe the person named last. SAEBench's own data sets keep the
beginning (:mod:`latent_ledger.evaluations.saebench.texts`).

sae_bench's first, uncached run draws random numbers that later runs do not, so that one seed gives
two results. Here a job draws the baselines, and every coder starts from the seed on its cache.
"""

from latent_ledger.evaluations.saebench.upstream import quiet, seed_generators  # isort: skip

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from sae_bench.evals.sparse_probing import probe_training
from sae_bench.sae_bench_utils import activation_collection
from threadpoolctl import threadpool_limits

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json, write_json
from latent_ledger.models.shards import ActivationShards

SPLITS = ("train", "test")


def produce(settings: Mapping[str, Any], tokens: Path, raw: Path, out: Path) -> dict[str, Any]:
    """Write the activation file of one hook point and size, and ``meta.json``, which names it.

    `settings`: dataset (its short name), concepts (None: the classes of a drawn data set), train
    and test (examples per probe), top_k, seed. `raw`: one hook point's activations over the token
    set `tokens`. Returns ``meta.json``, with the texts per class and the baselines (sae_bench's
    name -> class -> test accuracy).
    """
    shards, context = ActivationShards(raw), read_json(tokens / "meta.json")["context"]
    filled = fill(class_texts(tokens, settings), shards, context)
    baselines = llm_results(filled, settings["top_k"], settings["seed"])
    sizes = f"{settings['train']}-{settings['test']}"
    version = f"{shards.meta['dtype']}_ctx{context}_seed{settings['seed']}_{sizes}"
    name = f"{settings['dataset']}_{version}"
    torch.save(filled | {"llm_results": baselines}, out / file_name(name))
    meta = {
        "name": name,
        **{key: settings[key] for key in ("dataset", *SPLITS)},
        "hook_point": shards.hook_point,
        "d": shards.d,
        "context": context,
        "texts": {split: len(next(iter(filled[split].values()))) for split in SPLITS},
        "classes": list(filled["train"]),
        "baselines": baselines,
    }
    write_json(out / "meta.json", meta)
    return meta


def order_column(size: str) -> str:
    """Column of a drawn data set: a text's place in the draw of one size, or -1."""
    return f"order/{size}"


def file_name(name: str) -> str:
    """Name of the file that sae_bench reads for a data set."""
    return f"{name}_activations.pt"


def class_texts(tokens: Path, settings: Mapping[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    """Split -> class -> rows of the token set, in the order of the draw.

    For probing texts the first positives, half of the size; :class:`LedgerError` if there are less.
    """
    table = pq.read_table(tokens / "documents.parquet").to_pandas()
    order = order_column(f"{settings['train']}-{settings['test']}")
    if order in table:
        names = list(dict.fromkeys(table["concept"]))  # sae_bench's order of the classes
        table = table[table[order] >= 0].sort_values(order, kind="stable")
    else:
        names = settings["concepts"]
        table = table[table["label"] == 1]
        table = table[table.groupby("sha256")["concept"].transform("nunique") == 1]
    rows: dict[str, dict[str, np.ndarray]] = {split: {} for split in SPLITS}
    for split, name in product(SPLITS, names):
        texts = table[(table["split"] == split) & (table["concept"] == name)]["doc_id"].to_numpy()
        wanted = len(texts) if order in table else settings[split] // 2
        if len(texts) < wanted:
            raise LedgerError(
                f"evaluations.saebench.sizes: {settings[split]} {split} examples per probe "
                f"take {wanted} texts of {name!r}, and there are {len(texts)}; choose a "
                "smaller size or raise evaluations.probing.examples."
            )
        rows[split][name] = texts[:wanted]
    return rows


def fill(
    texts: Mapping[str, Mapping[str, np.ndarray]], shards: ActivationShards, context: int
) -> dict[str, dict[str, torch.Tensor]]:
    """Split -> class -> activations [texts, context, d] as stored; special positions are zero."""
    drawn = [rows for classes in texts.values() for rows in classes.values()]
    order = torch.from_numpy(np.concatenate(drawn).astype(np.int64))
    dtype = shards.shard(0)["activations"].dtype
    values = torch.zeros(len(order), context, shards.d, dtype=dtype)
    slots = torch.full((len(shards.context_starts()) - 1,), -1)
    slots[order] = torch.arange(len(order))
    for shard in shards.shards():
        slot = slots[shard["contexts"].long()]
        kept = (slot >= 0) & (shard["doc_ids"] >= 0)
        values[slot[kept], shard["positions"][kept].long()] = shard["activations"][kept]
    parts = iter(values.split([len(rows) for rows in drawn]))
    return {
        split: {name: next(parts).clone() for name in classes} for split, classes in texts.items()
    }


def llm_results(
    filled: Mapping[str, Mapping[str, torch.Tensor]], top_k: Sequence[int], seed: int
) -> dict[str, dict[str, float]]:
    """sae_bench's baselines on the hook point itself, in its order: all dimensions, the k best.

    In fp32, by its own functions and from the seed, as its first run does.
    """
    seed_generators(seed)
    fit = probe_training.train_probe_on_activations
    with quiet(), threadpool_limits(1):
        pooled = [
            activation_collection.create_meaned_model_activations(
                {name: tensor.float() for name, tensor in classes.items()}
            )
            for classes in filled.values()
        ]
        full = {"select_top_k": None, "use_sklearn": False, "batch_size": 250, "epochs": 100}
        results = {"llm_test_accuracy": fit(*pooled, **full, lr=1e-2)[1]}
        for k in top_k:
            results[f"llm_top_{k}_test_accuracy"] = fit(*pooled, select_top_k=k)[1]
    return {
        key: {name: float(accuracy) for name, accuracy in accuracies.items()}
        for key, accuracies in results.items()
    }
