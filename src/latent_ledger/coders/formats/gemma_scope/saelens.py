"""Gemma Scope's coders as SAELens objects, neither of which subtracts ``b_dec`` at its input."""

import sae_lens

from latent_ledger.coders.formats.gemma_scope.loader import GemmaScopeCoder
from latent_ledger.coders.saelens import WrongVariant, filled, sizes


def to_saelens(coder: GemmaScopeCoder, device: str = "cpu") -> sae_lens.SAE:
    """An fp32 SAELens object on `device` with the latents and the output of `coder`."""
    config = sizes(coder) | {"apply_b_dec_to_input": False}
    if coder.site.autoencodes:
        sae: sae_lens.SAE = sae_lens.JumpReLUSAE(sae_lens.JumpReLUSAEConfig(**config))
    else:
        config["d_out"] = coder.d_in
        sae = sae_lens.JumpReLUTranscoder(sae_lens.JumpReLUTranscoderConfig(**config))
    return filled(sae, coder.weights, device)


def wrong_variant(coder: GemmaScopeCoder, device: str = "cpu") -> WrongVariant | None:
    """None: no variant of these coders is known to be taken for the right one."""
    return None
