"""Reported values, row by row: our measurement in their place, and whether both agree.

An entry under ``references`` is keyed by the run id that its author gave it. It names measurements:
a row of this ledger, a metric of it, and (if a number was reported) the value and its tolerance.
Its verdict is computed::

    a measured row has no number             failed (or stale), with that row's reason
    no measurement has a reported value      the verdict of the first measured row: a counterpart
    every reported value is within reach     reproduced
    one of them is not                       not reproduced

The author's conclusion is shown and decides nothing: an inconclusive result that comes out the same
is *reproduced*. If the entry's id is a row of this ledger, that row gets the verdict; otherwise the
entry becomes a separate row. Earlier versions of an entry (its ``history``) are rows marked
superseded, with the value reported then and the reason for its withdrawal.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from latent_ledger.evaluations.formatting import count, digits_for, interval, table
from latent_ledger.ledger.row import Row, make_row
from latent_ledger.ledger.verdicts import holds
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import digest_json
from latent_ledger.planning.stage import by_name, each

ROW_TYPE = "reference"
SUPERSEDED = "superseded"


def apply(references: Mapping[str, Any], rows: Sequence[Row]) -> list[Row]:
    """The current rows with every reference judged; entries without a ledger row come first."""
    current = {row.run_id: row for row in rows}
    added: list[Row] = []
    for name, entry in references.items():
        row = judge(name, entry, current)
        if name in current:
            current[name] = row
        else:
            added.append(row)
    return added + list(current.values())


def earlier(name: str, entry: Mapping[str, Any]) -> list[Row]:
    """The entry's own earlier versions, newest first, as superseded rows."""
    rows = []
    for version in reversed(entry["history"]):
        values = {"date": version["date"], "label": SUPERSEDED}
        values["key_results"] = f"reference: {version['said']}"
        values["notes"] = f"Superseded by its author: {version['reason']}"
        rows.append(make_row(name, ROW_TYPE, values))
    return rows


def judge(name: str, entry: Mapping[str, Any], rows: Mapping[str, Row]) -> Row:
    """The row of one entry: its verdict, its measurements as text, and the columns of its rows."""
    measured = [measure(name, measurement, rows) for measurement in entry["measurements"]]
    run_ids = dict.fromkeys(measurement["row"] for measurement in measured)
    sources = [rows[run_id] for run_id in run_ids]
    label, reason = verdict(measured, sources)
    facts = {"measurements": measured, "entry": dict(entry)}
    if name in rows:
        row = rows[name]
        notes = " ".join(filter(None, (row.values["notes"], quoted(entry))))
        values = {**row.values, "label": label, "notes": notes}
        return dataclasses.replace(row, values=values, facts={**row.facts, ROW_TYPE: facts})
    columns = {
        name: each(filter(None, (row.values[name] for row in sources)), " + ")
        for name in sources[0].values
    }
    listed = ", ".join(f"`{row.run_id}`" for row in sources)
    key = digest_json([dict(entry), [row.key for row in sources]]) if not reason else ""
    values = {
        **columns,
        "config_hash": key[:12],
        "coder_type": f"reference: {columns['coder_type']}",
        "key_results": "" if reason else "; ".join(map(_in_words, measured)),
        "label": label,
        "notes": f"{reason or quoted(entry)} Measured by {listed}.".strip(),
    }
    records = [measurement["metric_record"] for measurement in measured]
    closure = {path: made_by for source in sources for path, made_by in source.closure.items()}
    return make_row(
        name,
        ROW_TYPE,
        values,
        metrics=[record for record in records if record],
        key=key,
        closure=closure if key else {},
        facts={ROW_TYPE: facts},
    )


