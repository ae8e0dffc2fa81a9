"""Latents: how often each fires, and on how many different tokens."""
