"""The TopK sparse autoencoder, which reconstructs the tensor it reads."""

from latent_ledger.coders.training.architectures.entry import Architecture, Parameters

ARCHITECTURE = Architecture(
    name="sae",
    label="an sae",
    autoencodes=True,
    parameters=Parameters(
        encoder=("encoder.weight",), decoder=("W_dec",), biases=("encoder.bias", "b_dec")
    ),
    options={"transcode": False, "skip_connection": False},
)
