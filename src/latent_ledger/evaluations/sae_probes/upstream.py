"""sae_probes' access to our examples and their cached activations, and to nothing else.

sae_probes reads a data set's labels from its CSV, its activations from
``{cache}/model_activations_{model}/{dataset}_{hook}.pt`` (one row per CSV row, the last token of
each text), and its size from a table that it makes on import. Within :func:`data_sets` a drawn
subset stands in for the CSV and its size. Everything else (splits, latent selection, penalties,
scores) is its code, and a cache that is complete never loads a model.
"""

import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from sae_probes import utils_data
from sklearn.exceptions import ConvergenceWarning

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.progress import quiet
from latent_ledger.models.shards import ActivationShards

MODEL = "cached"
"""The model's name for sae_probes: part of a folder name, never loaded."""


@contextmanager
def data_sets(labels: Mapping[str, np.ndarray]) -> Iterator[Path]:
    """Give sae_probes' data sets of these names these 0/1 labels, [n] each, within the context.

    Yields a temporary folder for its results. Its output is discarded: it prints per probe, and
    warns of each fit that reaches its own iteration limit, which is part of its protocol.
    """
    frames = {
        name.partition("_")[2]: pd.DataFrame({"target": values}) for name, values in labels.items()
    }
    sizes = {name: len(values) for name, values in labels.items()}
    with (
        mock.patch.object(utils_data, "read_dataset_df", frames.__getitem__),
        mock.patch.dict(utils_data.get_dataset_sizes(), sizes),
        warnings.catch_warnings(),
        quiet(),
        tempfile.TemporaryDirectory() as results,
    ):
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Its way of requesting l1 is deprecated in sklearn, and still works.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", message="Inconsistent values: penalty=l1")
        yield Path(results)


def scores(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Test AUROC, accuracy and validation AUROC of one of its probes, from the file it writes."""
    return {
        "auroc": metrics["test_auc"],
        "accuracy": metrics["test_acc"],
        "validation_auroc": metrics["val_auc"],
    }


def read_labels(tokens: Path) -> dict[str, np.ndarray]:
    """Data set -> 0/1 labels [n] of its examples, in the order of the token set."""
    table = pq.read_table(tokens / "documents.parquet")
    names = table["concept"].to_numpy(zero_copy_only=False)
    labels = table["label"].to_numpy()
    return {str(name): labels[names == name].astype(np.int64) for name in dict.fromkeys(names)}


def last_tokens(raw: Path, examples: int) -> torch.Tensor:
    """Activations [examples, d], fp32, of the last token of every example of a token set.

    Raises :class:`LedgerError` if `raw` holds another number of examples.
    """
    shards = ActivationShards(raw)
    stored = len(shards.context_starts()) - 1
    if stored != examples:
        raise LedgerError(
            f"{raw} holds {stored} examples, the token set {examples}: they belong to different "
            "texts; make the activations again."
        )
    rows = torch.empty(examples, shards.d)
    for shard in shards.shards():  # in token order: an example's last shard is written last
        contexts = shard["contexts"].long()
        last = torch.ones(len(contexts), dtype=torch.bool)
        last[:-1] = contexts[1:] != contexts[:-1]
        rows[contexts[last]] = shard["activations"][last].float()
    return rows


def write_cache(
    labels: Mapping[str, np.ndarray], rows: torch.Tensor, hook: str, cache: Path
) -> None:
    """Write the activation files sae_probes looks for; `rows` [n, d] in the order of `labels`."""
    folder = cache / f"model_activations_{MODEL}"
    folder.mkdir(parents=True)
    parts = rows.split([len(values) for values in labels.values()])
    for name, activations in zip(labels, parts, strict=True):
        torch.save(activations.clone(), folder / f"{name}_{hook}.pt")
