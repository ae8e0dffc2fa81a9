"""Metrics and tables of a task, and of circuits over their size.

The unit is the *pair*: one value per minimal pair, both directions averaged; bootstrap over pairs.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from latent_ledger.evaluations.edges.faithfulness import area
from latent_ledger.evaluations.edges.measure import Curves
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
    records: Records,
    halves: Mapping[str, np.ndarray],
    texts: Mapping[str, Sequence[tuple[str, str]]],
) -> None:
    """``task.parquet`` and the model's accuracy. `halves`: metric [pairs, 2 directions] each."""
    pair = [f"{half}/{number}" for half, rows in halves.items() for number in range(len(rows))]
    metric = np.concatenate(list(halves.values()))
    records.table(
        "task.parquet",
        {
            "pair": pair,
            "half": [name.partition("/")[0] for name in pair],
            "first": [text[0] for half in halves for text in texts[half]],
            "second": [text[1] for half in halves for text in texts[half]],
            "metric_first": metric[:, 0],
            "metric_second": metric[:, 1],
            "correct": ((1 + np.sign(metric)) / 2).mean(1),
        },
    )
    records.measure(
        "task_accuracy",
        "mean",
        "task.parquet",
        unit="pair",
        higher_is_better=None,
        description="Share of prompts with the larger logit for the right answer; a tie is half.",
        unit_id="pair",
        value="correct",
    )


def record_curves(records: Records, clean: np.ndarray, curves: Curves) -> None:
    """``pairs.parquet``, ``curves.parquet``, the areas and their gaps to random circuits.

    `clean` [pairs] is m(M). Where nothing is at stake the shares are undefined and left out.
    """
    empty, sizes = curves.kept[:, 0], curves.sizes
    areas = {
        "kept": area(curves.kept - empty[:, None], sizes),
        "removed": area(clean[:, None] - curves.removed, sizes),
        "random_kept": area(curves.random_kept.mean(0) - empty[:, None], sizes),
        "random_removed": area(clean[:, None] - curves.random_removed.mean(0), sizes),
    }
    records.table(
        "pairs.parquet",
        {
            "pair": np.arange(len(clean)),
            "clean": clean,
            "empty": empty,
            "at_stake": clean - empty,
            **{f"area_{name}": values for name, values in areas.items()},
            "gap_kept": areas["kept"] - areas["random_kept"],
            "gap_removed": areas["removed"] - areas["random_removed"],
        },
    )
    mean("at_stake", records, "at_stake", "m(M) - m(empty): what the nodes are worth, in logits.")
    if (clean - empty).sum() == 0:
        return
    for name, column, text in (
        ("faithfulness_area", "area_kept", "CPR: area under faithfulness, best nodes first"),
        ("faithfulness_area_random", "area_random_kept", "The same area, mean of random orders"),
        ("faithfulness_gap", "gap_kept", "faithfulness_area minus that of random orders"),
        ("completeness_area", "area_removed", "Area under completeness, best nodes first"),
        ("completeness_area_random", "area_random_removed", "The same, mean of random orders"),
        ("completeness_gap", "gap_removed", "completeness_area minus that of random orders"),
    ):
        records.measure(
            name,
            "ratio",
            "pairs.parquet",
            unit="pair",
            higher_is_better=True,
            description=f"{text}, over the share of nodes.",
            unit_id="pair",
            numerator=column,
            denominator="at_stake",
        )
    _record_cmd(records, clean, curves)
    stake = (clean - empty).sum()
    records.table(
        "curves.parquet",
        {
            "size": sizes,
            "share": sizes / sizes[-1],
            "faithfulness": (curves.kept - empty[:, None]).sum(0) / stake,
            "completeness": (clean[:, None] - curves.removed).sum(0) / stake,
            "faithfulness_random": (curves.random_kept.mean(0) - empty[:, None]).sum(0) / stake,
            "completeness_random": (clean[:, None] - curves.random_removed.mean(0)).sum(0) / stake,
        },
    )


def _record_cmd(records: Records, clean: np.ndarray, curves: Curves) -> None:
    """CMD of the graph's order, mean CMD of the random ones, and how much smaller the first is.

    CMD is no ratio of sums, so the curves of every resample are computed anew. All curves share
    their resamples.
    """
    stake, pairs = clean - curves.kept[:, 0], np.arange(len(clean))

    def distances(kept: np.ndarray) -> np.ndarray:
        shares = []
        for column in kept.T - curves.kept[:, 0]:
            values = Values(pairs, "ratio", column, stake)
            drawn = distribution(values, resamples=records.resamples, seed=records.seed)
            shares.append(np.append(drawn, values.estimate()))
        return area(np.abs(1 - np.stack(shares, 1)), curves.sizes)

    best_first = distances(curves.kept)
    random = np.mean([distances(kept) for kept in curves.random_kept], axis=0)
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


def mean(name: str, records: Records, column: str, text: str, table: str = "pairs.parquet") -> None:
    """Record the mean over pairs of a column."""
    records.measure(
        name,
        "mean",
        table,
        unit="pair",
        higher_is_better=True,
        description=text,
        unit_id="pair",
        value=column,
    )
