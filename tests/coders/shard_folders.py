"""Activation folders as the capture writes them, from tensors at hand."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from latent_ledger.lib.files import read_json, write_json
from latent_ledger.models.shards import shard_name, write_shard
from tests.tiny_models import BOS, EOS, PAD


def write_activations(
    folder: Path,
    hook_point: str,
    values: Tensor,
    token_ids: Tensor,
    *,
    per_shard: int,
    tokens: dict,
) -> Path:
    """Write values [contexts, context, d] of `hook_point` into shards of `per_shard` whole
    contexts.
    """
    folder.mkdir(parents=True)
    contexts, context, d = values.shape
    sizes = []
    for number, low in enumerate(range(0, contexts, per_shard)):
        rows = slice(low, min(low + per_shard, contexts))
        ids = token_ids[rows].flatten().int()
        place = torch.arange(context, dtype=torch.int32).repeat(rows.stop - low)
        columns = {
            "activations": values[rows].reshape(-1, d).contiguous(),
            "token_ids": ids,
            "positions": place,
            "doc_ids": torch.where(ids < BOS, 0, -1).int(),
            "contexts": torch.arange(low, rows.stop, dtype=torch.int32).repeat_interleave(context),
        }
        write_shard(folder / shard_name(number), columns)
        sizes.append(len(ids))
    dtype = str(values.dtype).removeprefix("torch.")
    meta = {"hook_point": hook_point, "d": d, "n_rows": sum(sizes), "dtype": dtype, "shards": sizes}
    write_json(folder / "meta.json", meta | {"tokens": tokens, "parity": None})
    return folder


def token_meta(contexts: int, context: int) -> dict:
    """The part of a token set's meta.json that training reads."""
    special = {"bos_id": BOS, "eos_id": EOS, "pad_id": PAD}
    return special | {"context": context, "n_contexts": contexts, "layout": "packed"}


def synthetic(
    folder: Path,
    values: Tensor,
    *,
    context: int,
    hook_point: str = "layers.0.resid_post",
    shards: int = 3,
) -> Path:
    """Activations [rows, d] as one hook point of a token set of ordinary tokens behind one BOS
    each.
    """
    contexts, d = len(values) // context, values.shape[1]
    ids = torch.arange(len(values)).reshape(contexts, context) % 200
    ids[:, 0] = BOS
    return write_activations(
        folder,
        hook_point,
        values.reshape(contexts, context, d),
        ids,
        per_shard=-(-contexts // shards),
        tokens=token_meta(contexts, context),
    )


def from_model(model_folder: Path, tokens: Path, out: Path, *hook_points: str) -> dict[str, Path]:
    """Capture `hook_points` in float32 with plain hooks, whole token set at once."""
    from transformers import AutoModelForCausalLM

    from latent_ledger.models import hooks
    from latent_ledger.models.hook_points import HookPoint

    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32).eval()
    ids = load_file(tokens / "tokens.safetensors")["input_ids"].long()
    values = hooks.read(model, ids, [HookPoint.parse(hook_point) for hook_point in hook_points])
    return {
        str(hook_point): write_activations(
            out / str(hook_point),
            str(hook_point),
            value,
            ids,
            per_shard=37,
            tokens=read_json(tokens / "meta.json"),
        )
        for hook_point, value in values.items()
    }
