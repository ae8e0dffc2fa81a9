"""The stages of an experiment, one module each, in the order in which the ledger tells them.

A new evaluation is a module here, one in :mod:`latent_ledger.evals`, a rule, a script, a schema
file and a test. :mod:`latent_ledger.plan` puts the stages together.
"""

from latent_ledger.stages import (
    autointerp,
    circuits,
    coders,
    data,
    edges,
    gates,
    headtohead,
    latents,
    memory,
    models,
    overview,
    probing,
    reconstruction,
    sae_probes,
    saebench,
    steering,
)

STAGES = (
    data.STAGE,
    models.STAGE,
    coders.STAGE,
    gates.STAGE,
    reconstruction.STAGE,
    latents.STAGE,
    probing.STAGE,
    sae_probes.STAGE,
    saebench.STAGE,
    memory.STAGE,
    autointerp.STAGE,
    steering.STAGE,
    circuits.STAGE,
    edges.STAGE,
    headtohead.STAGE,
    overview.STAGE,
)
