"""Evaluations: one module each, all reading cached activations and codes."""
