"""TopK transcoders for SAELens, which has them with ReLU and JumpReLU only.

    latents = relu(top_k(W_enc^T x + b_enc))
    output  = W_dec^T latents + b_dec  [+ W_skip x]

Both classes stand in SAELens' registry under their architecture's name, so ``save_model`` and
``SAE.load_from_disk`` work after an import of this module. As in every SkipTranscoder of
SAELens, ``decode`` leaves the skip out, because it does not see ``x``; ``forward`` adds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sae_lens import SkipTranscoder, SkipTranscoderConfig, Transcoder, TranscoderConfig
from sae_lens.registry import register_sae_class
from sae_lens.saes import topk_sae
from torch import Tensor

from latent_ledger.coders.top_k import top_k


class TopK(topk_sae.TopK):
    """SAELens' TopK of dense latents, selected in two stages, because it takes most of the time."""

    def forward(self, x: Tensor) -> Tensor:
        """Pre-activations [..., width] -> latents [..., width]: top k, then ReLU."""
        values, indices = top_k(x.reshape(-1, x.shape[-1]), self.k)
        latents = x.new_zeros(x.shape)
        latents.view(-1, x.shape[-1]).scatter_(1, indices, values.relu())
        return latents


@dataclass
class TopKTranscoderConfig(TranscoderConfig):
    """A transcoder of which the `k` largest latents stay active."""

    k: int = 32

    @classmethod
    def architecture(cls) -> str:
        """Name in SAELens' registry."""
        return "topk_transcoder"


@dataclass
class TopKSkipTranscoderConfig(SkipTranscoderConfig):
    """A transcoder with a skip connection of which the `k` largest latents stay active."""

    k: int = 32

    @classmethod
    def architecture(cls) -> str:
        """Name in SAELens' registry."""
        return "topk_skip_transcoder"


class TopKTranscoder(Transcoder):
    """SAELens' Transcoder with a TopK activation."""

    cfg: TopKTranscoderConfig

    def get_activation_fn(self) -> Callable[[Tensor], Tensor]:
        """TopK, then ReLU."""
        return TopK(self.cfg.k)

    @classmethod
    def from_dict(cls, config_dict: Mapping[str, Any]) -> TopKTranscoder:
        """An untrained one from a configuration."""
        return cls(TopKTranscoderConfig.from_dict(dict(config_dict)))


class TopKSkipTranscoder(SkipTranscoder):
    """SAELens' SkipTranscoder with a TopK activation; only ``forward`` adds the skip."""

    cfg: TopKSkipTranscoderConfig

    def get_activation_fn(self) -> Callable[[Tensor], Tensor]:
        """TopK, then ReLU."""
        return TopK(self.cfg.k)

    @classmethod
    def from_dict(cls, config_dict: Mapping[str, Any]) -> TopKSkipTranscoder:
        """An untrained one from a configuration."""
        return cls(TopKSkipTranscoderConfig.from_dict(dict(config_dict)))


for coder_class, config_class in (
    (TopKTranscoder, TopKTranscoderConfig),
    (TopKSkipTranscoder, TopKSkipTranscoderConfig),
):
    register_sae_class(config_class.architecture(), coder_class, config_class)
