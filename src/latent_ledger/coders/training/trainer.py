"""Training of a sparse coder from cached activations, step for step as sparsify's ``Trainer``.

    shards --rows of whole contexts--> drop BOS/EOS --> [first step: set biases to the data's mean]
           --> [SAE: unit-norm decoder rows] --> fvu + auxk_alpha * auxk + multi_topk / 8
           --> gradients (SAE: minus their part along the decoder rows) --> optimiser

One step reads ``batch_tokens / context`` consecutive contexts in stored order, as sparsify's loader
does, so that every coder sees the same tokens in the same order; an ``order_seed`` shuffles whole
contexts instead. Special tokens are left out as by sparsify's ``exclude_tokens``. The last, shorter
batch counts as a step, and the weights saved after it are the optimiser's averaged ones
(Schedule-Free, arXiv 2405.15682), as in ``Trainer.save``.

Training draws no random number after initialisation; a checkpoint holds the raw state between two
steps, so a job killed and started again ends with the same bytes as one that was not.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from schedulefree import ScheduleFreeWrapper
from torch import Tensor

from latent_ledger.coders.formats.sparsify.writer import save
from latent_ledger.coders.training.activation_scale import Units
from latent_ledger.coders.training.batches import Batches
from latent_ledger.coders.training.control_weights import Decoder
from latent_ledger.coders.training.recipe import Recipe, optimizers
from latent_ledger.coders.training.sparse_backward import TrainingCoder
from latent_ledger.lib.files import digest_json, full_disk_in_one_line
from latent_ledger.lib.numbers import ROW_GROUP
from latent_ledger.lib.progress import Progress
from latent_ledger.models.checkpoint import Checkpoint
from latent_ledger.models.device import best_device

LOSSES = ("fvu", "auxk", "multi_topk_fvu", "dead_share")
"""Columns of the losses of a step."""
PARTS = ("optimizers", "schedulers")
COUNTERS = ("step", "tokens", "losses", "silent")


class Training:
    """Coder, optimisers and the counters that a step changes."""

    def __init__(self, recipe: Recipe, batches: Batches, device: torch.device) -> None:
        self.recipe, steps = recipe, len(batches)
        self.units = Units.from_batch(*batches.load(0)) if recipe.unit_scale else Units()
        torch.manual_seed(recipe.seed)
        self.coder = TrainingCoder(batches.d, recipe.coder_config, device, dtype=torch.float32)
        self.decoder = Decoder(self.coder, recipe.kind, recipe.weights)
        self.optimizers, self.schedulers = optimizers(self.coder, recipe, batches.full)
        self.decoder.bind(self.optimizers)
        self.step = 0
        self.tokens = torch.zeros(steps, dtype=torch.int64)
        self.losses = torch.zeros(steps, len(LOSSES), device=device)
        # tokens since a latent fired
        self.silent = torch.zeros(recipe.width, dtype=torch.int64, device=device)
        self.silent_long = min(recipe.dead_feature_threshold, batches.n_rows // 10)

    def learn(self, x: Tensor, y: Tensor) -> None:
        """One optimiser step on a batch x, y [rows, d]."""
        coder, recipe = self.coder, self.recipe
        x, y = self.units.divide(x, y)
        autoencodes = recipe.kind.autoencodes
        if self.step == 0:  # centre the pre-activations and the output
            if not autoencodes:
                coder.encoder.bias.data = -x.mean(0) @ coder.encoder.weight.data.T
            coder.b_dec.data = y.mean(0)
        unit_norm = coder.cfg.normalize_decoder and autoencodes and coder.W_dec.requires_grad
        if unit_norm:
            coder.set_decoder_norm_to_unit_norm()
            self.decoder.turn_back()
        dead = self.silent > recipe.dead_feature_threshold if recipe.auxk_alpha > 0 else None
        total_variance = (y - y.mean(0)).pow(2).sum()
        out = coder(x=x, y=y, dead_mask=dead, total_variance=total_variance)
        (out.fvu + recipe.auxk_alpha * out.auxk_loss + out.multi_topk_fvu / 8).backward()
        if unit_norm:
            coder.remove_gradient_parallel_to_decoder_directions()
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        for scheduler in self.schedulers:
            scheduler.step()
        self.silent += len(x)
        self.silent[out.latent_indices.flatten()] = 0
        dead_share = (self.silent > self.silent_long).float().mean()
        losses = (out.fvu, out.auxk_loss, out.multi_topk_fvu, dead_share)
        self.losses[self.step] = torch.stack([loss.detach().float() for loss in losses])
        self.tokens[self.step] = len(x)
        self.step += 1

    def finish(self) -> None:
        """Put the final weights, averaged if the optimiser averages, into the coder."""
        for optimizer in self.optimizers:
            if isinstance(optimizer, ScheduleFreeWrapper):
                optimizer.eval()
        self.decoder.turn_back()
        self.units.fold(self.coder)

    def state(self) -> dict[str, Any]:
        """Everything the next step depends on, raw: no switch to averaged weights and back."""
        parts = {name: [part.state_dict() for part in getattr(self, name)] for name in PARTS}
        counters = {name: getattr(self, name) for name in COUNTERS}
        return {"coder": self.coder.state_dict(), **parts, **counters}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`state`."""
        self.coder.load_state_dict(state["coder"])
        for name in PARTS:
            for part, saved in zip(getattr(self, name), state[name], strict=True):
                part.load_state_dict(saved)
        for name in COUNTERS:
            setattr(self, name, state[name])


