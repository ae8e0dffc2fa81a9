"""sparsify's coders as SAELens objects: ``TopKSAE``, ``TopKTranscoder``, ``TopKSkipTranscoder``.

SAELens' own loader of sparsify folders is not used: it transposes ``W_dec`` and drops ``W_skip``.
"""

from sae_lens import SAE, TopKSAE, TopKSAEConfig

from latent_ledger.coders.formats.sparsify.loader import SparsifyCoder
from latent_ledger.coders.saelens import WrongVariant, filled, sizes
from latent_ledger.coders.topk_transcoder import TopK, TopKSkipTranscoder, TopKTranscoder

APPLY_B_DEC_TO_INPUT = True
"""sparsify's SAEs subtract ``b_dec`` from what they read; its transcoders do not."""


def to_saelens(coder: SparsifyCoder, device: str = "cpu") -> SAE:
    """An fp32 SAELens object on `device` with the latents and the output of `coder`.

    ``decode`` omits the skip of a skip-transcoder; ``forward`` adds it.
    """
    if not coder.transcodes:
        return _sae(coder, APPLY_B_DEC_TO_INPUT, device)
    config = sizes(coder) | {"k": coder.k, "apply_b_dec_to_input": False, "d_out": coder.d_in}
    transcoder = TopKSkipTranscoder if "W_skip" in coder.weights else TopKTranscoder
    return filled(transcoder(transcoder.config(**config)), _weights(coder), device)


def wrong_variant(coder: SparsifyCoder, device: str = "cpu") -> WrongVariant | None:
    """An SAE that reads its input as it is, ``b_dec`` included; None for a transcoder."""
    if coder.transcodes:
        return None
    sae = _sae(coder, False, device)
    return WrongVariant(sae, "apply_b_dec_to_input=False", coder.weights["b_dec"])


def _sae(coder: SparsifyCoder, apply_b_dec_to_input: bool, device: str) -> SAE:
    config = sizes(coder) | {"k": coder.k, "apply_b_dec_to_input": apply_b_dec_to_input}
    sae = TopKSAE(TopKSAEConfig(**config))
    sae.activation_fn = TopK(coder.k)
    return filled(sae, _weights(coder), device)


def _weights(coder: SparsifyCoder) -> dict:
    """The weights under SAELens' names, which differ from sparsify's for the encoder alone."""
    weights = {name: w for name, w in coder.weights.items() if not name.startswith("encoder.")}
    bias = coder.weights["encoder.bias"]
    return {"W_enc": coder.encoder.T.contiguous(), "b_enc": bias, **weights}
