"""Overview: interpretability against loss recovered, the sweep over k, and seeds.

overview    the evaluations behind its axes and sweeps, by their names
"""

from latent_ledger.evaluations.overview.plan import PATH as OVERVIEW

OUT = at(OVERVIEW)

if OVERVIEW in JOBS:

    rule overview:
        input:
            unpack(inputs_of(OUT)),
        output:
            OUT,
        log:
            record=record(OUT),
        resources:
            **resources_of("overview", OUT),
        params:
            **params_of("overview", OUT),
        script:
            "../workflow/scripts/overview.py"
