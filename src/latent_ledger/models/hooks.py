"""Modules of a Hugging Face model behind each hook point (:func:`locate`).

To add an architecture, add one :class:`Layout`; models built like Llama need none. Every layout is
checked against TransformerLens by the parity gate before anything depends on it.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

import torch
from torch import nn

from latent_ledger.lib.errors import LedgerError
from latent_ledger.models.hook_points import HookPoint, HookPointName

Edit = Callable[[torch.Tensor], torch.Tensor | None]
"""Sees a hook point's value [batch, position, d]; returns its replacement, or None to leave it."""


@dataclass(frozen=True)
class Layout:
    """Names of an architecture's blocks, and of the parts of a block."""

    blocks: str
    mlp: str = "mlp"
    post_norm: str | None = None


LAYOUTS = {
    "gpt_neox": Layout("gpt_neox.layers"),
    "gemma2": Layout("model.layers", post_norm="post_feedforward_layernorm"),
    "gpt2": Layout("transformer.h"),
}
"""By ``config.model_type``. :func:`_like_llama` recognises other architectures."""


def layout_of(model: nn.Module) -> Layout:
    """The layout of a causal language model. Raises :class:`LedgerError` for an unknown one."""
    model_type = cast(Any, model).config.model_type
    layout = LAYOUTS.get(model_type) or _like_llama(model)
    if layout is None:
        raise LedgerError(
            f"The architecture {model_type!r} is not known: say where its blocks and MLPs are by "
            f"adding a Layout for {model_type!r} to LAYOUTS in src/latent_ledger/models/hooks.py."
        )
    return layout


def _like_llama(model: nn.Module) -> Layout | None:
    """``<base>.layers[L].mlp``, with Gemma's and OLMo-2's post-norm if the block has it."""
    prefix = getattr(model, "base_model_prefix", "")
    blocks = getattr(getattr(model, prefix, None), "layers", None)
    if not isinstance(blocks, nn.ModuleList) or not all(hasattr(block, "mlp") for block in blocks):
        return None
    norm = "post_feedforward_layernorm"
    return Layout(f"{prefix}.layers", post_norm=norm if hasattr(blocks[0], norm) else None)


def width(model: nn.Module) -> int:
    """Channels of every hook point (d_model)."""
    return cast(Any, model).config.get_text_config().hidden_size


def locate(model: nn.Module, hook_point: HookPoint) -> tuple[nn.Module, Literal["input", "output"]]:
    """The module and side of `hook_point`. Raises :class:`LedgerError` beyond the model."""
    layout = layout_of(model)
    blocks = cast(nn.ModuleList, model.get_submodule(layout.blocks))
    if hook_point.layer >= len(blocks):
        raise LedgerError(
            f"{hook_point} does not exist: the model's layers are 0 to {len(blocks) - 1}."
        )
    block = blocks[hook_point.layer]
    match hook_point.point:
        case HookPointName.RESID_PRE:
            return block, "input"
        case HookPointName.RESID_POST:
            return block, "output"
        case HookPointName.MLP_IN:
            return block.get_submodule(layout.mlp), "input"
        case HookPointName.MLP_OUT:
            return block.get_submodule(layout.mlp), "output"
        case HookPointName.MLP_OUT_NORMED:
            return block.get_submodule(layout.post_norm or layout.mlp), "output"


def _hook_output(edit: Edit) -> Callable:
    def hook(module: nn.Module, args: tuple, output: Any) -> Any:
        # Modules return a tensor or a tuple that starts with one, by version and architecture;
        # `output[0]` of a bare tensor would be the first batch item.
        bare = isinstance(output, torch.Tensor)
        edited = edit(output if bare else output[0])
        if edited is None:
            return None
        return edited if bare else (edited, *output[1:])

    return hook


def _hook_input(edit: Edit) -> Callable:
    def hook(module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict] | None:
        edited = edit(args[0] if args else kwargs["hidden_states"])
        if edited is None:
            return None
        return ((edited, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": edited})

    return hook


@contextmanager
def hooked(model: nn.Module, edits: dict[HookPoint, Edit]) -> Iterator[None]:
    """While inside, each hook point's value passes through its edit, in the model's order."""
    with ExitStack() as handles:
        for hook_point, edit in edits.items():
            module, side = locate(model, hook_point)
            if side == "output":
                handle = module.register_forward_hook(_hook_output(edit))
            else:
                handle = module.register_forward_pre_hook(_hook_input(edit), with_kwargs=True)
            handles.enter_context(handle)
        yield


class _Enough(Exception):
    """Every hook point has been seen."""


@torch.inference_mode()
def visit(
    model: nn.Module,
    input_ids: torch.Tensor,
    hook_points: Iterable[HookPoint],
    see: Callable[[HookPoint, torch.Tensor], None],
) -> None:
    """Run `input_ids` [batch, position]; `see` gets the value of each of `hook_points` once.

    Nothing behind the deepest is computed, nor a key-value cache. Rows are right padded and
    attention is causal, so real positions never see padding and no mask is needed.
    """
    waiting = set(hook_points)

    def edit(hook_point: HookPoint, value: torch.Tensor) -> None:
        see(hook_point, value)
        waiting.discard(hook_point)
        if not waiting:
            raise _Enough

    with hooked(model, {hook_point: partial(edit, hook_point) for hook_point in sorted(waiting)}):
        try:
            cast(nn.Module, model.base_model)(input_ids, use_cache=False)
        except _Enough:
            return
    raise LedgerError(f"The model never computed {', '.join(map(str, sorted(waiting)))}.")


def read(
    model: nn.Module, input_ids: torch.Tensor, hook_points: Iterable[HookPoint]
) -> dict[HookPoint, torch.Tensor]:
    """The values [batch, position, d] of `hook_points`, from one pass that stops at the deepest."""
    values: dict[HookPoint, torch.Tensor] = {}
    visit(model, input_ids, hook_points, values.__setitem__)
    return values
