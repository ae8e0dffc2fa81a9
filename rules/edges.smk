"""Causal edges: which latent drives which, across layers?"""