def measure(name: str, measurement: Mapping[str, Any], rows: Mapping[str, Row]) -> dict[str, Any]:
    """The measurement with our number, or with the reason why there is none.

    It gets the keys metric_record (ours, or None), holds (None: nothing to hold) and reason (empty:
    there is a number).
    """
    run_id, metric = measurement["row"] or name, measurement["metric"]
    row, reported = rows[run_id], measurement["value"] is not None
    result = {**measurement, "row": run_id, "metric_record": None, "holds": None, "reason": ""}
    if row.label in ("failed", "stale"):
        return result | {"reason": row.values["notes"]}
    try:
        record = row.main if metric is None else by_name(row.metrics, metric, run_id)
    except LedgerError as error:
        return result | {"reason": str(error)}
    if record is None:  # a row in words: it can be a counterpart and hold no value
        reason = f"{run_id} has no main metric: name one in `metric`." if reported else ""
        return result | {"reason": reason}
    if record["estimate"] is None:  # a contrast that was declared and could not be made
        return result | {"reason": row.values["key_results"]}
    return result | {
        "metric": record["name"],
        "metric_record": dict(record),
        "holds": holds(measurement, record["estimate"]) if reported else None,
    }


def verdict(measured: Sequence[Mapping[str, Any]], rows: Sequence[Row]) -> tuple[str, str]:
    """The label of an entry, and the reason if it has no number; see the module's docstring."""
    for measurement in measured:
        if measurement["reason"]:
            row = next(row for row in rows if row.run_id == measurement["row"])
            label = row.label if row.label in ("failed", "stale") else "failed"
            return label, f"not run: {measurement['row']}: {measurement['reason']}"
    outcomes = {measurement["holds"] for measurement in measured} - {None}
    if not outcomes:
        return rows[0].label, ""
    return ("reproduced" if all(outcomes) else "not reproduced"), ""


def quoted(entry: Mapping[str, Any]) -> str:
    """The entry's author quoted, in one sentence."""
    if not entry["said"]:
        return entry["note"]
    when = f" of {entry['date']}" if entry["date"] else ""
    label = f" ({entry['label']})" if entry["label"] else ""
    return " ".join(filter(None, (f"Reference{when}: {entry['said']}{label}.", entry["note"])))


def section(current: Sequence[Row]) -> str:
    """Every entry with its measurements: the reported value, ours, and whether ours is within."""
    lines: list[tuple[str, ...]] = []
    for row in current:
        if ROW_TYPE not in row.facts:
            continue
        entry, measured = row.facts[ROW_TYPE]["entry"], row.facts[ROW_TYPE]["measurements"]
        first = (f"`{row.run_id}`", entry["label"], row.label)
        for measurement in measured:
            lines.append((*first, *_cells(measurement)))
            first = ("", "", "")
        for version in entry["history"]:
            text = f"{version['said']}: {version['reason']}"
            lines.append(("", SUPERSEDED, "", text, "", "", "", ""))
    if not lines:
        return ""
    header = ("id", "it said", "verdict", "measured by", "reported", "ours [95% CI]", "n", "within")
    return (
        "## The reference ledger, row by row\n\n"
        "Every row that somebody reported, and what this ledger measured in its place. "
        "*Reproduced* means that every reported value lies within its declared tolerance of ours; "
        "a row without a reported value is a counterpart and has our own verdict. *It said* is the "
        "author's own label; versions the author withdrew are listed below their successors.\n\n"
        + table(header, lines, (4, 5))
    )


def _cells(measurement: Mapping[str, Any]) -> tuple[str, ...]:
    """Measured by, reported, ours, its number of units, and whether the reported value holds."""
    metric = measurement["metric_record"]
    return (
        f"`{measurement['row']}`" + (f", {measurement['metric']}" if measurement["metric"] else ""),
        "" if measurement["value"] is None else _reported(measurement),
        interval(metric, digits=digits_for(metric)) if metric else "",
        count(metric)[2:] if metric and "n" in metric else "",
        {True: "yes", False: "no", None: ""}[measurement["holds"]],
    )


def _reported(measurement: Mapping[str, Any]) -> str:
    return f"{measurement['value']:g} ± {measurement['tolerance']:g}"


def _in_words(measurement: Mapping[str, Any]) -> str:
    """One measurement as a phrase: ours, the reported value, and whether it holds."""
    metric = measurement["metric_record"]
    if not metric:
        return f"{measurement['row']}: done"
    size = f" ({count(metric)})" if "n" in metric else ""
    text = f"{metric['name']} {interval(metric, digits=digits_for(metric))}{size}"
    if measurement["value"] is None:
        return text
    outcome = "holds" if measurement["holds"] else "does not hold"
    return f"{text}, reported {_reported(measurement)}: {outcome}"
