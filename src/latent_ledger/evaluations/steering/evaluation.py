"""Steering along a concept's latent, and the share of texts that then carry the concept.

    labelled examples -> directions (latent, difference of means, random) and judges
    prompts           -> unsteered texts -> the prompt whose success is nearest 1/2
    prompt x arm x coefficient x generation -> texts -> judge's success, perplexity
    texts of even index -> best fluent coefficient per arm -> success on those of odd index

No choice sees what is reported: directions and judges come from the training split, the prompt from
a scan with separate random streams, the coefficients from one half of the generations.

Source: the steering control of the reference ledger (``ctrl-steer-v2``); AxBench (arXiv 2501.17148)
for the comparison, with fluency as a constraint instead of a factor.
"""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from latent_ledger.coders.codes import CodeShards
from latent_ledger.coders.sparse_coder import SparseCoder, load_coder
from latent_ledger.evaluations.probing.evaluation import Task
from latent_ledger.evaluations.steering import directions, generate, judge, outcomes
from latent_ledger.evaluations.steering.examples import ExampleFeatures, pool_examples
from latent_ledger.evaluations.steering.generate import Reading, Writer
from latent_ledger.evaluations.steering.outcomes import ARMS, BASELINE, Cell
from latent_ledger.lib.progress import Progress
from latent_ledger.models.shards import ActivationShards
from latent_ledger.statistics.records import Records, by_column, stacked


def produce(
    settings: Mapping[str, Any],
    model: Path,
    tokens: Path,
    output_hook: Path,
    judged: Path,
    codes: Path,
    coder: Path,
    out: Path,
) -> dict[str, Any]:
    """Steer along the coder's best latent of every concept; write metrics and texts into `out`.

    `settings`: concepts, prompts, scan (texts per prompt), generations (texts per cell),
    new_tokens, temperature, coefficients, perplexity_cap, batch (texts per forward pass),
    model_dtype, resamples, seed. `tokens`: a token set of layout "examples"; `output_hook`,
    `judged`: its activations at the coder's output hook and at the judge's hook point.

    Tables: ``generations.parquet`` (every text), ``scan.parquet`` (every text of the prompt scan),
    ``cells.parquet`` (every cell on either half), ``outcomes.parquet`` (the reported generations,
    all arms side by side). Returns facts: per concept the prompt, the latent, the coefficients, the
    judges' accuracy. Raises :class:`LedgerError` if the inputs do not belong together or no latent
    stands for a concept, and :class:`GateError` if the model does not give the stored activations.
    """
    loaded = load_coder(coder)
    at_write, at_judge = ActivationShards(output_hook), ActivationShards(judged)
    steered = {}
    # One BLAS thread: the probes are small, and the bytes must not depend on the core count.
    with threadpool_limits(1):
        examples = pool_examples(settings, tokens, at_write, at_judge, CodeShards(codes), loaded)
        writer = Writer(settings, model, examples.meta, at_write, at_judge)
        writer.check(tokens)
        with Progress("steer", total=len(examples.tasks), unit="concept") as progress:
            for task in examples.tasks:
                steered[task.concept] = steer(task, examples, loaded, writer)
                progress.update(1, concept=task.concept)
    records = Records(out, resamples=settings["resamples"], seed=settings["seed"])
    for name in ("generations", "scan", "cells", "outcomes"):
        records.table(f"{name}.parquet", stacked([tables[name] for tables, _ in steered.values()]))
    outcomes.record(records, list(steered))
    concepts = {concept: concept_facts for concept, (_, concept_facts) in steered.items()}
    for task in examples.tasks:
        accuracy = concepts[task.concept]["judge_accuracy"]
        outcomes.record_judge(records, task.concept, accuracy, len(task.test))
    facts = {
        "steered_at": str(writer.output_hook),
        "judged_at": str(writer.judged),
        "rms": examples.rms,
        **{name: settings[name] for name in ("generations", "perplexity_cap")},
        "concepts": concepts,
    }
    records.write(facts)
    return facts


