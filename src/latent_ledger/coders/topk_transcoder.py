"""TopK transcoders for SAELens, which has them with ReLU and JumpReLU only.

    latents = relu(top_k(W_enc^T x + b_enc))
    output  = W_dec^T latents + b_dec  [+ W_skip x]

Both are in SAELens' registry, so ``save_model`` and ``SAE.load_from_disk`` work after an import of
this module. As in SAELens' SkipTranscoder, ``decode`` leaves the skip out; ``forward`` adds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

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
class TopKSkipTranscoderConfig(TopKTranscoderConfig, SkipTranscoderConfig):
    """A transcoder with a skip connection of which the `k` largest latents stay active."""

    @classmethod
    def architecture(cls) -> str:
        """Name in SAELens' registry."""
        return "topk_skip_transcoder"


class WithTopK(Transcoder):
    """A SAELens transcoder with the TopK activation; its configuration, a `config`, has a `k`."""

    config: ClassVar[type[TranscoderConfig]]
    cfg: Any

    def get_activation_fn(self) -> Callable[[Tensor], Tensor]:
        """TopK, then ReLU."""
        return TopK(self.cfg.k)

    @classmethod
    def from_dict(cls, config_dict: Mapping[str, Any]) -> WithTopK:
        """An untrained one from a configuration."""
        return cls(cls.config.from_dict(dict(config_dict)))


class TopKTranscoder(WithTopK):
    """SAELens' Transcoder with a TopK activation."""

    config = TopKTranscoderConfig


class TopKSkipTranscoder(WithTopK, SkipTranscoder):
    """SAELens' SkipTranscoder with a TopK activation; only ``forward`` adds the skip."""

    config = TopKSkipTranscoderConfig


for coder_class in (TopKTranscoder, TopKSkipTranscoder):
    register_sae_class(coder_class.config.architecture(), coder_class, coder_class.config)
