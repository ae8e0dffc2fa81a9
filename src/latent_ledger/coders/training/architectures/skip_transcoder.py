"""The TopK transcoder with a linear path from its input to its output, beside the latents."""

from latent_ledger.coders.training.architectures.entry import Architecture, Parameters

ARCHITECTURE = Architecture(
    name="skip-transcoder",
    label="a skip-transcoder",
    autoencodes=False,
    parameters=Parameters(skip=("W_skip",)),
    options={"transcode": True, "skip_connection": True},
    draws_decoder=False,
    input_hook="mlp_in",
    output_hook="mlp_out",
)
