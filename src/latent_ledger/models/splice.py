"""Splicing: runs of the model with some tensors replaced, and the effect on its output.

A splice passes the value of a hook point through a function at some positions; every other position
keeps its value to the bit. A coder is spliced at its output hook, from the value of its input hook
in the same pass::

    sae          x = resid_post            -> reconstruct(x) in place of x
    transcoder   x = mlp_in,  y = mlp_out  -> reconstruct(x) in place of y

Nothing here turns gradients off, so attribution can use the same functions.
"""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn
from torch.nn import functional

from latent_ledger.models import hooks
from latent_ledger.models.hook_points import CoderSite, HookPoint

Replace = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""``fn(value [batch, position, d], positions [batch, position] bool) -> value``, same shape."""


def forward_with(
    model: nn.Module,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    replace: Mapping[HookPoint, Replace],
    *,
    positions: torch.Tensor | None = None,
) -> torch.Tensor:
    """Logits [batch, position, vocabulary] with hook points passed through functions, in order.

    `input_ids` and `attention_mask` are [batch, position]. `positions` (bool, same shape) says
    where values are replaced, by default wherever `attention_mask` is set; whatever a function
    returns elsewhere is ignored. Raises :class:`LedgerError` for a hook point beyond the model.
    """
    spliced = attention_mask.bool() if positions is None else positions.bool()

    def edit(fn: Replace, value: torch.Tensor) -> torch.Tensor:
        mask = spliced.to(value.device)
        return torch.where(mask[..., None], fn(value, mask).to(value.dtype), value)

    with hooks.hooked(model, {hook: partial(edit, fn) for hook, fn in replace.items()}):
        return model(input_ids, attention_mask=attention_mask, use_cache=False).logits


def at_site(
    site: CoderSite, reconstruct: Callable[[torch.Tensor], torch.Tensor]
) -> dict[HookPoint, Replace]:
    """The `replace` that splices a coder in at its site.

    `reconstruct` maps the input hook's rows at the replaced positions, [rows, d] in fp32, to the
    output hook's.
    """
    held: dict[str, torch.Tensor] = {}

    def hold(value: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        held["x"] = value[positions]
        return value

    def write(value: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        x = value[positions] if site.autoencodes else held.pop("x")
        spliced = value.clone()
        spliced[positions] = reconstruct(x.float()).to(value.dtype)
        return spliced

    if site.autoencodes:
        return {site.output_hook: write}
    return {site.input_hook: hold, site.output_hook: write}


def token_losses(
    logits: torch.Tensor, input_ids: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    """Next-token cross-entropy in nats, [n, context]: entry ``p`` is the loss of token ``p + 1``.

    Where position ``p`` or ``p + 1`` is not `valid` (bool [n, context]: not padding), and at the
    last position, there is no target and the entry is NaN, so that it can not be averaged unseen.
    """
    losses = torch.full(input_ids.shape, torch.nan, dtype=torch.float32, device=logits.device)
    for row, (scores, ids) in enumerate(zip(logits, input_ids, strict=True)):  # bounds the memory
        losses[row, :-1] = functional.cross_entropy(
            scores[:-1].float(), ids[1:].long(), reduction="none"
        )
    valid = valid.to(logits.device).bool()
    losses[:, :-1].masked_fill_(~(valid[:, :-1] & valid[:, 1:]), torch.nan)
    return losses


def kl(logits_clean: torch.Tensor, logits_spliced: torch.Tensor) -> torch.Tensor:
    """KL(clean || spliced) of the next-token distributions in nats, [n, context], at least 0."""
    rows = []
    for clean, spliced in zip(logits_clean, logits_spliced, strict=True):
        log_p = clean.float().log_softmax(-1)
        log_q = spliced.float().log_softmax(-1)
        rows.append((log_p.exp() * (log_p - log_q)).sum(-1).clamp(min=0.0))
    return torch.stack(rows)
