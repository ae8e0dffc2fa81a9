"""The TopK transcoder, which predicts the MLP's output from its input."""

from latent_ledger.coders.training.architectures.entry import Architecture

ARCHITECTURE = Architecture(
    name="transcoder",
    label="a transcoder",
    autoencodes=False,
    options={"transcode": True, "skip_connection": False},
    draws_decoder=False,
    input_hook="mlp_in",
    output_hook="mlp_out",
)
