"""Contrasts of two coders: the difference of one metric, with interval and tests.

    metrics x pairs -> values_of(folder, metric) -> resampling.compare -> Holm over the family

Units that belong to one coder, such as latents, never pair by id. A family that says ``match``
pairs them one to one by a column of their table, their firing frequency; others stay unpaired.

The inputs are the metric records of other evaluations, and any metric with a per-unit table can be
compared (:mod:`~latent_ledger.statistics.records`). A number passes three gates: the two coders'
recipes agree on the fairness fields, the two records describe the same measurement, and the
recorded estimate is what the table gives. A comparison that is unfair by declaration
(`allow_unfair`) is made, and its record lists those fields.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from latent_ledger.lib.errors import GateError, LedgerError
from latent_ledger.lib.files import write_json
from latent_ledger.lib.numbers import ROW_GROUP, canonical
from latent_ledger.statistics import matching, resampling
from latent_ledger.statistics.reading import (
    OWN_UNITS,
    folder_of,
    metric_record,
    nearest_of,
    values_and_column,
)

SAME_MEASUREMENT = ("unit", "version", "statistic", "higher_is_better", "where")

NUMBERS = (
    *("estimate", "estimate_a", "estimate_b", "ci", "bca", "ci_excludes_zero", "se"),
    *("p", "p_welch", "p_mannwhitney", "tests_note", "paired", "n", "n_a", "n_b", "excluded"),
)
"""Fields of a record that are those of its :class:`~.resampling.Contrast`."""

COLUMNS = pa.schema(
    [(name, pa.string()) for name in ("metric", "a", "b", "unit", "tests_note")]
    + [(name, pa.float64()) for name in ("estimate", "estimate_a", "estimate_b", "low", "high")]
    + [(name, pa.float64()) for name in ("bca_low", "bca_high", "se", "p", "p_holm")]
    + [(name, pa.float64()) for name in ("p_welch", "p_mannwhitney", "level")]
    + [(name, pa.bool_()) for name in ("paired", "ci_excludes_zero")]
    + [(name, pa.int64()) for name in ("n_a", "n_b", "seed", "resamples", "excluded")]
    + [("unfair", pa.list_(pa.string()))]
)
"""Columns of ``contrasts.parquet``."""


def produce(settings: Mapping[str, Any], tables: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Compare every declared pair on every declared metric; write the family below `out`.

    `settings`: ``metrics`` ("<evaluation>.<metric>"), ``pairs`` of coders, ``resamples``,
    ``level``, ``seed``, ``sources`` (see :func:`~.reading.folder_of`), perhaps ``match`` (a column
    by which latents are paired), ``recipes`` {instance: {fairness field: value}} and
    ``allow_unfair``: a list of fields, allowed for every pair, or of {"pair": [a, b], "fields":
    [...]} (no ``fields``: all of them). `tables`: "<source>/<instance>" -> evaluation folder.

    Writes ``metrics.json`` and ``contrasts.parquet``, one entry per contrast a - b in the order
    metrics x pairs; returns the facts of the family. Raises :class:`GateError` for coders or
    records that do not compare, and :class:`LedgerError` for a faulty declaration.
    """
    metrics, pairs = settings["metrics"], settings["pairs"]
    _check_family(metrics, pairs)
    unfair = [_unfair_fields(pair, settings) for pair in pairs]
    contrasts = [
        _contrast(metric, pair, fields, settings, tables)
        for metric in metrics
        for pair, fields in zip(pairs, unfair, strict=True)
    ]
    adjusted = resampling.holm([contrast["p"] for contrast in contrasts])
    for contrast, p_holm in zip(contrasts, adjusted, strict=True):
        contrast["p_holm"] = float(p_holm)
    contrasts = canonical(contrasts)
    facts = {
        "contrasts": len(contrasts),
        "paired": sum(contrast["paired"] for contrast in contrasts),
        "unfair": sum(bool(contrast["unfair"]) for contrast in contrasts),
        "not_made": sum(bool(contrast["not_made"]) for contrast in contrasts),
        "resamples": settings["resamples"],
        "level": settings["level"],
        "p_method": resampling.P_METHOD,
        # Holm multiplies the smallest p by the family's size: with few resamples nothing can pass.
        "smallest_p_holm": min(1.0, 2 * len(contrasts) / (settings["resamples"] + 1)),
    }
    write_json(out / "metrics.json", {"metrics": contrasts, "facts": facts})
    rows = [
        contrast
        | dict(zip(("low", "high"), contrast["ci"] or (None, None), strict=True))
        | dict(zip(("bca_low", "bca_high"), contrast["bca"] or (None, None), strict=True))
        for contrast in contrasts
    ]
    table = pa.Table.from_pylist(rows, schema=COLUMNS)
    pq.write_table(table, out / "contrasts.parquet", row_group_size=ROW_GROUP)
    return facts


