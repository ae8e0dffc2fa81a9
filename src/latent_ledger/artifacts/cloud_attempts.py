"""Attempts of a job in a cloud: their cost, and the reason why the last one failed.

An attempts file lies beside a run record and has one JSON line per Sandbox, oldest first. It covers
what a record cannot: attempts that failed, the time a container needed to start, and ends at which
the job could no longer write a record (out of memory, lost worker, timeout).
"""

import json
from collections.abc import Mapping, Sequence
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any

from latent_ledger.lib.errors import LedgerError

Attempt = Mapping[str, Any]


def read(record: Path) -> list[Attempt]:
    """The attempts recorded beside a run record, oldest first; none where the job ran here."""
    path = Path(f"{record}.attempts.jsonl")
    if not path.exists():
        return []
    try:
        return [json.loads(line) for line in path.read_text().splitlines() if line]
    except ValueError as error:
        raise LedgerError(f"{path} is not readable ({error}): delete it and run again.") from None


def cost(record: Mapping[str, Any], attempts: Sequence[Attempt]) -> float:
    """USD of a record's run: its attempt and the failed ones directly before it.

    A record without an attempt (a local run, or one of another checkout) keeps its figure.
    """
    sandbox = record.get("sandbox")
    back = list(dropwhile(lambda attempt: attempt["sandbox"] != sandbox, reversed(attempts)))
    if not sandbox or not back:
        return record["cost_usd"]
    failed = takewhile(lambda attempt: attempt["outcome"] == "failed", back[1:])
    return sum(attempt["cost_usd"] or 0.0 for attempt in reversed([back[0], *failed]))


def failure(record: Mapping[str, Any], attempts: Sequence[Attempt]) -> dict[str, Any] | None:
    """A record of the last attempt, if it failed without leaving one; `record` may be older."""
    if not attempts or attempts[-1]["outcome"] != "failed":
        return None
    last = attempts[-1]
    newer = record.get("started", "") >= last["started"] and record.get("status") != "restored"
    if record.get("sandbox") == last["sandbox"] or (record and newer):
        return None
    return {
        "status": "failed",
        "reason": last["cause"],
        "sandbox": last["sandbox"],
        "started": last["started"] or record.get("started", ""),
        "seconds": last["seconds"],
        "device": last["gpu"] or "CPU",
        "threads": int(last["cores"]),
        "git_commit": record.get("git_commit", ""),
        "cost_usd": last["cost_usd"] or 0.0,
    }
