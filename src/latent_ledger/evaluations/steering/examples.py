"""Features of the labelled examples: one row per example.

    stored rows (codes, activations, token ids) --mean over an example's tokens--> features

BOS, EOS and padding never count. Codes and raw activations, which give the directions, are averaged
over all tokens of an example, the features of the judges over as many as a generation has.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from latent_ledger.coders.codes import CodeShards
from latent_ledger.coders.sparse_coder import SparseCoder
from latent_ledger.evaluations.probing.evaluation import Task, activation_rows, read_tasks
from latent_ledger.evaluations.steering.judge import bag
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json
from latent_ledger.models.shards import ActivationShards
from latent_ledger.statistics.probes import Features


@dataclass(frozen=True)
class ExampleFeatures:
    """One row per example of the token set: [examples, features] each.

    `raw` is taken at the coder's output hook, where `rms` is the root-mean-square norm over the
    training examples; `judged` and `bags` are of the leading tokens. `meta`: the token set's.
    """

    tasks: list[Task]
    codes: Features
    raw: np.ndarray
    judged: np.ndarray
    bags: sparse.csr_matrix
    rms: float
    meta: Mapping[str, Any]


def pool_examples(
    settings: Mapping[str, Any],
    tokens: Path,
    output_hook: ActivationShards,
    judged: ActivationShards,
    codes: CodeShards,
    coder: SparseCoder,
) -> ExampleFeatures:
    """Pool the labelled examples of `tokens`, for the `settings` concepts and new_tokens.

    Raises :class:`LedgerError` if the inputs do not belong together.
    """
    if output_hook.hook_point != str(coder.site.output_hook):
        raise LedgerError(
            f"The coder writes {coder.site.output_hook}, but the activations are of "
            f"{output_hook.hook_point}."
        )
    if codes.width != coder.width or not len(codes) == len(output_hook) == len(judged):
        raise LedgerError(
            f"The codes ({len(codes)} rows of {codes.width} latents) do not belong to this coder "
            f"({coder.width} latents) and these activations ({len(output_hook)} rows): encode "
            "again."
        )
    meta = read_json(tokens / "meta.json")
    examples, first = meta["n_contexts"], settings["new_tokens"]
    tasks = read_tasks(tokens, settings["concepts"])
    training = np.unique(np.concatenate([task.train for task in tasks]))
    norms = example_means(output_hook, squared_norms(output_hook), examples)[training]
    return ExampleFeatures(
        tasks,
        codes=example_means(output_hook, codes.shards(), examples),
        raw=example_means(output_hook, activation_rows(output_hook), examples),
        judged=example_means(judged, activation_rows(judged), examples, first=first),
        bags=example_means(judged, token_rows(judged, meta["vocab_size"]), examples, first=first),
        rms=float(np.sqrt(norms.mean())),
        meta=meta,
    )


def example_means(
    shards: ActivationShards, rows: Iterable[Features], examples: int, *, first: int | None = None
) -> Features:
    """Mean of `rows` over each example's tokens, special ones left out: [examples, features].

    `rows` holds one matrix [shard rows, features] per shard of `shards`. `first` keeps only that
    many leading tokens of an example. Examples without a token are zero rows.
    """
    total: Features | int = 0
    counts = np.zeros(examples)
    for shard, values in zip(shards.shards(), rows, strict=True):
        kept = shard["doc_ids"].numpy() >= 0
        if first is not None:
            kept &= shard["positions"].numpy() <= first  # position 0 is BOS
        owner, place = shard["contexts"].numpy()[kept], np.flatnonzero(kept)
        pool = sparse.csr_matrix((np.ones(len(place)), (owner, place)), (examples, len(kept)))
        total = total + pool @ values
        counts += np.bincount(owner, minlength=examples)
    scale = 1 / np.maximum(counts, 1)
    if sparse.issparse(total):
        return sparse.csr_matrix(sparse.diags(scale) @ total)
    return scale[:, None] * total


def squared_norms(shards: ActivationShards) -> Iterator[np.ndarray]:
    """||x||^2 of every row, [shard rows, 1]."""
    return ((rows**2).sum(axis=1, keepdims=True) for rows in activation_rows(shards))


def token_rows(shards: ActivationShards, vocabulary: int) -> Iterator[sparse.csr_matrix]:
    """One-hot token ids of every shard, [shard rows, vocabulary]."""
    for shard in shards.shards():
        yield bag(shard["token_ids"].numpy()[:, None], vocabulary)
