"""Auto-interp: can a reader of a latent's examples tell where it fires?"""