@contextmanager
def high_matmul_precision() -> Iterator[None]:
    """sparsify's fp32 matmul precision in training, which nothing after it should have."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def produce(
    settings: Mapping[str, Any],
    activations: Mapping[str, Path],
    out: Path,
    checkpoint: Path | None = None,
) -> dict[str, Any]:
    """Train one coder into `out`, on ``{"input_hook": folder, "output_hook": folder}``.

    Writes sparsify's ``cfg.json`` and ``sae.safetensors``, ``site.json``, and ``training.parquet``
    (per step: step, tokens seen, :data:`LOSSES`). Returns facts: tokens, steps, fvu (mean of the
    last tenth of the steps, on training tokens), dead_share (latents silent over the last
    ``dead_window`` tokens), weights (the setting), learnt (the parameters that training changed)
    and, for a control, decoder_cosine (least and mean cosine of the decoder's rows with themselves
    as drawn) or units (what the activations were divided by). The caller clears `checkpoint`.
    """
    recipe = Recipe.from_settings(settings)
    batches = Batches(
        activations, recipe.site, batch_tokens=recipe.batch_tokens, order_seed=recipe.order_seed
    )
    device = torch.device(best_device())
    training = Training(recipe, batches, device)
    kept = Checkpoint(checkpoint, digest_json([asdict(recipe), batches.shards[0].meta]))
    if state := kept.load(device):
        training.restore(state)
    steps = len(batches)
    progress = Progress("train coder", total=steps, unit="step", start=training.step)
    with high_matmul_precision(), progress:
        for x, y in batches.stream(training.step, device):
            training.learn(x, y)
            if training.step % recipe.checkpoint_steps == 0 and training.step < steps:
                kept.save(training.state())
            fvu, _, _, dead = training.losses[training.step - 1].tolist()
            progress.update(1, fvu=fvu, dead=dead)
    training.finish()
    save(training.coder, recipe.site, out)
    return write_history(training, Path(out) / "training.parquet") | learnt_facts(training)


def write_history(training: Training, path: Path) -> dict[str, Any]:
    """Write the per-step table and sum it up."""
    losses = dict(zip(LOSSES, training.losses.cpu().numpy().T, strict=True))
    steps, seen = len(training.losses), training.tokens.cumsum(0).numpy()
    table = pa.table({"step": np.arange(steps, dtype=np.int64), "tokens": seen, **losses})
    with full_disk_in_one_line(path):
        pq.write_table(table, path, row_group_size=ROW_GROUP)
    return {
        "tokens": int(seen[-1]),
        "steps": steps,
        "fvu": float(losses["fvu"][-math.ceil(steps / 10) :].mean(dtype=np.float64)),
        "dead_share": float(losses["dead_share"][-1]),
        "dead_window": training.silent_long,
    }


def learnt_facts(training: Training) -> dict[str, Any]:
    """Facts that distinguish a control: the weights that training could change, and how far."""
    parameters = training.coder.named_parameters()
    facts: dict[str, Any] = {
        "weights": training.recipe.weights,
        "learnt": [name for name, parameter in parameters if parameter.requires_grad],
    }
    if training.recipe.unit_scale:
        facts["units"] = asdict(training.units)
    if (cosines := training.decoder.cosines()) is not None:
        facts["decoder_cosine"] = {"least": float(cosines.min()), "mean": float(cosines.mean())}
    return facts
