"""Circuits: the few latents that carry what a probe reads off all of them.

A circuit is a set of latents, the top K of every coder that takes part: one coder (single-layer) or
one per layer (multi-layer, the sets of all layers together). For each concept separately:

    attribution   latents by |difference of class means|, on training examples only     `latents`
    circuit       a fresh logistic probe on the top K of every layer -> test accuracy    `newton`
    ceiling       the same on all latents; raw site and top K token counts beside it
    null          R circuits of equal size drawn from the live latents: a permutation
                  p = (1 + #{random >= circuit}) / (R + 1), and the mean over the draws
    gap           circuit - mean of the draws, per test example                          `concept`
    leak          the same circuit chosen on training and test examples: what that adds

    concepts -> tables of per-example values -> means, ratios, intervals, Holm         `evaluation`

One row of the table of examples holds the circuit and the mean of all random circuits on the same
test example, so a bootstrap over rows draws one resample for all arms, as a paired gap demands.

Sources: Marks et al. 2024 (arXiv 2403.19647) for faithfulness against a ceiling; Phipson & Smyth
2010 (SAGMB 9:39) for the p-value; Holm 1979 for its correction.
"""

from latent_ledger.evaluations.circuits import plan, rows
from latent_ledger.evaluations.circuits.checks import CHECKS
from latent_ledger.planning.stage import Evaluation
from latent_ledger.resources.work import MB, PROBE, Cost, Planned, Work, resampling


def _circuits(job: Planned) -> Work:
    drawn = len(job.settings["concepts"]) * job.settings["draws"] * len(job.settings["top_k"])
    values = job.examples() * sum(spec.width or 16_384 for spec in job.coders)
    seconds = resampling(job) + 0.01 * drawn + values / PROBE
    return Work(seconds=seconds, host_mb=16 * values / MB)


EVALUATION = Evaluation(
    name=plan.NAME,
    token_set=plan.TOKEN_SET,
    gates=(),
    costs={
        "circuits": Cost(_circuits, mem_mb=3_000),
        "multilayer_circuits": Cost(_circuits, mem_mb=6_000),
    },
    checks=CHECKS,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read, plan.MULTILAYER: rows.read},
    section=rows.section,
)
