"""Gemma Scope: Google's JumpReLU coders of the Gemma models (arXiv 2408.05147)."""

from latent_ledger.coders.formats.entry import Format

FORMAT = Format("gemma_scope", file="params.npz", activation="JumpReLU", hub=r".*gemma-scope.*")
