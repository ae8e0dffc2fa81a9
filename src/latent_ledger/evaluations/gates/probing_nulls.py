"""Gate of the probing metrics: probes stay at chance on shuffled data.

The functions that probe a coder (:mod:`latent_ledger.evaluations.probing.evaluation`) run on the
real activations of one hook point, after one of two shuffles of a concept: its *labels* are
permuted within each split, or its features (*latents*) over all its examples. Either way the test
AUROC of every probe has expectation 1/2 exactly, as long as the probe chooses nothing on test
examples. A selection of latents, a scaling or a penalty that saw them, or a label among the
features, raises it. A hook point has no latents; the positive and the negative part of every
channel replace them, numerous enough to reveal a leak in their selection.

*Bound.* Pair the test examples of a concept, one of each label, k pairs (the smaller class): under
a permutation each pair is won with probability 1/2, independently, and the AUROC is the mean over
all pairings. By Hoeffding's lemma and convexity, the mean AUROC of S independent permutations with
k_1 ... k_S pairs satisfies, for any sample size::

    P(|mean - 1/2| >= t) <= 2 exp(-2 t^2 S^2 / (1/k_1 + ... + 1/k_S))

The bound t makes this probability :data:`FALSE_ALARM` over all probes and both shuffles together.

Source: Hoeffding 1963 (JASA 58:13), section 5, for two-sample U-statistics.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from latent_ledger.evaluations.probing import evaluation as probing
from latent_ledger.evaluations.probing.evaluation import Task
from latent_ledger.lib.errors import GateError
from latent_ledger.lib.progress import Progress
from latent_ledger.models.shards import ActivationShards
from latent_ledger.statistics.probes import Features
from latent_ledger.statistics.records import Records, by_column

GATE = "metric nulls"
FALSE_ALARM = 1e-6
"""Largest probability that a correct evaluation fails this gate, over the seeds."""

SHUFFLES = ("labels", "latents")
BAG = "bag_of_tokens"


def produce(settings: Mapping[str, Any], tokens: Path, raw: Path, out: Path) -> dict[str, Any]:
    """Probe shuffled data; write ``metrics.json`` and ``shuffles.parquet`` into `out`.

    `settings`: concepts, top_k, examples (at most so many training examples per concept and class;
    their number sets the run time), shuffles (of each sort and concept), seed. `tokens`: a token
    set of layout "examples"; `raw`: one hook point over it. Returns facts: bound,
    false alarm, largest deviation, and the mean AUROC of the true labels, which shows that there
    was something to shuffle away. Raises :class:`~latent_ledger.lib.errors.GateError` naming the
    probe that is farthest from chance.
    """
    tasks = probing.read_tasks(Path(tokens), settings["concepts"])
    pooled = probing.pooled_features(Path(tokens), Path(raw), None)["raw"]
    # The bag of tokens is no property of a hook point and takes half of the time: fit a constant.
    features = {"raw": pooled, "codes": halves(pooled), BAG: np.zeros((len(pooled), 1))}
    rows: list[dict[str, Any]] = []
    true: list[float] = []
    draws = list(itertools.product(SHUFFLES, range(settings["shuffles"])))
    total = len(tasks) * (len(draws) + 1)
    with threadpool_limits(1), Progress("shuffle", total=total, unit="probing") as progress:
        for index, task in enumerate(tasks):
            task, selected = reduced(task, features, settings["examples"])
            true.append(aurocs(task, selected, settings)["raw"])
            progress.update(1)
            pairs = int(np.bincount(task.test_labels, minlength=2).min())
            for sort, number in draws:
                # One stream per draw: leaving a concept out moves no other concept's shuffles.
                key = [settings["seed"], index, SHUFFLES.index(sort), number]
                probed = shuffled(task, selected, sort, np.random.default_rng(key))
                draw = {"concept": task.concept, "shuffled": sort, "shuffle": number}
                rows += [
                    {**draw, "probe": probe, "auroc": auroc, "pairs": pairs}
                    for probe, auroc in aurocs(*probed, settings).items()
                ]
                progress.update(1)
    records = Records(out, resamples=0, seed=settings["seed"])
    records.table("shuffles.parquet", by_column(rows))
    facts = {"hook_point": ActivationShards(raw).hook_point}
    facts |= record(records, rows, float(np.mean(true)))
    records.write(facts)
    return facts


def reduced(
    task: Task, features: Mapping[str, Features], per_class: int
) -> tuple[Task, dict[str, Features]]:
    """A concept with its first `per_class` training examples of each class, and its features.

    Examples are numbered as the rows of these features are: training first, then test.
    """
    members = [np.flatnonzero(task.train_labels == label)[:per_class] for label in (0, 1)]
    kept = np.sort(np.concatenate(members))
    examples = np.concatenate([task.train[kept], task.test])
    train, test = np.split(np.arange(len(examples)), [len(kept)])
    task = replace(task, train=train, test=test, train_labels=task.train_labels[kept])
    return task, {name: matrix[examples] for name, matrix in features.items()}


def halves(raw: np.ndarray) -> sparse.csr_matrix:
    """Stand-ins for latents [n, 2 d]: the positive and the negative part of centred channels."""
    centred = raw - raw.mean(axis=0)
    return sparse.csr_matrix(np.hstack([np.maximum(centred, 0), np.maximum(-centred, 0)]))


def shuffled(
    task: Task, features: Mapping[str, Features], sort: str, rng: np.random.Generator
) -> tuple[Task, Mapping[str, Features]]:
    """One concept with its labels permuted within each split, or its features over all examples."""
    if sort == "labels":
        return replace(
            task,
            train_labels=rng.permutation(task.train_labels),
            test_labels=rng.permutation(task.test_labels),
        ), features
    order = rng.permutation(len(task.train) + len(task.test))
    return task, {name: matrix[order] for name, matrix in features.items()}


def aurocs(
    task: Task, features: Mapping[str, Features], settings: Mapping[str, Any]
) -> dict[str, float]:
    """Test AUROC of every probe of one concept but the bag of tokens, as probing reports it."""
    probed = probing.probe_concept(task, features, settings["top_k"], settings["seed"])
    return {
        probe: float(probing.example_rows(probed, probe)["auroc"].mean())
        for probe in probed.scores
        if probe != BAG
    }


def bound(pairs: Sequence[int], checks: int) -> float:
    """The bound of the module's docstring for a mean over permutations, one of `checks` means.

    `pairs`: their number in each permutation.
    """
    inverse = sum(1 / count for count in pairs)
    return math.sqrt(math.log(2 * checks / FALSE_ALARM) * inverse / 2) / len(pairs)


def record(records: Records, rows: Sequence[Mapping[str, Any]], true: float) -> dict[str, Any]:
    """Record the mean AUROC of every shuffle and probe, the bound around it as its interval.

    Returns facts: the bound and its false_alarm, the largest_deviation, and `true`, the mean AUROC
    of the true labels, which shows that there was something to shuffle away. Raises
    :class:`GateError` naming the metric farthest from 0.5, if it exceeds its bound.
    """
    probes = list(dict.fromkeys(row["probe"] for row in rows))
    checks, shuffles = len(probes) * len(SHUFFLES), len(rows) // len(probes)
    for sort, probe in itertools.product(SHUFFLES, probes):
        group = [row for row in rows if row["shuffled"] == sort and row["probe"] == probe]
        allowed = bound([row["pairs"] for row in group], checks)
        mean = float(np.mean([row["auroc"] for row in group]))
        records.add(
            f"auroc_shuffled_{sort}/{probe}",
            mean,
            ci=(mean - allowed, mean + allowed),
            unit="shuffle",
            n=len(group),
            seed=records.seed,
            higher_is_better=None,
            description=f"Mean test AUROC of probe {probe} with shuffled {sort}; a correct "
            f"evaluation leaves 0.5 outside one of the gate's {checks} intervals with "
            f"probability {FALSE_ALARM:g} at most.",
        )
    limit = float(f"{allowed:.3g}")
    worst = max(records.metrics.values(), key=lambda metric: abs(metric["estimate"] - 0.5))
    low, high = worst["ci"]
    if not low <= 0.5 <= high:
        raise GateError(
            f"{GATE}, {worst['name']} is {worst['estimate']:.3f} and must be 0.5 (within "
            f"{limit:.3f}, n={worst['n']} shuffles): probing sees test labels; correct "
            "evaluations/probing/evaluation.py or statistics/probes.py."
        )
    largest = abs(worst["estimate"] - 0.5)
    records.add(
        "largest_deviation",
        largest,
        unit="shuffle",
        n=shuffles,
        higher_is_better=False,
        description="Largest deviation of these mean AUROCs from 0.5, over probes and shuffles.",
    )
    records.add(
        "auroc_true_labels/raw",
        true,
        unit="concept",
        n=len({row["concept"] for row in rows}),
        higher_is_better=True,
        description="Mean test AUROC of the raw activations with the true labels.",
    )
    return {
        "bound": limit,
        "false_alarm": FALSE_ALARM,
        "largest_deviation": float(f"{largest:.3g}"),
        "checks": checks,
        "shuffles": shuffles,
        "true_auroc": float(f"{true:.3g}"),
    }
