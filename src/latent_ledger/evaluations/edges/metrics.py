"""Metrics and tables of a task, and of circuits over their size.

The unit is the *pair*: one value per minimal pair, both directions averaged; bootstrap over pairs.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from latent_ledger.evaluations.edges.faithfulness import area
from latent_ledger.evaluations.edges.measure import Curves
from latent_ledger.evaluations.edges.task import Pair
from latent_ledger.statistics.records import Records
from latent_ledger.statistics.resampling import Values, distribution

OPTIONAL = {
    *("edge_spearman", "edge_sign_agreement", "node_spearman"),
    *("faithfulness_gap", "completeness_gap", "cmd_gap"),
}
"""Metrics that are left out where they are undefined."""

ENDS = (0.025, 0.975)
"""Quantiles of the resamples between which an interval lies."""


def record_task(
    records: Records, metrics: Mapping[str, np.ndarray], pairs: Mapping[str, Sequence[Pair]]
) -> None:
    """``task.parquet`` and the model's accuracy. `metrics`: by half, [pairs, 2 directions]."""
    numbered = [(half, *item) for half in metrics for item in enumerate(pairs[half])]
    metric = np.concatenate(list(metrics.values()))
    records.table(
        "task.parquet",
        {
            "pair": [f"{half}/{number}" for half, number, _ in numbered],
            "half": [half for half, _, _ in numbered],
            "first": [pair.texts[0] for _, _, pair in numbered],
            "second": [pair.texts[1] for _, _, pair in numbered],
            "metric_first": metric[:, 0],
            "metric_second": metric[:, 1],
            "correct": ((1 + np.sign(metric)) / 2).mean(1),
        },
    )
    text = "Share of prompts with the larger logit for the right answer; a tie is half."
    measure(records, "task_accuracy", "task.parquet", text, "correct", better=None)


def record_curves(records: Records, clean: np.ndarray, curves: Curves) -> None:
    """``pairs.parquet``, ``curves.parquet``, the areas and their gaps to random circuits.

    `clean` [pairs] is m(M). Where nothing is at stake the shares are undefined and left out.
    """
    empty, sizes = curves.kept[0, :, 0], curves.sizes
    stake = clean - empty
    gains = {
        "kept": curves.kept[0] - empty[:, None],
        "removed": clean[:, None] - curves.removed[0],
        "random_kept": curves.kept[1:].mean(0) - empty[:, None],
        "random_removed": clean[:, None] - curves.removed[1:].mean(0),
    }
    areas = {name: area(gain, sizes) for name, gain in gains.items()}
    records.table(
        "pairs.parquet",
        {
            "pair": np.arange(len(clean)),
            "clean": clean,
            "empty": empty,
            "at_stake": stake,
            **{f"area_{name}": values for name, values in areas.items()},
            "gap_kept": areas["kept"] - areas["random_kept"],
            "gap_removed": areas["removed"] - areas["random_removed"],
        },
    )
    text = "m(M) - m(empty): what the nodes are worth, in logits."
    measure(records, "at_stake", "pairs.parquet", text, "at_stake")
    if stake.sum() == 0:
        return
    for name, column, text in (
        ("faithfulness_area", "area_kept", "CPR: area under faithfulness, best nodes first"),
        ("faithfulness_area_random", "area_random_kept", "The same area, mean of random orders"),
        ("faithfulness_gap", "gap_kept", "faithfulness_area minus that of random orders"),
        ("completeness_area", "area_removed", "Area under completeness, best nodes first"),
        ("completeness_area_random", "area_random_removed", "The same, mean of random orders"),
        ("completeness_gap", "gap_removed", "completeness_area minus that of random orders"),
    ):
        text = f"{text}, over the share of nodes."
        measure(records, name, "pairs.parquet", text, column, denominator="at_stake")
    _record_cmd(records, stake, curves)
    shares = {name: gain.sum(0) / stake.sum() for name, gain in gains.items()}
    records.table(
        "curves.parquet",
        {
            "size": sizes,
            "share": sizes / sizes[-1],
            "faithfulness": shares["kept"],
            "completeness": shares["removed"],
            "faithfulness_random": shares["random_kept"],
            "completeness_random": shares["random_removed"],
        },
    )


def _record_cmd(records: Records, stake: np.ndarray, curves: Curves) -> None:
    """CMD of the graph's order, mean CMD of the random ones, and how much smaller the first is.

    It is no ratio of sums: every curve is computed anew on each resample, the same for all.
    """
    pairs = np.arange(len(stake))

    def distances(kept: np.ndarray) -> np.ndarray:
        shares = []
        for column in kept.T - curves.kept[0, :, 0]:
            values = Values(pairs, "ratio", column, stake)
            drawn = distribution(values, resamples=records.resamples, seed=records.seed)
            shares.append(np.append(drawn, values.estimate()))
        return area(np.abs(1 - np.stack(shares, 1)), curves.sizes)

    best_first, *others = map(distances, curves.kept)
    random = np.mean(others, axis=0)
    for name, values, better, text in (
        ("cmd", best_first, False, "Area of |1 - faithfulness|, best nodes first"),
        ("cmd_random", random, False, "The same area, mean of random orders"),
        ("cmd_gap", random - best_first, True, "cmd_random - cmd"),
    ):
        drawn = values[:-1][np.isfinite(values[:-1])]
        records.add(
            name,
            values[-1],
            ci=np.quantile(drawn, ENDS) if len(pairs) > 1 else None,
            unit="pair",
            n=len(pairs),
            seed=records.seed,
            resamples=records.resamples,
            higher_is_better=better,
            description=f"{text}, over the share of nodes.",
        )


def measure(
    records: Records,
    name: str,
    table: str,
    text: str,
    column: str,
    *,
    denominator: str = "",
    unit: str = "pair",
    better: bool | None = True,
) -> None:
    """Record the mean of a column over the units, or its ratio to that of a denominator."""
    roles = {"numerator": column, "denominator": denominator} if denominator else {"value": column}
    records.measure(
        name,
        "ratio" if denominator else "mean",
        table,
        unit=unit,
        higher_is_better=better,
        description=text,
        where=None,
        unit_id=unit,
        **roles,
    )