def _contrast(
    metric: str,
    pair: Sequence[str],
    unfair: list[str],
    settings: Mapping[str, Any],
    tables: Mapping[str, Path],
) -> dict[str, Any]:
    """The record of one contrast, in the form of a metric plus the keys of a comparison."""
    name = metric.partition(".")[2]
    folders = [folder_of(metric, spec, settings, tables) for spec in pair]
    records = [metric_record(folder, name) for folder in folders]
    for field in SAME_MEASUREMENT:
        first, second = (record.get(field) for record in records)
        if first != second:
            raise GateError(
                f"same measurement: {field} of {metric} is {first!r} for {pair[0]} "
                f"and {second!r} for {pair[1]}."
            )
    unit, match = records[0]["unit"], settings.get("match")
    if match and unit not in OWN_UNITS:
        raise LedgerError(f"{metric} is over {unit}s, which need no match: both coders share them.")
    (a, key_a), (b, key_b) = (values_and_column(folder, name, match or "") for folder in folders)
    bootstrap = {key: settings[key] for key in ("resamples", "seed", "level")}
    common = {
        "name": f"{metric}: {pair[0]} - {pair[1]}",
        "metric": metric,
        "a": pair[0],
        "b": pair[1],
        "matched_on": match,
        "unit": f"{unit} pair" if match else unit,
        **bootstrap,
        "version": 1,
        "higher_is_better": records[0].get("higher_is_better"),
        "statistic": None,
        "table": None,
        "columns": {},
        "where": {},
        "unfair": unfair,
    }
    likeness = ""
    if key_a is not None and key_b is not None:
        try:
            a, b, ratios = matching.matched(a, b, key_a, key_b)
        except matching.TooFewAlike as error:
            return common | _not_made(a, b, f"{error}")
        likeness = f", alike in {match} within {np.median(ratios):.2f} (median)"
    may_pair = common["unit"] not in OWN_UNITS
    contrast = resampling.compare(a, b, **bootstrap, paired=None if may_pair else False)
    if contrast.paired:
        design = f"paired bootstrap over {contrast.n}"
    else:
        design = f"unpaired bootstrap over {contrast.n_a} and {contrast.n_b}"
    return common | {
        **{field: getattr(contrast, field) for field in NUMBERS},
        "not_made": None,
        "description": f"{name} of {pair[0]} minus that of {pair[1]}; "
        f"{design} {common['unit']}s{likeness}.",
    }


def _not_made(a: resampling.Values, b: resampling.Values, reason: str) -> dict[str, Any]:
    """The remaining fields of a declared contrast without a number, with the reason.

    The contrast stays in its family with p = 1, so that Holm corrects for all that was declared.
    """
    return dict.fromkeys(NUMBERS) | {
        "ci_excludes_zero": False,
        "p": 1.0,
        "paired": False,
        "n": 0,
        "n_a": len(a),
        "n_b": len(b),
        "excluded": 0,
        "not_made": reason,
        "description": f"Not made: {reason}.",
    }


def _check_family(metrics: Sequence[str], pairs: Sequence[Sequence[str]]) -> None:
    if not metrics or not pairs:
        raise LedgerError("A comparison family needs at least one metric and one pair of coders.")
    for metric in metrics:
        if "." not in metric:
            raise LedgerError(f"Metric {metric!r} is not of the form <evaluation>.<metric>.")
    for pair in pairs:
        if len(pair) != 2 or pair[0] == pair[1]:
            raise LedgerError(f"A pair is two different coders, not {list(pair)}.")
    # A contrast counted twice would make Holm's correction too strict for all others.
    if len({*map(frozenset, pairs)}) < len(pairs) or len({*metrics}) < len(metrics):
        raise LedgerError("A comparison family names a pair or a metric twice.")


def _unfair_fields(pair: Sequence[str], settings: Mapping[str, Any]) -> list[str]:
    """Fairness fields in which the pair's recipes differ.

    Raises :class:`GateError` for a field that `allow_unfair` does not cover.
    """
    recipes = settings["recipes"]
    for spec in pair:
        if spec not in recipes:
            raise LedgerError(f"No recipe is given for {spec}{nearest_of(spec, recipes)}")
    differing = []
    for field in sorted({field for spec in pair for field in recipes[spec]}):
        first, second = (recipes[spec].get(field, "not stated") for spec in pair)
        if first == second:
            continue
        if not any(_allows(entry, pair, field) for entry in settings.get("allow_unfair") or ()):
            raise GateError(
                f"fair comparison: {field} is {first!r} for {pair[0]} and {second!r} for "
                f"{pair[1]}; make them equal or list {field} under allow_unfair."
            )
        differing.append(field)
    return differing


def _allows(entry: str | Mapping[str, Any], pair: Sequence[str], field: str) -> bool:
    """Whether an entry of `allow_unfair` covers this field of this pair, in either order."""
    if isinstance(entry, str):
        return entry == field
    if not isinstance(entry, Mapping) or "pair" not in entry or {*entry} - {"pair", "fields"}:
        raise LedgerError(
            f"allow_unfair takes a field or {{pair: [a, b], fields: [...]}}, not {entry!r}."
        )
    fields = entry.get("fields")
    return {*entry["pair"]} == {*pair} and (fields is None or field in fields)
