"""Causal edges, on toys whose graph is known and on real architectures."""
