"""The TopK sparse autoencoder, which reconstructs the tensor it reads."""

from latent_ledger.coders.training.architectures.entry import Architecture

ARCHITECTURE = Architecture(
    name="sae",
    label="an sae",
    autoencodes=True,
    options={"transcode": False, "skip_connection": False},
)
