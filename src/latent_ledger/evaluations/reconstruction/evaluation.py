"""Reconstruction: the share of its target that a coder explains, and the loss of the model with it.

::

    stored activations + codes --decode--> y_hat   vs   y     variance explained, cosine, L0
    live model, coder spliced in at its site       vs   clean  loss recovered, KL

*Rows.* The target is what the coder writes to: for a transcoder the MLP's output. Every metric
leaves out the special rows (BOS, EOS) except ``variance_explained_with_bos``, which adds the BOS
rows: one BOS can have 100 times the norm of a token and then *is* the variance. A BOS row is
counted for the first document of its context; EOS rows belong to no document and to no metric.

*Documents.* Every metric is a ratio of two sums over documents, and its interval a bootstrap over
documents. Variances are centred at the mean over all documents.

*Splices.* See :mod:`latent_ledger.evaluations.reconstruction.splicing`; documents outside the
spliced contexts are left out of those metrics.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.sparse import csr_matrix

from latent_ledger.coders.codes import CodeShards, CodeSource
from latent_ledger.coders.sparse_coder import LatentDecoder, SparseCoder, load_coder
from latent_ledger.evaluations.reconstruction.splicing import splice_sums
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.progress import Progress
from latent_ledger.models.device import best_device
from latent_ledger.models.shards import ActivationShards
from latent_ledger.statistics import metrics
from latent_ledger.statistics.records import Records, Sums, add_rows

BLOCK_ROWS = 4096
"""Rows decoded at a time; bounds memory and changes no sum but in its last bits."""

RATIOS = {
    "variance_explained": ("explained", "sst", True),
    "variance_explained_with_bos": ("explained_with_bos", "sst_with_bos", True),
    "cosine": ("cosine", "tokens", True),
    "l0": ("l0", "tokens", None),
    "loss_recovered": ("recovered", "at_stake", True),
    "kl": ("kl", "spliced_tokens", False),
    "ce_clean": ("ce_clean", "spliced_tokens", None),
    "ce_spliced": ("ce_spliced", "spliced_tokens", False),
    "ce_ablated": ("ce_ablated", "spliced_tokens", None),
}
"""Metric -> numerator and denominator in ``documents.parquet``, and whether higher is better."""

DESCRIPTIONS = {
    "variance_explained": "1 - FVU of the coder's target, without BOS and EOS.",
    "variance_explained_with_bos": "1 - FVU of the coder's target, BOS rows included.",
    "cosine": "Mean cosine of target and reconstruction.",
    "l0": "Mean number of active latents per token.",
    "loss_recovered": "(CE ablated - CE spliced) / (CE ablated - CE clean), {ablation} ablation.",
    "kl": "KL(clean || spliced) per predicted token, in nats.",
    "ce_clean": "Loss of the model itself, in nats per predicted token.",
    "ce_spliced": "Loss with the coder spliced in, in nats per predicted token.",
    "ce_ablated": "Loss under {ablation} ablation of the target, in nats per predicted token.",
}


def produce(
    settings: Mapping[str, Any],
    model: Path,
    tokens: Path,
    input_hook: Path,
    output_hook: Path,
    codes: Path,
    coder: Path,
    out: Path,
) -> dict[str, Any]:
    """Evaluate one coder on one packed token set; write ``metrics.json`` and tables into `out`.

    `settings`: resamples, ablation ("zero" | "mean"), splice_contexts, batch (contexts per forward
    pass), seed. `input_hook`, `output_hook`: activations of the coder's two hook points (one folder
    for an SAE). Tables: ``documents.parquet`` (sums per document) and ``latents.parquet``. Raises
    :class:`LedgerError` if the inputs do not belong together, and :class:`GateError` if the live
    model does not give the stored activations.
    """
    loaded = load_coder(coder, best_device())
    sources = ActivationShards(input_hook)
    targets = sources if loaded.site.autoencodes else ActivationShards(output_hook)
    latents = CodeShards(codes)
    check_inputs(loaded, sources, targets, latents)
    arrays = load_file(Path(tokens) / "tokens.safetensors")

    owners = [row_owners(shard, arrays["doc_ids"]) for shard in targets.shards()]
    means = target_means(targets, owners)
    documents = int(arrays["doc_ids"].max()) + 1
    sums, fired, total = reconstruction_sums(
        loaded, sources, targets, latents, owners, means, documents
    )
    constant = means[0] if settings["ablation"] == "mean" else np.zeros_like(means[0])
    spliced, live_error = splice_sums(
        settings, Path(model), arrays, loaded, constant, sources, documents
    )
    records = Records(out, resamples=settings["resamples"], seed=settings["seed"])
    table = document_table(sums | spliced)
    records.table("documents.parquet", table)
    token_count = int(sums["tokens"].sum())
    density = fired / token_count
    records.table("latents.parquet", latent_table(fired, total, density))
    record_metrics(records, settings["ablation"])
    facts = {
        "architecture": loaded.architecture,
        "site": str(loaded.site),
        "width": loaded.width,
        "tokens": token_count,
        "documents": len(table["doc_id"]),
        "spliced_tokens": int(spliced["spliced_tokens"].sum()),
        "ablation": settings["ablation"],
        "ablation_cost": float(table["at_stake"].sum() / table["spliced_tokens"].sum()),
        "live_error": live_error,
        "dead": int((fired == 0).sum()),
        "density_histogram": {
            "log10_edges": metrics.DENSITY_EDGES.tolist(),
            "latents": metrics.density_histogram(density).tolist(),
        },
    }
    records.write(facts)
    return facts


def check_inputs(
    coder: SparseCoder, sources: ActivationShards, targets: ActivationShards, codes: CodeShards
) -> None:
    """Raise :class:`LedgerError` unless activations and codes are the coder's and of one length."""
    for role, hook_point, shards in (
        ("reads", coder.site.input_hook, sources),
        ("writes", coder.site.output_hook, targets),
    ):
        if shards.hook_point != str(hook_point):
            raise LedgerError(
                f"The coder {role} {hook_point}, but the activations are of {shards.hook_point}."
            )
    if codes.width != coder.width or not len(codes) == len(sources) == len(targets):
        raise LedgerError(
            f"The codes ({len(codes)} rows of {codes.width} latents) do not belong to this coder "
            f"({coder.width} latents) and these activations ({len(targets)} rows): encode again."
        )


