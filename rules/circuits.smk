"""Circuits: how few latents carry what a probe reads off all of them?"""
