"""Cost of auto-interp's jobs, in operations, bytes and seconds."""

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


COSTS = {
    "latent_examples": Cost(_latent_examples, mem_mb=3_000),
    "explain": Cost(_explain),
    "score_latents": Cost(_score_latents),
    "embed_latents": Cost(_embed_latents),
    "autointerp": Cost(takes(15)),
}
