"""Cross-check of sae_bench's core metrics and ours, on the same activations of one coder.

    stored activations --replay--> sae_bench ``get_sparsity_and_variance_metrics``   | theirs
    live model, two hooks          sae_bench ``get_downstream_reconstruction_metrics`` |
    codes, decoder, splice         statistics.metrics and models.splice                     | ours

sae_bench's functions take a TransformerLens model and a stream of tokens; :class:`Replay` is both.
The two must agree on :data:`CORRECT`. sae_bench 0.6.0 is wrong in :data:`WRONG`:

* ``explained_variance``: it subtracts the square of the mean *square* of an activation, averaged
  over dimensions, where the variance needs the squared means summed over them: for a mean far from
  zero it is nearly uncentred (0.935 where the truth is 0.000). SAELens corrected its copy.
* ``explained_variance_legacy``: a mean of per-token ratios, which has no variance for denominator.
* ``mse``: divided by the number of tokens of a batch twice. SAELens corrected it too.

Conventions are sae_bench's own on both sides: special tokens are neither measured nor replaced, a
loss counts by its predicting token, and ablation sets *every* position to zero. (The ledger's loss
recovered ablates non-special positions only, and does not count the prediction of special tokens.)
sae_bench decodes a transcoder against its input, so there only the metrics of latents are compared.
"""

from latent_ledger.evaluations.saebench.upstream import quiet  # isort: skip

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sae_bench.evals.core import main as upstream
from safetensors.torch import load_file

from latent_ledger.coders.codes import CodeShards
from latent_ledger.coders.sparse_coder import SparseCoder, load_coder
from latent_ledger.evaluations.reconstruction.evaluation import decode
from latent_ledger.lib.files import read_json
from latent_ledger.models import language_model, splice
from latent_ledger.models.hook_points import HookPoint
from latent_ledger.models.shards import ActivationShards
from latent_ledger.statistics import metrics
from latent_ledger.statistics.records import Records, by_column

LATENTS = ("l0", "l1", "feature_density")
"""Compared for every coder."""

CORRECT = (
    *LATENTS,
    *("l2_norm_in", "l2_norm_out", "l2_ratio", "cossim"),
    *("ce_loss_without_sae", "ce_loss_with_sae", "ce_loss_with_ablation", "ce_loss_score"),
    "kl_div_with_sae",
)
"""Metrics on which sae_bench is right, so that ours must equal them."""

WRONG = ("explained_variance", "explained_variance_legacy", "mse")
"""Metrics on which sae_bench 0.6.0 is wrong; both values are recorded."""