def steer(
    task: Task, examples: ExampleFeatures, coder: SparseCoder, writer: Writer
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The columns of every table of one concept, and its facts."""
    settings, concept = writer.settings, task.concept
    n, seed, cap = settings["generations"], settings["seed"], settings["perplexity_cap"]
    latent, difference = directions.best_latent(examples.codes[task.train], task.train_labels)
    rng = generate.stream(seed, "random directions", concept)
    units = {
        "latent": directions.decoder_direction(coder, latent)[None],
        "dom": directions.difference_of_means(examples.raw[task.train], task.train_labels)[None],
        "random": directions.random_directions(rng, n, examples.raw.shape[1]),
    }
    judging, judge_accuracy = judge.fit(task, examples.judged, seed)
    scan, prompt = scan_prompts(concept, judging, writer)
    arms = [(BASELINE, 0.0), *product(ARMS, sorted(settings["coefficients"]))]
    vectors = np.zeros((len(arms), n, examples.raw.shape[1]), dtype=np.float32)
    for row, (arm, value) in enumerate(arms[1:], start=1):
        vectors[row] = value * examples.rms * units[arm]
    ids, reading = writer.texts(writer.prompt(prompt), vectors, seed, "generation", concept)
    scores = judging.scores(reading.features)
    bags = judge.bag(ids.reshape(-1, ids.shape[-1]), examples.bags.shape[1])
    second, bag_accuracy = judge.second_opinion(task, examples.bags, bags, seed)
    second = second.reshape(scores.shape)
    cells = [
        Cell(arm, value, scores[row] > 0, second[row] > 0, reading.perplexity[row])
        for row, (arm, value) in enumerate(arms)
    ]
    choices = {
        arm: outcomes.choose([cell for cell in cells if cell.arm == arm], cells[0], cap)
        for arm in ARMS
    }
    half = np.where(outcomes.selection_half(n), "selection", "reported")
    generations = text_rows(writer, concept, prompt, ids, reading, scores) | {
        "arm": np.repeat([arm for arm, _ in arms], n),
        "coefficient": np.repeat([value for _, value in arms], n),
        "half": np.tile(half, len(arms)),
        "bag_score": second.ravel(),
        "bag_success": second.ravel() > 0,
    }
    reported = {arm: choice.cell for arm, choice in choices.items()} | {BASELINE: cells[0]}
    return {
        "generations": generations,
        "scan": scan,
        "cells": by_column(outcomes.cell_rows(concept, cells, reported, cap)),
        "outcomes": outcomes.outcome_rows(concept, reported),
    }, {
        "prompt": prompt,
        "latent": latent,
        "difference_of_means": difference,
        "judge_accuracy": judge_accuracy,
        "bag_accuracy": bag_accuracy,
        "baseline_perplexity": float(cells[0].perplexity.mean()),
        "coefficients": {arm: choice.cell.coefficient for arm, choice in choices.items()},
        "admissible": {arm: list(choice.admissible) for arm, choice in choices.items()},
    }


def scan_prompts(
    concept: str, judging: judge.Judge, writer: Writer
) -> tuple[dict[str, np.ndarray], str]:
    """Columns of ``scan.parquet``, and the prompt whose unsteered success is nearest 1/2.

    The scan's random streams are not those of the evaluation. The earlier prompt wins a tie.
    """
    settings = writer.settings
    rows, distances = [], {}
    unsteered = np.zeros((1, settings["scan"], len(judging.weights)), dtype=np.float32)
    for prompt in settings["prompts"]:
        ids, reading = writer.texts(
            writer.prompt(prompt), unsteered, settings["seed"], "scan", concept
        )
        scores = judging.scores(reading.features)
        distances[prompt] = abs(float((scores > 0).mean()) - 0.5)
        rows.append(text_rows(writer, concept, prompt, ids, reading, scores))
    return stacked(rows), min(distances, key=distances.__getitem__)


def text_rows(
    writer: Writer, concept: str, prompt: str, ids: np.ndarray, reading: Reading, scores: np.ndarray
) -> dict[str, np.ndarray]:
    """Columns of texts [cells, n]: tokens, text, perplexity, and score of the judge."""
    cells, n, length = ids.shape
    text, tokens = np.empty((2, cells * n), dtype=object)
    for row, text_ids in enumerate(ids.astype(np.int32).reshape(-1, length)):
        text[row], tokens[row] = writer.tokenizer.decode(text_ids), text_ids
    return {
        "concept": np.repeat(concept, cells * n),
        "prompt": np.repeat(prompt, cells * n),
        "index": np.tile(np.arange(n), cells),
        "text": text,
        "token_ids": tokens,
        "perplexity": reading.perplexity.ravel(),
        "judge_score": scores.ravel(),
        "success": scores.ravel() > 0,
    }
