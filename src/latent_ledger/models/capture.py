"""Capture of activations: one forward pass per (model, token set) for all of its hook points.

::

    contexts -> shards of whole contexts -> batches -> blocks 0..deepest | (nothing deeper)
                                                          |
                          hooks copy real positions into one buffer per hook point -> shard on disk

* Memory: the model, one batch, and one shard per hook point, whatever the number of tokens.
* Batches never straddle shards: a shard's bytes depend on nothing outside it, so a killed capture
  goes on with the next shard and ends with the bytes of an uninterrupted one.
* Before the first shard is written, :mod:`latent_ledger.models.parity` compares the first batch of
  every hook point with TransformerLens.
"""

import contextlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
import transformers
from safetensors import safe_open
from transformers import PreTrainedModel

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import digest_json, read_json, seal, sealed, sha256_file, write_json
from latent_ledger.lib.progress import Progress
from latent_ledger.models import hooks, language_model, parity, shards
from latent_ledger.models.device import best_device
from latent_ledger.models.hook_points import HookPoint


@dataclass(frozen=True)
class Span:
    """The contexts ``first <= context < last`` of one shard, and their number of real positions."""

    first: int
    last: int
    rows: int


class TokenSet:
    """Contexts of a token folder, read a few at a time."""

    def __init__(self, folder: Path) -> None:
        self.path = Path(folder) / "tokens.safetensors"
        self.meta: dict = read_json(Path(folder) / "meta.json")
        with safe_open(self.path, framework="pt") as tokens:
            self.lengths = tokens.get_tensor("lengths").numpy()
        if not len(self.lengths) or self.lengths.min() < 1:
            raise LedgerError(f"{folder} has no contexts, or empty ones: nothing to capture.")
        self.n_rows, self.bos_id = int(self.lengths.sum()), int(self.meta["bos_id"])

    def spans(self, shard_rows: int) -> list[Span]:
        """Shards of whole contexts: as many as fit into `shard_rows` rows, at least one."""
        ends = np.cumsum(self.lengths, dtype=np.int64)
        spans, first, before = [], 0, 0
        while first < len(ends):
            last = max(int(np.searchsorted(ends, before + shard_rows, side="right")), first + 1)
            spans.append(Span(first, last, int(ends[last - 1]) - before))
            first, before = last, int(ends[last - 1])
        return spans

    def read(self, first: int, last: int) -> dict[str, torch.Tensor]:
        """``input_ids`` and ``doc_ids`` (int32) and ``real`` (bool), each [contexts, position]."""
        with safe_open(self.path, framework="pt") as tokens:
            ids, docs = (tokens.get_slice(n)[first:last].clone() for n in ("input_ids", "doc_ids"))
        lengths = torch.from_numpy(self.lengths[first:last].astype(np.int64))
        return {
            "input_ids": ids,
            "doc_ids": docs,
            "real": torch.arange(ids.shape[1]) < lengths[:, None],
        }


def side_columns(tokens: dict[str, torch.Tensor], first_context: int) -> dict[str, torch.Tensor]:
    """Token, position, document and context of each row, [rows] int32 each, in token order."""
    contexts, positions = tokens["real"].nonzero(as_tuple=True)
    columns = {
        "token_ids": tokens["input_ids"][tokens["real"]],
        "positions": positions,
        "doc_ids": tokens["doc_ids"][tokens["real"]],
        "contexts": contexts + first_context,
    }
    return {name: column.to(torch.int32) for name, column in columns.items()}


