"""Our coders as SAELens objects, with the same latents and the same output.

==========================  =======================  ============================
coder                       becomes                  ``b_dec`` subtracted at input
==========================  =======================  ============================
sparsify SAE                ``TopKSAE``              yes
sparsify transcoder         ``TopKTranscoder``       no, it belongs to the output
sparsify skip-transcoder    ``TopKSkipTranscoder``   no, it belongs to the output
Gemma Scope SAE             ``JumpReLUSAE``          no
Gemma Scope transcoder      ``JumpReLUTranscoder``   no
==========================  =======================  ============================

Everything is fp32, and nothing is normalised: neither the input, nor the latents by the decoder's
norms. SAELens' own loader of sparsify folders is not used: it transposes ``W_dec`` and drops
``W_skip``. Whether an adapter is right is not a matter of reading this file: the encode-fidelity
gate measures it (:mod:`latent_ledger.evaluations.gates.saelens_fidelity`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sae_lens import (
    SAE,
    JumpReLUSAE,
    JumpReLUSAEConfig,
    JumpReLUTranscoder,
    JumpReLUTranscoderConfig,
    TopKSAE,
    TopKSAEConfig,
)
from sae_lens.saes.sae import SAEMetadata
from torch import Tensor

from latent_ledger.coders.formats.gemma_scope.loader import GemmaScopeCoder
from latent_ledger.coders.formats.sparsify.loader import SparsifyCoder
from latent_ledger.coders.sparse_coder import load_coder
from latent_ledger.coders.topk_transcoder import (
    TopK,
    TopKSkipTranscoder,
    TopKSkipTranscoderConfig,
    TopKTranscoder,
    TopKTranscoderConfig,
)

APPLY_B_DEC_TO_INPUT = True
"""sparsify's SAEs subtract ``b_dec`` from what they read. This line alone decides it."""


def to_saelens(
    coder_folder: Path, *, apply_b_dec_to_input: bool = APPLY_B_DEC_TO_INPUT, device: str = "cpu"
) -> SAE:
    """The coder in `coder_folder` as an fp32 SAELens object on `device`.

    ``encode`` gives its latents [n, width] and ``forward`` its output [n, d]; ``decode`` omits the
    skip of a skip-transcoder. `apply_b_dec_to_input` is about sparsify's SAEs; the gate passes
    False to see the wrong variant fail. Raises :class:`~latent_ledger.lib.errors.LedgerError` as
    :func:`~latent_ledger.coders.sparse_coder.load_coder` does.
    """
    coder = load_coder(coder_folder, device)
    if isinstance(coder, GemmaScopeCoder):
        return _gemma_scope(coder, device)
    return _sparsify(coder, apply_b_dec_to_input, device)


def _sparsify(coder: SparsifyCoder, apply_b_dec_to_input: bool, device: str) -> SAE:
    weights = {
        "W_enc": coder.weights["encoder.weight"].T.contiguous(),
        "b_enc": coder.weights["encoder.bias"],
        "W_dec": coder.weights["W_dec"],
        "b_dec": coder.weights["b_dec"],
    }
    sizes = _sizes(coder) | {"k": coder.k}
    if coder.architecture == "sae":
        config = TopKSAEConfig(**sizes, apply_b_dec_to_input=apply_b_dec_to_input)
        sae = TopKSAE(config)
        sae.activation_fn = TopK(coder.k)
        return _filled(sae, weights, device)
    sizes |= {"apply_b_dec_to_input": False, "d_out": coder.d_in}
    if coder.architecture == "transcoder":
        return _filled(TopKTranscoder(TopKTranscoderConfig(**sizes)), weights, device)
    weights["W_skip"] = coder.weights["W_skip"]
    return _filled(TopKSkipTranscoder(TopKSkipTranscoderConfig(**sizes)), weights, device)


def _gemma_scope(coder: GemmaScopeCoder, device: str) -> SAE:
    sizes = _sizes(coder) | {"apply_b_dec_to_input": False}
    if coder.architecture == "sae":
        return _filled(JumpReLUSAE(JumpReLUSAEConfig(**sizes)), coder.weights, device)
    config = JumpReLUTranscoderConfig(**sizes, d_out=coder.d_in)
    return _filled(JumpReLUTranscoder(config), coder.weights, device)


def _sizes(coder: SparsifyCoder | GemmaScopeCoder) -> dict[str, Any]:
    """What every SAELens configuration names; "meta" saves drawing weights that are replaced."""
    metadata = SAEMetadata(
        hook_name=str(coder.site.input_hook), hook_name_out=str(coder.site.output_hook)
    )
    return {
        "d_in": coder.d_in,
        "d_sae": coder.width,
        "dtype": "float32",
        "device": "meta",
        "normalize_activations": "none",
        "metadata": metadata,
    }


def _filled(sae: SAE, weights: dict[str, Tensor], device: str) -> SAE:
    """`sae` with these weights and no others, on `device`."""
    sae.load_state_dict(weights, assign=True)
    return sae.to(device=device).eval()
