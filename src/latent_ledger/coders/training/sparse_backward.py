"""sparsify's ``SparseCoder`` with cheaper gradients, for the trainer only.

In a top-k coder the gradient of either weight matrix is a sum over active latents::

    grad_W[m] = sum over (row n, slot j) with indices[n, j] == m of  weights[n, j] * rows[n]

Upstream (``FusedEncoder.backward``, and ``embedding_bag``'s dense backward for the decoder) either
materialises every summand, gigabytes at the size of Gemma, or scatters them one by one. One CSR
product of a [latents, rows] matrix with ``rows`` [rows, d_in] does it in the same order of
summation. The forward pass, and which gradients flow where, stay upstream's to the letter.
"""

import warnings

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_matrix
from sparsify import SparseCoder
from sparsify.fused_encoder import EncoderOutput, FusedEncoder
from torch import Tensor

warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")


def by_latent(indices: Tensor, weights: Tensor, width: int) -> Tensor:
    """Selections of each row [n, k], regrouped by latent: a sparse CSR tensor [width, n].

    Rows ascend within a latent, so sums over them run in row order, as index_add's would.
    """
    if indices.is_cpu:  # a counting sort: six times faster here than torch.sort
        n, k = indices.shape
        by_row = (weights.numpy().ravel(), indices.numpy().ravel(), np.arange(0, n * k + 1, k))
        turned = csr_matrix(by_row, shape=(n, width)).tocsc()
        starts, rows, values = map(torch.from_numpy, (turned.indptr, turned.indices, turned.data))
        return torch.sparse_csr_tensor(
            starts, rows, values, size=(width, n), check_invariants=False
        )
    return by_latent_sorting(indices, weights, width)


def by_latent_sorting(indices: Tensor, weights: Tensor, width: int) -> Tensor:
    """:func:`by_latent` on any device, by a stable sort."""
    n, k = indices.shape
    latents, order = indices.flatten().sort(stable=True)
    starts = torch.searchsorted(latents, torch.arange(width + 1, device=indices.device))
    return torch.sparse_csr_tensor(
        starts, order // k, weights.flatten()[order], size=(width, n), check_invariants=False
    )


class SparseFusedEncoder(FusedEncoder):
    """``FusedEncoder`` whose weight and bias gradients are one CSR product each."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, k: int, activation: str):
        """Upstream's: x [n, d], weight [m, d] -> values, indices [n, k], pre-acts [n, m]."""
        ctx.set_materialize_grads(False)  # the pre-activations' gradient is never used: no [n, m]
        return FusedEncoder.forward(ctx, x, weight, bias, k, activation)

    @staticmethod
    def backward(ctx, grad_values: Tensor, grad_indices: None, grad_preacts: None):
        """Gradients of x [n, d], weight [m, d] and bias [m] from grad_values [n, k]."""
        x, weight, bias, indices = ctx.saved_tensors
        grad_values = grad_values.to(weight.dtype)
        grad_x = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            grad_x = F.embedding_bag(indices, weight, mode="sum", per_sample_weights=grad_values)
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            selected = by_latent(indices, grad_values, len(weight))
            if ctx.needs_input_grad[1]:  # not where a control keeps it as drawn
                grad_weight = selected @ x.to(weight.dtype)
            grad_bias = (selected @ grad_values.new_ones(len(x), 1)).squeeze(1).to(bias.dtype)
        return grad_x, grad_weight, grad_bias, None, None


class DecoderGradient(torch.autograd.Function):
    """The identity on a decoded output; on the way back it adds the decoder weight's gradient."""

    @staticmethod
    def forward(ctx, y: Tensor, weight: Tensor, acts: Tensor, indices: Tensor) -> Tensor:
        """y [n, d] was decoded from acts, indices [n, k] with weight [m, d], detached."""
        ctx.save_for_backward(acts, indices)
        ctx.width = len(weight)
        return y.view_as(y)

    @staticmethod
    def backward(ctx, grad_y: Tensor):
        """grad_y [n, d] passes through; weight's gradient [m, d] is ``acts.T @ grad_y``, sparse."""
        if not ctx.needs_input_grad[1]:  # a control's frozen decoder
            return grad_y, None, None, None
        acts, indices = ctx.saved_tensors
        return grad_y, by_latent(indices, acts.detach(), ctx.width) @ grad_y, None, None


class TrainingCoder(SparseCoder):
    """A ``SparseCoder``: same parameters, outputs, losses and gradients; only faster."""

    def encode(self, x: Tensor) -> EncoderOutput:
        """Top-k latents of x [n, d_in], as ``SparseCoder.encode``."""
        if not self.cfg.transcode:
            x = x - self.b_dec
        weight, bias = self.encoder.weight, self.encoder.bias
        return EncoderOutput(
            *SparseFusedEncoder.apply(x, weight, bias, self.cfg.k, self.cfg.activation)
        )

    def decode(self, top_acts: Tensor, top_indices: Tensor) -> Tensor:
        """Output [n, d_in] of the latents, as ``SparseCoder.decode`` (on a GPU: its own kernel)."""
        if not top_acts.is_cpu:
            return super().decode(top_acts, top_indices)
        acts = top_acts.to(self.dtype)
        y = F.embedding_bag(top_indices, self.W_dec.detach(), per_sample_weights=acts, mode="sum")
        return DecoderGradient.apply(y, self.W_dec, acts, top_indices) + self.b_dec