def real_rows(value: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """[batch, position, d] -> [rows, d]: the real positions in token order."""
    if real.all():
        return value.reshape(-1, value.shape[-1])
    return value[real.to(value.device)]


def forward_rows(
    network: PreTrainedModel,
    tokens: Mapping[str, torch.Tensor],
    hook_points: Sequence[HookPoint],
    see: Callable[[HookPoint, torch.Tensor], None],
) -> None:
    """Forward one batch; `see` gets the rows [n, d] of every hook point at the real positions."""
    longest = int(tokens["real"].sum(1).max())  # positions right of it are padding in every context
    real = tokens["real"][:, :longest]
    ids = tokens["input_ids"][:, :longest].to(network.device, torch.long)
    hooks.visit(network, ids, hook_points, lambda hook, value: see(hook, real_rows(value, real)))


def write_missing_shards(
    settings: Mapping,
    network: PreTrainedModel,
    tokens: TokenSet,
    folders: Mapping[HookPoint, Path],
) -> dict[HookPoint, list[Path]]:
    """Forward a token set and seal in each hook point's folder the shards that it lacks.

    `settings`: ``dtype``, ``batch`` and ``shard_tokens`` of :func:`capture`. Returns all shards, in
    order: those written now, and those of a killed run whose content is what was sealed.
    """
    spans, width = tokens.spans(settings["shard_tokens"]), hooks.width(network)
    most, dtype = max(span.rows for span in spans), shards.dtype_named(settings["dtype"])
    pinned, size = network.device.type == "cuda", settings["batch"]
    buffers = {
        hook_point: shards.ShardBuffer(hook_point, most, width, dtype, pinned)
        for hook_point in folders
    }
    whole: dict[HookPoint, list[Path]] = {hook_point: [] for hook_point in folders}
    with Progress("capture", total=tokens.n_rows, unit="tokens") as progress:
        for index, span in enumerate(spans):
            contexts = tokens.read(span.first, span.last)
            check_vocabulary(contexts, network)
            side = side_columns(contexts, span.first)
            parity.check_rows(side, contexts["input_ids"], span.first, tokens.bos_id)
            name = shards.shard_name(index)
            missing = []
            for hook_point, folder in folders.items():
                if shard := sealed(folder / name):
                    whole[hook_point].append(shard)
                else:
                    missing.append(hook_point)
            for low in range(0, len(contexts["real"]), size) if missing else ():
                batch = {key: column[low : low + size] for key, column in contexts.items()}
                forward_rows(network, batch, missing, lambda hook, rows: buffers[hook].put(rows))
            for hook_point in missing:
                rows, path = buffers[hook_point].finish(), folders[hook_point] / name
                shards.write_shard(path, {"activations": rows, **side})
                whole[hook_point].append(seal(path))
            progress.update(span.rows)
    return whole


def capture(
    settings: Mapping,
    model: Path,
    tokens: Path,
    outs: Mapping[HookPoint, Path],
    *,
    partial: Path | None = None,
) -> dict[HookPoint, dict]:
    """Capture the hook points of `outs` over a token set, each into its folder; return their facts.

    `settings`: ``dtype`` (stored), ``batch`` (contexts per forward), ``shard_tokens`` (rows per
    shard at most), ``parity_tolerance``, ``model_dtype``. `partial`: a folder that outlives a
    killed run; its finished shards are reused while model, tokens and settings are the same.
    Raises :class:`GateError` if a hook point is not TransformerLens' value or a row not its token,
    and :class:`LedgerError` for a hook point beyond the model, values too large for the dtype, a
    full disk.
    """
    token_set, hook_points = TokenSet(tokens), sorted(outs)
    first_batch = token_set.read(0, min(settings["batch"], len(token_set.lengths)))
    network, records = load_through_gate(settings, model, first_batch, hook_points)
    check_space(settings, token_set, outs, hooks.width(network))

    partial = Path(partial or Path(outs[hook_points[0]]) / "partial")
    folders = open_partial(partial, fingerprint(settings, model, token_set), hook_points)
    whole = write_missing_shards(settings, network, token_set, folders)

    rows = [span.rows for span in token_set.spans(settings["shard_tokens"])]
    facts = {}
    for hook_point in hook_points:
        for index, shard in enumerate(whole[hook_point]):
            shutil.move(shard, Path(outs[hook_point]) / shards.shard_name(index))
        facts[hook_point] = {
            "hook_point": str(hook_point),
            "d": hooks.width(network),
            "n_rows": token_set.n_rows,
            "dtype": settings["dtype"],
            "shards": rows,
            "tokens": token_set.meta,
            "parity": records[hook_point],
        }
        write_json(Path(outs[hook_point]) / "meta.json", facts[hook_point])
    shutil.rmtree(partial)
    return facts


def load_for_capture(model: Path, dtype: str = "float32") -> PreTrainedModel:
    """Load a model with fused attention: a fifth faster at context 64, far more at 1024.

    It equals eager attention within the parity gate's bound. Gemma-2, which has none, stays eager.
    """
    network = language_model.load_model(model, dtype=dtype)
    with contextlib.suppress(ValueError):
        network.set_attn_implementation("sdpa")
    return network


def load_through_gate(
    settings: Mapping,
    model: Path,
    batch: Mapping[str, torch.Tensor],
    hook_points: Sequence[HookPoint],
) -> tuple[PreTrainedModel, dict[HookPoint, dict]]:
    """Load the model and compare its hook points on `batch` with TransformerLens'."""
    dtype, device = settings["model_dtype"], best_device()
    network = load_for_capture(model, dtype)
    for hook_point in hook_points:
        hooks.locate(network, hook_point)  # raises before any work if it is beyond the model
    check_vocabulary(batch, network)
    # One copy of the weights on the device at a time: the reference is gone before ours arrives.
    theirs = parity.reference(
        model, hook_points, batch["input_ids"].long(), batch["real"], dtype=dtype, device=device
    )
    network = network.to(device)  # type: ignore[arg-type]  # wrapped without its types
    ours: dict[HookPoint, torch.Tensor] = {}
    forward_rows(network, batch, hook_points, ours.__setitem__)
    return network, parity.gate(
        ours, theirs, batch["real"], dtype=dtype, tolerance=settings["parity_tolerance"]
    )


def check_vocabulary(tokens: Mapping[str, torch.Tensor], network: PreTrainedModel) -> None:
    """Raise :class:`LedgerError` if the token set belongs to another tokenizer."""
    vocabulary = cast(torch.nn.Embedding, network.get_input_embeddings()).num_embeddings
    largest = int(tokens["input_ids"].max())
    if largest >= vocabulary:
        raise LedgerError(
            f"Token {largest} is outside the model's vocabulary of {vocabulary}: the token set was "
            "made with another model's tokenizer; make it again."
        )


def check_space(
    settings: Mapping, tokens: TokenSet, outs: Mapping[HookPoint, Path], width: int
) -> None:
    """Raise :class:`LedgerError` before the work if its result cannot fit on the disk."""
    folder = next(iter(outs.values()))
    per_row = width * shards.dtype_named(settings["dtype"]).itemsize + 4 * len(shards.SIDE_COLUMNS)
    need, free = len(outs) * tokens.n_rows * per_row, shutil.disk_usage(folder).free
    if need > free:
        raise LedgerError(
            f"{len(outs)} hook points of {tokens.n_rows:,} tokens need {need / 1e9:.1f} GB, but "
            f"the disk of {folder} has {free / 1e9:.1f} GB left: free some space or lower the "
            "token budget."
        )


def fingerprint(settings: Mapping, model: Path, tokens: TokenSet) -> str:
    """Digest of everything that finished shards in a `partial` folder depend on."""
    files = sorted(path for path in Path(model).iterdir() if path.is_file())
    return digest_json(
        {
            "settings": dict(settings),
            "model": {path.name: sha256_file(path) for path in files},
            "tokens": sha256_file(tokens.path),
            "versions": [torch.__version__, transformers.__version__],
        }
    )


def open_partial(
    partial: Path, mark: str, hook_points: Sequence[HookPoint]
) -> dict[HookPoint, Path]:
    """The folders of an unfinished capture of this `mark`.

    Shards of one hook point do not depend on which others are captured.
    """
    folders = {hook_point: partial / mark / str(hook_point) for hook_point in hook_points}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    return folders