class Replay:
    """A stand-in for sae_bench's model and token stream, over whole contexts of a token set.

    `ids` [contexts, context] and `values` [contexts, context, d] are the tokens and one hook
    point's stored activations, given in order; `special` are the tokens that are not measured.
    Without `network`, the live model, there are no losses.
    """

    def __init__(
        self,
        ids: torch.Tensor,
        values: torch.Tensor,
        hook_point: HookPoint,
        special: set[int],
        network: Any = None,
    ) -> None:
        self.ids, self.values, self.hook_point = ids, values, hook_point
        self.special, self.network = special, network
        tokens = torch.tensor(sorted(special), device=ids.device)
        self.ordinary = torch.isin(ids, tokens, invert=True)
        self.batch = slice(0, 0)

    def get_batch_tokens(self, contexts: int) -> torch.Tensor:
        """The next `contexts` contexts, from the first again after the last."""
        low = self.batch.stop if self.batch.stop < len(self.ids) else 0
        self.batch = slice(low, low + contexts)
        return self.ids[self.batch]

    def run_with_cache(
        self, _tokens: torch.Tensor, names_filter: Sequence[str], **_kwargs: Any
    ) -> tuple[None, dict[str, torch.Tensor]]:
        """The stored activations of the last batch, under the hook's name."""
        return None, dict.fromkeys(names_filter, self.values[self.batch])

    def run_with_hooks(
        self, tokens: torch.Tensor, fwd_hooks: Sequence = (), **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits, and losses [n, context - 1], with the hook's function at the hook point."""
        functions = [function for _, function in fwd_hooks]  # one at most: one hook name
        replace = {self.hook_point: lambda value, _: functions[0](value, None)} if functions else {}
        everywhere = torch.ones_like(tokens)
        logits = splice.forward_with(self.network, tokens, everywhere, replace)
        losses = splice.token_losses(logits, tokens, everywhere)
        return logits, losses[:, :-1]

    __call__ = run_with_hooks


def produce(
    settings: Mapping[str, Any],
    sae: Any,
    model: Path,
    tokens: Path,
    input_hook: Path,
    codes: Path,
    coder: Path,
    out: Path,
) -> dict[str, Any]:
    """Compare on the first contexts of a packed token set; write metrics and ``core.parquet``.

    `settings`: contexts and batch (contexts at a time; whole batches are measured). `sae`: the
    coder as a SAELens object. `input_hook`, `codes`: stored activations and codes of the coder on
    `tokens`. Returns facts: architecture, hook point, contexts, tokens, and :data:`WRONG`.
    """
    device = torch.device(sae.device)  # all else goes to the adapter's device
    loaded = load_coder(coder, str(device))
    arrays = load_file(tokens / "tokens.safetensors")
    batch = min(settings["batch"], len(arrays["input_ids"]))
    count = min(settings["contexts"], len(arrays["input_ids"])) // batch * batch
    ids = arrays["input_ids"][:count].long().to(device)
    rows = ActivationShards(input_hook).read(0, ids.numel())["activations"]
    values = rows.float().reshape(*ids.shape, -1).to(device)
    meta = read_json(tokens / "meta.json")
    special = {meta[name] for name in ("bos_id", "eos_id", "pad_id")}
    autoencodes = loaded.site.autoencodes
    network = language_model.load_model(model, device=device) if autoencodes else None
    replay = Replay(ids, values, loaded.site.input_hook, special, network)
    with torch.inference_mode():
        theirs = sae_bench_metrics(sae, replay, batch)
        ours = ledger_metrics(loaded, replay, CodeShards(codes))
    records = Records(out, resamples=1, seed=0)
    record(records, list(comparison(ours, theirs, CORRECT + WRONG if autoencodes else LATENTS)))
    facts = {
        "architecture": loaded.architecture,
        "hook_point": str(loaded.site.input_hook),
        "wrong": list(WRONG),
        "contexts": count,
        "tokens": int(replay.ordinary.sum()),
    }
    records.write(facts)
    return facts


def sae_bench_metrics(sae: Any, replay: Replay, batch: int) -> dict[str, Any]:
    """sae_bench's metrics, by its own names; ``feature_density`` is an array [width]."""
    # As its own loader does for SAELens objects.
    sae.cfg.hook_name, sae.cfg.hook_layer = str(replay.hook_point), replay.hook_point.layer
    sae.cfg.hook_head_index = None
    subjects = (sae, replay, replay)  # a replay is the model and the stream of tokens
    common = {
        "n_batches": len(replay.ids) // batch,
        "eval_batch_size_prompts": batch,
        "ignore_tokens": replay.special,
    }
    with quiet():
        values, per_latent = upstream.get_sparsity_and_variance_metrics(
            *subjects,
            compute_l2_norms=True,
            compute_sparsity_metrics=True,
            compute_variance_metrics=True,
            compute_featurewise_density_statistics=True,
            model_kwargs={},
            **common,
        )
        if replay.network is not None:
            values |= upstream.get_downstream_reconstruction_metrics(
                *subjects,
                compute_kl=True,
                compute_ce_loss=True,
                exclude_special_tokens_from_reconstruction=True,
                **common,
            )
    return values | {"feature_density": np.array(per_latent["feature_density"])}


def ledger_metrics(coder: SparseCoder, replay: Replay, codes: CodeShards) -> dict[str, Any]:
    """The same metrics from our codes, decoder, metrics and splice."""
    keep = np.flatnonzero(replay.ordinary.flatten().cpu().numpy())
    latents = codes.matrix()[keep]
    x = replay.values.cpu().flatten(0, 1)[torch.from_numpy(keep)]
    fired, _ = metrics.latent_activity(latents)
    values: dict[str, Any] = {
        "l0": metrics.l0(latents).mean(),
        "l1": latents.sum() / len(keep),
        "feature_density": fired / len(keep),
    }
    if replay.network is None:
        return values
    target, output = x.numpy(), decode(coder, latents, x)
    norms = [np.linalg.norm(array.astype(np.float64), axis=1) for array in (target, output)]
    errors = metrics.squared_errors(target, output, target.mean(axis=0))[0]
    explained = metrics.variance_explained(target, output)
    values |= {
        "l2_norm_in": norms[0].mean(),
        "l2_norm_out": norms[1].mean(),
        "l2_ratio": (norms[1] / norms[0]).mean(),
        "cossim": metrics.cosine(target, output).mean(),
        "explained_variance": explained,
        "explained_variance_legacy": explained,
        "mse": errors.mean(),
    }
    return values | splicing_losses(coder, replay)


def splicing_losses(coder: SparseCoder, replay: Replay) -> dict[str, float]:
    """Losses and KL by our splice, under sae_bench's conventions (see the module's text)."""
    totals: dict[str, list[torch.Tensor]] = defaultdict(list)
    for low in range(0, len(replay.ids), 32):
        ids, replaced = replay.ids[low : low + 32], replay.ordinary[low : low + 32]
        everywhere = torch.ones_like(ids)
        logits = {}
        for name, replace, positions in (
            ("without_sae", {}, everywhere),
            ("with_sae", splice.at_site(coder.site, coder.reconstruct), replaced),
            ("with_ablation", splice.at_site(coder.site, torch.zeros_like), everywhere),
        ):
            logits[name] = splice.forward_with(
                replay.network, ids, everywhere, replace, positions=positions
            )
            losses = splice.token_losses(logits[name], ids, everywhere)[:, :-1]
            totals[f"ce_loss_{name}"].append(losses[replaced[:, :-1]])
        divergence = splice.kl(logits["without_sae"], logits["with_sae"])
        totals["kl_div_with_sae"].append(divergence[replaced])
    means = {name: float(torch.cat(batches).double().mean()) for name, batches in totals.items()}
    clean, spliced, ablated = (
        means[f"ce_loss_{name}"] for name in ("without_sae", "with_sae", "with_ablation")
    )
    return means | {"ce_loss_score": metrics.loss_recovered(clean, spliced, ablated)}


def comparison(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], names: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Rows of ``core.parquet``, one per metric. Densities give their means and largest gap.

    The relative difference is |ours - theirs| / max(|ours|, |theirs|): at most 1 for equal signs.
    """
    for name in names:
        left, right = (np.asarray(side[name], dtype=np.float64) for side in (ours, theirs))
        gap, scale = np.abs(left - right), np.maximum(np.abs(left), np.abs(right))
        relative = np.divide(gap, scale, out=np.zeros_like(gap), where=scale > 0)
        yield {
            "metric": name,
            "ours": float(left.mean()),
            "theirs": float(right.mean()),
            "relative_difference": float(relative.max()),
            "upstream_is_right": name in CORRECT,
        }


def record(records: Records, rows: Sequence[Mapping[str, Any]]) -> None:
    """Record the table, the largest difference over the correct metrics, and each metric."""
    records.table("core.parquet", by_column(rows))
    right = [row for row in rows if row["upstream_is_right"]]
    worst = max(right, key=lambda row: row["relative_difference"])
    records.add(
        "largest_difference",
        worst["relative_difference"],
        unit="metric",
        n=len(right),
        higher_is_better=False,
        table="core.parquet",
        description=f"Largest relative difference from sae_bench's core, in {worst['metric']}.",
    )
    for row in rows:
        for side in ("ours", "theirs"):
            records.add(
                f"{row['metric']}/{side}",
                row[side],
                unit="metric",
                n=1,
                higher_is_better=None,
                description=f"{row['metric']} of sae_bench's core, {side}"
                + ("." if row["upstream_is_right"] else "; sae_bench 0.6.0 is wrong here."),
            )
