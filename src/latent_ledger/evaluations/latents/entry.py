"""Latents: how often each fires, and on how many different tokens."""

from latent_ledger.evaluations.latents import plan, rows
from latent_ledger.planning.stage import Stage

EVALUATION = Stage(
    plan.NAME,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read},
    section=rows.section,
    captures=plan.captures,
    codes=plan.codes,
)
