"""Values somebody reported, row by row: what we measure in their place, and whether it is the same.

An entry under ``references`` is keyed by the run id that its author gave it. It names measurements:
a row of this ledger, a metric of it, and (if a number was reported) the value and how near counts
as the same. Its verdict is computed::

    a measured row has no number             failed (or stale), with that row's reason
    no measurement has a reported value      the verdict of the first measured row: a counterpart
    every reported value is within reach     reproduced
    one of them is not                       not reproduced

What the author concluded stands beside it and decides nothing: an inconclusive result that comes
out the same is *reproduced*. If the entry's id is a row of this ledger, that row gets the verdict;
otherwise the entry becomes a row of its own. Earlier versions of an entry (its ``history``) are
rows marked superseded: what was reported then, and why it no longer stands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from latent_ledger.evaluations.formatting import count, digits_for, interval, table
from latent_ledger.ledger.row import Row, make_row
from latent_ledger.ledger.verdicts import Reference
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import digest_json
from latent_ledger.planning.stage import by_name

KIND = "reference"
SUPERSEDED = "superseded"


def apply(references: Mapping[str, Any], rows: Sequence[Row]) -> list[Row]:
    """The ledger's rows with every reference judged: entries of their own first, in order.

    `rows` are the current rows of the ledger. Equal input gives equal rows.
    """
    current = {row.run_id: row for row in rows}
    own: list[Row] = []
    for name, entry in references.items():
        judged = judge(name, entry, current)
        if name in current:
            current[name] = judged
        else:
            own.append(judged)
    return own + list(current.values())


def earlier(name: str, entry: Mapping[str, Any]) -> list[Row]:
    """The entry's own earlier versions, newest first, as superseded rows."""
    found = []
    for version in reversed(entry["history"]):
        values = {
            "date": version["date"],
            "key_results": f"reference: {version['said']}",
            "label": SUPERSEDED,
            "notes": f"Superseded by its author: {version['reason']}",
        }
        found.append(make_row(name, KIND, values))
    return found


def judge(name: str, entry: Mapping[str, Any], rows: Mapping[str, Row]) -> Row:
    """The row of one entry: its verdict, its measurements in words, and the columns of its rows."""
    measured = [measure(name, one, rows) for one in entry["measurements"]]
    sources = list({one["row"]: rows[one["row"]] for one in measured}.values())
    label, reason = verdict(measured, sources)
    facts = {"measurements": measured, "entry": dict(entry)}
    if name in rows:
        row = rows[name]
        notes = " ".join(filter(None, (row.values["notes"], said(entry))))
        values = {**row.values, "label": label, "notes": notes}
        return dataclasses.replace(row, values=values, facts={**row.facts, KIND: facts})
    columns = {key: _shared(row.values[key] for row in sources) for key in sources[0].values}
    listed = ", ".join(f"`{row.run_id}`" for row in sources)
    key = digest_json([dict(entry), [row.key for row in sources]]) if not reason else ""
    values = {
        **columns,
        "config_hash": key[:12],
        "coder_type": f"reference: {columns['coder_type']}",
        "key_results": "" if reason else "; ".join(map(_in_words, measured)),
        "label": label,
        "notes": f"{reason or said(entry)} Measured by {listed}.".strip(),
    }
    row = make_row(name, KIND, values)
    closure = {path: made for one in sources for path, made in one.closure.items()}
    return dataclasses.replace(
        row,
        metrics=[one["metric_record"] for one in measured if one["metric_record"]],
        key=key,
        closure=closure if key else {},
        facts={KIND: facts},
    )


def measure(name: str, one: Mapping[str, Any], rows: Mapping[str, Row]) -> dict[str, Any]:
    """One measurement with our number, or with the reason why there is none.

    Keys: row, metric, value and tolerance (None: nothing was reported), metric_record (ours, or
    None), holds (None: nothing to hold), reason (empty: there is a number).
    """
    run_id = one["row"] or name
    row = rows[run_id]
    found: dict[str, Any] = {
        "row": run_id,
        "metric": one["metric"],
        "value": one["value"],
        "tolerance": one["tolerance"],
        "metric_record": None,
        "holds": None,
        "reason": "",
    }
    if row.label in ("failed", "stale"):
        return found | {"reason": row.values["notes"]}
    try:
        record = row.main if one["metric"] is None else by_name(row.metrics, one["metric"], run_id)
    except LedgerError as error:
        return found | {"reason": str(error)}
    if record is None:
        return found
    if record["estimate"] is None:  # a contrast that was declared and could not be made
        return found | {"reason": row.values["key_results"]}
    found |= {"metric": record["name"], "metric_record": dict(record)}
    if one["value"] is not None:
        found["holds"] = Reference(one["value"], one["tolerance"]).holds(record["estimate"])
    return found


def verdict(measured: Sequence[Mapping[str, Any]], rows: Sequence[Row]) -> tuple[str, str]:
    """The label of an entry, and the reason if it has no number; see the module's docstring."""
    for one in measured:
        if one["reason"]:
            row = next(row for row in rows if row.run_id == one["row"])
            label = row.label if row.label in ("failed", "stale") else "failed"
            return label, f"not run: {one['row']}: {one['reason']}"
    held = [one["holds"] for one in measured if one["holds"] is not None]
    if not held:
        return rows[0].label, ""
    return ("reproduced" if all(held) else "not reproduced"), ""


def said(entry: Mapping[str, Any]) -> str:
    """What the entry's author wrote, in one sentence."""
    if not entry["said"]:
        return entry["note"]
    when = f" of {entry['date']}" if entry["date"] else ""
    label = f" ({entry['label']})" if entry["label"] else ""
    return " ".join(filter(None, (f"Reference{when}: {entry['said']}{label}.", entry["note"])))


def section(current: Sequence[Row]) -> str:
    """Every entry with its measurements: the reported value, ours, and what follows."""
    lines = []
    for row in current:
        facts = row.facts.get(KIND)
        if not facts:
            continue
        first = (f"`{row.run_id}`", facts["entry"]["label"], row.label)
        for one in facts["measurements"]:
            ours = one["metric_record"]
            lines.append(
                (
                    *first,
                    f"`{one['row']}`" + (f", {one['metric']}" if one["metric"] else ""),
                    _reported(one),
                    interval(ours, digits=digits_for(ours)) if ours else "",
                    count(ours)[2:] if ours and "n" in ours else "",
                    {True: "yes", False: "no", None: ""}[one["holds"]],
                )
            )
            first = ("", "", "")
        for version in facts["entry"]["history"]:
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


def _reported(one: Mapping[str, Any]) -> str:
    return "" if one["value"] is None else f"{one['value']:g} ± {one['tolerance']:g}"


def _in_words(one: Mapping[str, Any]) -> str:
    """One measurement as a phrase: ours, the reported value, and whether it holds."""
    ours = one["metric_record"]
    if not ours:
        return f"{one['row']}: done"
    size = f" ({count(ours)})" if "n" in ours else ""
    text = f"{ours['name']} {interval(ours, digits=digits_for(ours))}{size}"
    if one["value"] is None:
        return text
    return f"{text}, reported {_reported(one)}: {'holds' if one['holds'] else 'does not hold'}"


def _shared(texts: Any) -> str:
    """A column of several rows: one text where they agree, else all of them."""
    return " + ".join(dict.fromkeys(text for text in texts if text))
