"""Settings of one training run, checked, and the optimisers that follow from them.

Names, defaults and learning rates are sparsify's where it has them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

import torch
from schedulefree import ScheduleFreeWrapper
from sparsify import SparseCoder, SparseCoderConfig
from sparsify.muon import Muon
from sparsify.sign_sgd import SignSGD
from transformers import get_linear_schedule_with_warmup

from latent_ledger.coders.formats.site_file import check_site
from latent_ledger.coders.training.architectures.entry import Architecture
from latent_ledger.coders.training.architectures.registry import ARCHITECTURES
from latent_ledger.coders.training.control_weights import LEARNT
from latent_ledger.lib.errors import LedgerError
from latent_ledger.models.hook_points import CoderSite

CHOICES: dict[str, Collection[str]] = {
    "architecture": [name for name, entry in ARCHITECTURES.items() if entry.trainer == "sparsify"],
    "weights": LEARNT,
    "optimizer": ("signum", "adam", "muon"),
}


@dataclass(frozen=True)
class Recipe:
    """The settings of one training run."""

    architecture: str
    layer: int
    input_hook: str
    width: int
    k: int
    batch_tokens: int
    output_hook: str | None = None
    seed: int = 0
    weights: str = "trained"  # see control_weights.py
    unit_scale: bool = False  # train on activations of about unit size; see activation_scale.py
    optimizer: str = "signum"
    learning_rate: float | None = None  # None: sparsify's rule, by optimiser and width
    lr_warmup_steps: int = 1000  # adam only
    auxk_alpha: float = 0.0
    multi_topk: bool = False
    activation: str = "topk"
    dead_feature_threshold: int = 10_000_000  # tokens of silence after which auxk revives a latent
    order_seed: int | None = None
    checkpoint_steps: int = 1000

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Recipe:
        """Check a settings dict. Raises :class:`LedgerError` naming what is wrong."""
        if unknown := sorted(set(settings) - {field.name for field in fields(cls)}):
            raise LedgerError(f"Training has no setting named {', '.join(unknown)}.")
        needed = {field.name for field in fields(cls) if field.default is MISSING}
        if missing := sorted(needed - set(settings)):
            raise LedgerError(f"Training needs {', '.join(missing)} in its settings.")
        recipe = cls(**settings)
        for name, known in CHOICES.items():
            if (value := getattr(recipe, name)) not in known:
                raise LedgerError(f"Training: {name} {value!r} is none of {', '.join(known)}.")
        if not 0 < recipe.k <= recipe.width:
            raise LedgerError(f"Training: k = {recipe.k} must be in 1 .. width = {recipe.width}.")
        check_site(recipe.architecture, recipe.kind.autoencodes, recipe.site)
        return recipe

    @property
    def kind(self) -> Architecture:
        """The entry of its architecture."""
        return ARCHITECTURES[self.architecture]

    @property
    def site(self) -> CoderSite:
        """Where the coder reads and writes."""
        return CoderSite.at(self.layer, self.input_hook, self.output_hook)

    @property
    def coder_config(self) -> SparseCoderConfig:
        """sparsify's configuration of the coder."""
        return SparseCoderConfig(
            activation=self.activation,
            num_latents=self.width,
            k=self.k,
            multi_topk=self.multi_topk,
            **self.kind.options,
        )


def optimizers(coder: SparseCoder, recipe: Recipe, steps: int) -> tuple[list, list]:
    """sparsify's optimisers of the weights that learn, and their schedules over `steps` batches.

    Signum is sign descent under Schedule-Free averaging. Adam is torch's: sparsify's choice of an
    8-bit one, where bitsandbytes is installed, would make the result depend on that.
    """
    parameters = [parameter for parameter in coder.parameters() if parameter.requires_grad]
    rate, width_scale = recipe.learning_rate, (coder.num_latents / 2**14) ** 0.5
    if recipe.optimizer == "signum":
        base = SignSGD([{"params": parameters, "lr": rate or 5e-3 / width_scale}])
        signum = ScheduleFreeWrapper(base, momentum=0.95)
        signum.train()
        return [signum], []
    warmup = recipe.lr_warmup_steps
    if recipe.optimizer == "adam":
        adam = torch.optim.Adam(parameters, lr=rate or 2e-4 / width_scale)
        return [adam], [get_linear_schedule_with_warmup(adam, warmup, steps)]
    matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
    muon = [Muon(matrices, lr=rate or 2e-3)] if matrices else []
    biases = [parameter for parameter in parameters if parameter.ndim < 2]
    adam = torch.optim.Adam(biases, lr=rate or 2e-3)
    schedules = [get_linear_schedule_with_warmup(each, 0, steps) for each in muon]
    return [*muon, adam], [*schedules, get_linear_schedule_with_warmup(adam, warmup, steps)]
