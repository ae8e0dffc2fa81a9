"""A real ``sparsify.Trainer`` run on a token set, with the losses of every step."""

from __future__ import annotations

from pathlib import Path

import torch
from datasets import Dataset
from safetensors.torch import load_file
from sparsify import SparseCoder, SparseCoderConfig, TrainConfig, Trainer
from transformers import AutoModelForCausalLM

from tests.tiny_models import BOS, EOS, PAD


def sparsify_losses(
    model: Path, tokens: Path, out: Path, hookpoint: str, sae: SparseCoderConfig, **config
) -> dict[str, list[float]]:
    """Train with sparsify itself; returns fvu, auxk, multi_topk_fvu per step; coder in `out`."""
    ids = load_file(tokens / "tokens.safetensors")["input_ids"].long()
    dataset = Dataset.from_dict({"input_ids": ids.numpy()}).with_format("torch")
    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    config |= {"exclude_tokens": [BOS, EOS, PAD], "log_to_wandb": False, "save_every": 10**9}
    config |= {"save_dir": str(out), "run_name": "run", "hookpoints": [hookpoint]}
    losses: dict[str, list[float]] = {"fvu": [], "auxk": [], "multi_topk_fvu": []}
    upstream = SparseCoder.forward

    def listening(self, *args, **kwargs):
        output = upstream(self, *args, **kwargs)
        for name, value in zip(
            losses, (output.fvu, output.auxk_loss, output.multi_topk_fvu), strict=True
        ):
            losses[name].append(value.item())
        return output

    precision = torch.get_float32_matmul_precision()
    SparseCoder.forward = listening
    try:
        Trainer(TrainConfig(sae, **config), dataset, network).fit()
    finally:
        SparseCoder.forward = upstream
        torch.set_float32_matmul_precision(precision)
    return losses
