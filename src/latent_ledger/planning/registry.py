"""Stages of an experiment, in the order in which the ledger shows them.

A new evaluation is a folder of :mod:`latent_ledger.evaluations`, one import and one entry here, a
rule and a script; see ``docs/add-an-evaluation.md``.
"""

from latent_ledger.evaluations.autointerp.entry import EVALUATION as AUTOINTERP
from latent_ledger.evaluations.circuits.entry import EVALUATION as CIRCUITS
from latent_ledger.evaluations.edges.entry import EVALUATION as EDGES
from latent_ledger.evaluations.gates.entry import EVALUATION as GATES
from latent_ledger.evaluations.headtohead.entry import EVALUATION as HEADTOHEAD
from latent_ledger.evaluations.latents.entry import EVALUATION as LATENTS
from latent_ledger.evaluations.memory.entry import EVALUATION as MEMORY
from latent_ledger.evaluations.overview.entry import EVALUATION as OVERVIEW
from latent_ledger.evaluations.probing.entry import EVALUATION as PROBING
from latent_ledger.evaluations.reconstruction.entry import EVALUATION as RECONSTRUCTION
from latent_ledger.evaluations.sae_probes.entry import EVALUATION as SAE_PROBES
from latent_ledger.evaluations.saebench.entry import EVALUATION as SAEBENCH
from latent_ledger.evaluations.steering.entry import EVALUATION as STEERING
from latent_ledger.planning import coders, models, text

STAGES = (
    text.STAGE,
    models.STAGE,
    coders.STAGE,
    GATES,
    RECONSTRUCTION,
    LATENTS,
    PROBING,
    SAE_PROBES,
    SAEBENCH,
    MEMORY,
    AUTOINTERP,
    STEERING,
    CIRCUITS,
    EDGES,
    HEADTOHEAD,
    OVERVIEW,
)
