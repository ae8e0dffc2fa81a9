"""Overview of all coders: three views of the evaluations, without a new measurement.

* **Pareto**: fidelity against interpretability, one point per coder. A coder is on the front when
  no other contender dominates it; its *front share* is the share of the bootstrap resamples in
  which that holds. Coders measured on the same units (documents) share their resamples; coders
  with units of their own (latents) do not.
* **Sweep**: each metric against k.
* **Seeds**: the spread of a metric over training seeds (sample standard deviation), and its
  sampling error on one seed (bootstrap, root mean square over seeds). A difference between coders
  that is smaller than the spread over seeds is a difference between runs.

Controls are drawn but never on the front: contenders should beat them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latent_ledger.evaluations.overview import figures
from latent_ledger.statistics import resampling
from latent_ledger.statistics.reading import OWN_UNITS, folder_of, metric_record, values_of
from latent_ledger.statistics.records import Records, by_column


def produce(settings: Mapping[str, Any], tables: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Write the three views and their figures into `out`; returns the facts.

    `settings`: ``sources`` (see :func:`~.reading.folder_of`), ``x`` and ``y``
    ("<evaluation>.<metric>", higher is better), ``points`` (instances measured on both: {name,
    coder, architecture, k, seed, control}), ``sweep`` ({metric: instances}), ``resamples``,
    ``seed``. `tables`: "<source>/<instance>" -> evaluation folder. Writes ``pareto.parquet``,
    ``sweep.parquet``, ``seeds.parquet``, ``metrics.json`` and the figures as SVG and PNG.
    """
    records = Records(out, resamples=settings["resamples"], seed=settings["seed"])
    pareto = pareto_rows(settings, tables)
    sweep = sweep_rows(settings, tables)
    seeds = seed_rows(sweep)
    for name, rows in (("pareto", pareto), ("sweep", sweep), ("seeds", seeds)):
        if rows:
            records.table(f"{name}.parquet", by_column(rows))
    for row in pareto:
        records.add(
            f"front_share/{row['name']}",
            row["front_share"],
            unit="resample",
            n=settings["resamples"],
            higher_is_better=True,
            description=f"Share of resamples in which {row['name']} is on the Pareto front.",
        )
    labels = {"x": settings["x"], "y": settings["y"]}
    figures.pareto(pareto, labels, out)
    figures.sweep(sweep, out)
    facts = {"pareto": pareto, "sweep": sweep, "seeds": seeds, **labels}
    records.write(facts)
    return facts


def pareto_rows(settings: Mapping[str, Any], tables: Mapping[str, Path]) -> list[dict[str, Any]]:
    """One row per point: both metrics with intervals, membership of the front, front share."""
    rows = [dict(point) for point in settings["points"]]
    drawn = {}
    for axis in ("x", "y"):
        for number, row in enumerate(rows, 1):
            record, values = _measured(settings[axis], row["name"], settings, tables)
            unshared = record["unit"] in OWN_UNITS
            seed = [settings["seed"], number] if unshared else settings["seed"]
            drawn[axis, row["name"]] = resampling.distribution(
                values, resamples=settings["resamples"], seed=seed
            )
            row[axis] = record["estimate"]
            row[f"{axis}_low"], row[f"{axis}_high"] = record["ci"] or (np.nan, np.nan)
            row[f"{axis}_n"] = record["n"]
    contenders = [row for row in rows if not row["control"]]
    estimates = np.array([[[row["x"]], [row["y"]]] for row in contenders])
    resampled = np.array([[drawn[axis, row["name"]] for axis in ("x", "y")] for row in contenders])
    on_front, shares = front(estimates)[:, 0], front(resampled).mean(axis=1)
    for row in rows:
        row |= {"on_front": False, "front_share": 0.0}
    for row, holds, share in zip(contenders, on_front, shares, strict=True):
        row |= {"on_front": bool(holds), "front_share": float(share)}
    return rows


def front(points: np.ndarray) -> np.ndarray:
    """Points that no other dominates: [n, 2, resamples] -> bool [n, resamples].

    A point is dominated when another is at least as good on both axes and better on one. A point
    with a NaN dominates nothing, and nothing dominates it.
    """
    x, y = points[:, 0], points[:, 1]
    at_least = (x[:, None] >= x[None]) & (y[:, None] >= y[None])
    better = (x[:, None] > x[None]) | (y[:, None] > y[None])
    return ~(at_least & better).any(axis=0)


def sweep_rows(settings: Mapping[str, Any], tables: Mapping[str, Path]) -> list[dict[str, Any]]:
    """One row per metric and coder, contenders only, with the bootstrap's interval."""
    rows = []
    bootstrap = {key: settings[key] for key in ("resamples", "seed")}
    for metric, points in settings["sweep"].items():
        for point in points:
            record, values = _measured(metric, point["name"], settings, tables)
            low, high = record["ci"] or (np.nan, np.nan)
            se = resampling.estimate(values, **bootstrap).se
            rows.append(
                {"metric": metric, **{key: point[key] for key in ("name", "coder", "k", "seed")}}
                | {"estimate": record["estimate"], "low": low, "high": high, "se": se}
                | {key: record[key] for key in ("n", "unit")}
            )
    return rows


def _measured(
    metric: str, coder: str, settings: Mapping[str, Any], tables: Mapping[str, Path]
) -> tuple[dict[str, Any], resampling.Values]:
    """The record of a coder's "<evaluation>.<metric>", and its per-unit values."""
    folder = folder_of(metric, coder, settings, tables)
    record = metric_record(folder, metric.partition(".")[2])
    return record, values_of(folder, record["name"])


def seed_rows(sweep: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row per metric, coder and k with several seeds: spread over seeds, sampling error."""
    groups = defaultdict(list)
    for row in sweep:
        groups[row["metric"], row["coder"], row["k"]].append(row)
    return [
        {
            "metric": metric,
            "coder": coder,
            "k": k,
            "seeds": len(rows),
            "mean": float(np.mean([row["estimate"] for row in rows])),
            "seed_sd": float(np.std([row["estimate"] for row in rows], ddof=1)),
            "sampling_se": float(np.sqrt(np.mean([row["se"] ** 2 for row in rows]))),
        }
        for (metric, coder, k), rows in groups.items()
        if len(rows) > 1
    ]
