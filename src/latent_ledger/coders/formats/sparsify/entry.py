"""sparsify: EleutherAI's TopK coders, those published on the hub and those trained here."""

from latent_ledger.coders.formats.entry import Format

FORMAT = Format(
    "sparsify",
    file="sae.safetensors",
    activation="TopK",
    hub=r"EleutherAI/(sae|transcoder|skip-transcoder)-.*",
)
