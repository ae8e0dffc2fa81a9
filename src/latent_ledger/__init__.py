"""Latent Ledger: which sparse coder explains a language model best?"""
