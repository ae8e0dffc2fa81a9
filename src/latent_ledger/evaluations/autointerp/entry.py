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
from latent_ledger.planning.stage import Evaluation
from latent_ledger.resources.work import MB, Cost, Planned, Work, takes
from latent_ledger.scorers.kind import Questions
from latent_ledger.scorers.registry import kind_of

EXPLAIN_PROMPT, EXPLAIN_ANSWER = 2_900, 250
"""Tokens of a prompt of delphi's explainer, and of its answer."""

PROMPTS = {"detection": 760, "fuzzing": 960, "fuzzing_matched": 960, "intruder": 960}
"""Score -> tokens of a prompt."""

SCORE_ANSWER = 20
"""Tokens of an answer to a prompt of a score."""


def _latent_examples(job: Planned) -> Work:
    firings = job.tokens * job.k
    return Work(
        disk=8 * firings, seconds=5 + 0.05 * job.settings["latents"], host_mb=30 * firings / MB
    )


def _answered(job: Planned, prompts: float, length: float, answer: float) -> Work:
    """Cost of a scorer's answers to `prompts` of so many tokens, as its backend gives it."""
    scorer = job.settings["scorer"]
    questions = Questions(job.block("autointerp")["latents"], prompts, length, answer)
    return kind_of(scorer).cost(scorer, questions, job.scorer)


def _explain(job: Planned) -> Work:
    return _answered(job, job.block("autointerp")["latents"], EXPLAIN_PROMPT, EXPLAIN_ANSWER)


def _score_latents(job: Planned) -> Work:
    block = job.block("autointerp")
    each = (block["n_test"] + block["n_negatives"]) / block["examples_shown"]
    lengths = [PROMPTS[score] for score in job.settings["scores"]]
    prompts = each * len(lengths) * block["latents"]
    return _answered(job, prompts, sum(lengths) / len(lengths), SCORE_ANSWER)


def _embed_latents(job: Planned) -> Work:
    latents = job.settings["latents"] or job.block("autointerp")["latents"]
    return Work(seconds=5 + 1.2 * latents * job.settings["trials"] / 20)


EVALUATION = Evaluation(
    name=plan.NAME,
    token_set=plan.TOKEN_SET,
    gates=(),
    costs={
        "latent_examples": Cost(_latent_examples, mem_mb=3_000),
        "explain": Cost(_explain),
        "score_latents": Cost(_score_latents),
        "embed_latents": Cost(_embed_latents),
        "autointerp": Cost(takes(15)),
    },
    checks=CHECKS,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read, plan.SAMPLE: rows.read_sample},
    section=rows.section,
)
