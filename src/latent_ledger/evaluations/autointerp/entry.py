"""The auto-interp stage: predictions of where a latent fires, from some of its examples.

::

    codes, tokens --examples--> train / test / negatives per latent of one stratified sample
    train         --explain---> one explanation per latent and scorer
    test          --score-----> detection, fuzzing, fuzzing_matched, intruder: answers of a scorer
    test          --embed-----> example embedding, which needs no explanation and no scorer
    all of them   --collect---> one row per latent, scorer and score; metrics over latents

Prompts, samplers and scorers are delphi's own (EleutherAI, arXiv 2410.13928). A guard covers every
place where delphi 0.1.3 corrupts a score without a message:

=============================  ===================================================================
delphi                         guard
=============================  ===================================================================
highlights lost with           ``delphi_io.TokenText`` decodes token by token
transformers 5
test examples in the prompt    train from every other window, test from those between
fuzz negatives always mark     ``fuzzing_matched``: negatives marked where a positive is
token 24 of 32                 (``negatives``); delphi's own beside it as ``fuzzing``
loose parsing                  ``strict_client`` lets exact answers through, counts others
latents vanish                 one status row per requested latent, with the reason
one random state for all       a scorer of its own per latent, seeded by the latent
windows centred wrongly        uncentred windows (what delphi calls ``center_examples=True``)
=============================  ===================================================================

Every stage is a process of its own and writes Parquet; nothing is pickled.
"""

from latent_ledger.evaluations.autointerp import plan, rows
from latent_ledger.evaluations.autointerp.checks import CHECKS
from latent_ledger.evaluations.autointerp.cost import COSTS
from latent_ledger.planning.stage import Evaluation

EVALUATION = Evaluation(
    name=plan.NAME,
    token_set=plan.TOKEN_SET,
    gates=(),
    costs=COSTS,
    checks=CHECKS,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read, plan.SAMPLE: rows.read_sample},
    section=rows.section,
)