def row_owners(shard: Mapping[str, torch.Tensor], doc_ids: torch.Tensor) -> np.ndarray:
    """The document each row counts for, [rows]: BOS for its context's first, EOS for none (-1).

    `doc_ids` [contexts, context] is the token set's.
    """
    owner = shard["doc_ids"].numpy().copy()
    bos = shard["positions"].numpy() == 0
    inside = doc_ids.numpy()[shard["contexts"].numpy()[bos]]
    first = (inside >= 0).argmax(axis=1)
    owner[bos] = inside[np.arange(len(inside)), first]
    return owner


def target_means(
    targets: ActivationShards, owners: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean target over the rows of documents, and over those and the BOS rows; [d] each."""
    without_bos, with_bos = metrics.RunningMean(), metrics.RunningMean()
    for shard, owner in zip(targets.shards(), owners, strict=True):
        special = shard["doc_ids"].numpy() < 0
        for block in _blocks(len(owner)):
            rows = shard["activations"][block].float().numpy()
            without_bos.update(rows[~special[block]])
            with_bos.update(rows[owner[block] >= 0])
    return without_bos.mean, with_bos.mean


def reconstruction_sums(
    coder: LatentDecoder,
    sources: ActivationShards,
    targets: ActivationShards,
    codes: CodeSource,
    owners: list[np.ndarray],
    means: tuple[np.ndarray, np.ndarray],
    documents: int,
) -> tuple[Sums, np.ndarray, np.ndarray]:
    """Sums per document, and per latent how often it fired and its summed activation [width].

    `means`: of the target without and with BOS rows, which centre ``sst`` and ``sst_with_bos``.
    """
    names = ("tokens", "sse", "sst", "cosine", "l0", "sse_with_bos", "sst_with_bos")
    sums = {name: np.zeros(documents) for name in names}
    fired, total = np.zeros(coder.width, np.int64), np.zeros(coder.width)
    shards = zip(sources.shards(), targets.shards(), codes.shards(), owners, strict=True)
    with Progress("reconstruct", total=len(targets), unit="token") as progress:
        for source, target, latents, owner in shards:
            special = source["doc_ids"].numpy() < 0
            for block in _blocks(len(owner)):
                y = target["activations"][block].float().numpy()
                y_hat = decode(coder, latents[block], source["activations"][block])
                sse, sst = metrics.squared_errors(y, y_hat, means[0])
                _, sst_with_bos = metrics.squared_errors(y, y_hat, means[1])
                values = {
                    "tokens": np.ones(len(y)),
                    "sse": sse,
                    "sst": sst,
                    "cosine": metrics.cosine(y, y_hat),
                    "l0": metrics.l0(latents[block]),
                }
                add_rows(sums, np.where(special[block], -1, owner[block]), values)
                add_rows(sums, owner[block], {"sse_with_bos": sse, "sst_with_bos": sst_with_bos})
                counts, activations = metrics.latent_activity(latents[block][~special[block]])
                fired += counts
                total += activations
                progress.update(len(y))
    return sums, fired, total


def decode(coder: LatentDecoder, latents: csr_matrix, x: torch.Tensor) -> np.ndarray:
    """The coder's output [n, d] for stored codes [n, width] and its input `x` [n, d_in]."""
    device = best_device()
    arrays = (latents.indptr.astype(np.int64), latents.indices.astype(np.int32), latents.data)
    indptr, indices, values = (torch.from_numpy(array).to(device) for array in arrays)
    return coder.decode(indptr, indices, values, x.float().to(device)).cpu().numpy()


def document_table(sums: Sums) -> dict[str, np.ndarray]:
    """The columns of ``documents.parquet``: the sums of every document that has a token.

    Beside them stand the differences that metrics divide: explained, recovered, at_stake.
    """
    doc_id = np.flatnonzero(sums["tokens"])
    table = {"doc_id": doc_id, **{name: values[doc_id] for name, values in sums.items()}}
    for name in ("tokens", "l0", "spliced_tokens"):
        table[name] = table[name].astype(np.int64)
    return table | {
        "explained": table["sst"] - table["sse"],
        "explained_with_bos": table["sst_with_bos"] - table["sse_with_bos"],
        "recovered": table["ce_ablated"] - table["ce_spliced"],
        "at_stake": table["ce_ablated"] - table["ce_clean"],
        "is_spliced": table["spliced_tokens"] > 0,
    }


def latent_table(
    fired: np.ndarray, total: np.ndarray, density: np.ndarray
) -> dict[str, np.ndarray]:
    """The columns of ``latents.parquet``; the mean is over active tokens, NaN for dead latents."""
    mean = np.divide(total, fired, out=np.full(len(fired), np.nan), where=fired > 0)
    return {
        "latent": np.arange(len(fired)),
        "fired": fired,
        "density": density,
        "mean_activation": mean,
        "is_dead": density == 0,
        "is_dense": density > metrics.DENSE_DENSITY,
    }


def record_metrics(records: Records, ablation: str) -> None:
    """Record the ratios of sums over documents, and the dead and dense shares of latents."""
    for name, (numerator, denominator, higher_is_better) in RATIOS.items():
        is_splice_metric = denominator in ("at_stake", "spliced_tokens")
        records.measure(
            name,
            "ratio",
            "documents.parquet",
            unit="document",
            higher_is_better=higher_is_better,
            description=DESCRIPTIONS[name].format(ablation=ablation),
            where={"is_spliced": True} if is_splice_metric else {},
            unit_id="doc_id",
            numerator=numerator,
            denominator=denominator,
        )
    dense = f"active on more than {metrics.DENSE_DENSITY:.0%} of the tokens"
    for name, text in (("dead", "that never fire on these tokens"), ("dense", dense)):
        records.share(
            f"{name}_share",
            "latents.parquet",
            unit="latent",
            higher_is_better=False,
            description=f"Share of latents {text}",
            unit_id="latent",
            value=f"is_{name}",
        )


def _blocks(rows: int) -> list[slice]:
    """Slices of at most :data:`BLOCK_ROWS` rows."""
    return [slice(low, low + BLOCK_ROWS) for low in range(0, rows, BLOCK_ROWS)]
