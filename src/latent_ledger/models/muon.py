"""Muon in float32, all matrices of one shape at once.

Muon (Jordan et al., 2024) replaces a matrix's momentum by the nearest orthogonal matrix, found by
five Newton-Schulz iterations. ``torch.optim.Muon`` runs them in bfloat16, one matrix at a time. A
processor without bfloat16 instructions emulates them, and an optimiser step then costs five times
the model's forward and backward pass.
"""

import math
from collections import defaultdict
from typing import Any, cast

import torch
from torch import Tensor


class Muon(torch.optim.Muon):
    """``torch.optim.Muon`` with ``adjust_lr_fn="match_rms_adamw"``, for small models on CPUs."""

    def __init__(self, params, lr: float, weight_decay: float = 0.1) -> None:
        super().__init__(params, lr, weight_decay, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # without a closure
        """Update every parameter that has a gradient: Nesterov momentum, decoupled decay."""
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            shapes: defaultdict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes[parameter.shape].append(parameter)
            for shape, parameters in shapes.items():
                updates = []
                for parameter in parameters:
                    gradient = cast(Tensor, parameter.grad)
                    state = self.state[parameter]
                    if "momentum_buffer" not in state:
                        state["momentum_buffer"] = torch.zeros_like(parameter)
                    state["momentum_buffer"].lerp_(gradient, 1 - momentum)
                    updates.append(gradient.lerp(state["momentum_buffer"], momentum))
                directions = orthogonalize(
                    torch.stack(updates), group["ns_coefficients"], group["ns_steps"], group["eps"]
                )
                size = 0.2 * lr * math.sqrt(max(shape))  # AdamW's typical RMS of 0.2 per entry
                for parameter, direction in zip(parameters, directions, strict=True):
                    parameter.mul_(1 - lr * group["weight_decay"]).add_(direction, alpha=-size)


def orthogonalize(
    matrices: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """Push all singular values towards 1 (to within 0.7 and 1.2): [n, rows, columns], any float."""
    a, b, c = coefficients
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
