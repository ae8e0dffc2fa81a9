"""Gate of hook-point parity: every hook point equals TransformerLens' value of the same name.

The first batch is run twice: through the hooks this package captures with, and through
TransformerLens' ``TransformerBridge`` (no weight processing, eager attention, with the attention
mask). For a row ``a`` that will be written and TransformerLens' ``b``, the relative error is

    |a - b|_2 / max(|b|_2, median over rows of |b|_2)

and the hook point's error is its maximum over rows. Every row counts, so one position with a norm a
hundred times the others (BOS, usually) can neither hide an error elsewhere nor be hidden; the
median keeps rows near zero from being judged by rounding alone.

The bound is ``parity_tolerance`` (1e-4) in float32 and :data:`ULPS` units in the last place in
lower precision, 0.0156 in float16 and 0.125 in bfloat16: the two differ in the order of their sums
(fused attention here, eager there). A wrong layer, side or norm gives errors of order one.
"""

import gc
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import torch

from latent_ledger.artifacts import references
from latent_ledger.lib.errors import GateError
from latent_ledger.models.hook_points import HookPoint, HookPointName
from latent_ledger.models.shards import dtype_named

GATE = "hook-point parity"
ULPS = 16

HOOKS = {
    HookPointName.RESID_PRE: "hook_resid_pre",
    HookPointName.RESID_POST: "hook_resid_post",
    HookPointName.MLP_IN: "mlp.hook_in",
    HookPointName.MLP_OUT: "mlp.hook_out",
    HookPointName.MLP_OUT_NORMED: "hook_mlp_out",
}
"""TransformerLens' names inside ``blocks.L``. Its ``hook_mlp_out`` is what joins the residual
stream, hence behind Gemma-2's post-norm, where ``mlp.hook_out`` is before it."""


def hook_name(hook_point: HookPoint) -> str:
    """TransformerLens' name of a hook point, such as ``blocks.2.hook_mlp_out``."""
    return f"blocks.{hook_point.layer}.{HOOKS[hook_point.point]}"


def bound(dtype: str, tolerance: float) -> float:
    """The largest relative error that passes, for a model that runs in `dtype`."""
    return max(tolerance, 0.0 if dtype == "float32" else ULPS * torch.finfo(dtype_named(dtype)).eps)


def reference(
    model: Path,
    hook_points: Iterable[HookPoint],
    input_ids: torch.Tensor,
    real: torch.Tensor,
    *,
    dtype: str,
    device: str,
) -> dict[HookPoint, torch.Tensor]:
    """TransformerLens' values of `hook_points`, [batch, position, d] on the CPU.

    `input_ids` and the mask of real positions `real` are [batch, position]. TransformerLens loads
    the weights itself; they are gone again when this returns. Raises :class:`GateError` for an
    architecture or a hook point that it does not have.
    """
    from transformer_lens.model_bridge import TransformerBridge  # seconds to import

    try:
        bridge = TransformerBridge.boot_transformers(
            str(references.resolve(model)), dtype=dtype_named(dtype), device=device
        )
    except ValueError as error:
        raise GateError(
            f"{GATE}: TransformerLens cannot load this model ({error}), so its hook points cannot "
            "be checked: choose a model TransformerLens supports."
        ) from error
    names = {hook_point: hook_name(hook_point) for hook_point in hook_points}
    with torch.inference_mode():
        _, cache = bridge.run_with_cache(
            input_ids.to(device),
            attention_mask=real.to(device, torch.long),
            names_filter=list(names.values()),
            return_type=None,
        )
    absent = sorted(name for name in names.values() if name not in cache)
    if absent:
        raise GateError(f"{GATE}: TransformerLens has no {', '.join(absent)} in this model.")
    values = {hook_point: cache[name].cpu() for hook_point, name in names.items()}
    del bridge, cache
    gc.collect()  # the bridge refers to itself; its weights must not stay beside the model's
    return values


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Largest relative error over rows, as defined above; both are [rows, d]."""
    theirs = theirs.double()
    norms = theirs.norm(dim=1)
    errors = (ours.double() - theirs).norm(dim=1) / norms.clamp(min=norms.median())
    # 0/0 is a hook point that is zero on both sides, hence equal; any other NaN must fail.
    errors[(ours == 0).all(1) & (theirs == 0).all(1)] = 0.0
    return float(errors.max())


def gate(
    ours: dict[HookPoint, torch.Tensor],
    theirs: dict[HookPoint, torch.Tensor],
    real: torch.Tensor,
    *,
    dtype: str,
    tolerance: float,
) -> dict[HookPoint, dict]:
    """Compare the captured rows with TransformerLens' values; return the records of ``meta.json``.

    `ours` holds rows [n, d] in token order, `theirs` [batch, position, d]; `real` is
    [batch, position]. Raises :class:`GateError` naming the first hook point that differs.
    """
    allowed = bound(dtype, tolerance)
    records = {}
    for hook_point in sorted(ours):
        rows = theirs[hook_point][real]
        if rows.shape != ours[hook_point].shape:
            raise GateError(
                f"{GATE}: {hook_point} has shape {tuple(ours[hook_point].shape)}, TransformerLens' "
                f"{hook_name(hook_point)} {tuple(rows.shape)}."
            )
        error = relative_error(ours[hook_point].cpu(), rows)
        if not error <= allowed:
            raise GateError(
                f"{GATE}: {hook_point} differs from TransformerLens' {hook_name(hook_point)} by "
                f"{error:.2g} relative, allowed is {allowed:.2g} in {dtype}: correct the model's "
                "Layout in src/latent_ledger/models/hooks.py."
            )
        records[hook_point] = {
            "relative_error": float(f"{error:.1e}"),
            "bound": allowed,
            "against": f"transformer_lens {version('transformer-lens')} TransformerBridge",
            "hook": hook_name(hook_point),
            "rows": len(rows),
        }
    return records


def check_rows(
    columns: dict[str, torch.Tensor], input_ids: torch.Tensor, first_context: int, bos_id: int
) -> None:
    """Every row is the token its position says, and position 0 is BOS.

    `input_ids` are the contexts from `first_context` on. Raises :class:`GateError`.
    """
    contexts = columns["contexts"].long() - first_context
    positions = columns["positions"].long()
    if not torch.equal(columns["token_ids"], input_ids[contexts, positions]):
        raise GateError(f"{GATE}: token ids of the shard do not equal those of the token set.")
    firsts = columns["token_ids"][positions == 0]
    if len(firsts) != len(input_ids) or not bool((firsts == bos_id).all()):
        raise GateError(
            f"{GATE}: not every context starts with BOS ({bos_id}): make the token set again."
        )
