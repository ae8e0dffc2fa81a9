"""Parts of the bridges to SAELens that all formats share.

Everything is fp32, and nothing is normalised: neither the input, nor the latents by the decoder's
norms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sae_lens import SAE
from sae_lens.saes.sae import SAEMetadata
from torch import Tensor

from latent_ledger.coders.sparse_coder import SparseCoder


@dataclass(frozen=True)
class WrongVariant:
    """A SAELens object that is known to be another coder, which the gate must see fail.

    `option` is the SAELens option that is wrong, as a person writes it. `b_dec` [d] is what the
    option leaves out of the input; where it is next to nothing the two variants are one function.
    """

    sae: SAE
    option: str
    b_dec: Tensor


def sizes(coder: SparseCoder) -> dict[str, Any]:
    """Keys of every SAELens configuration; "meta" saves drawing weights that are replaced."""
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


def filled(sae: SAE, weights: Mapping[str, Tensor], device: str) -> SAE:
    """`sae` with these weights and no others, on `device`."""
    sae.load_state_dict(dict(weights), assign=True)
    return sae.to(device=device).eval()
