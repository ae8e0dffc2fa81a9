"""Causes: the reason why a Sandbox ended or never began, in one line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OUT_OF_MEMORY = "out-of-memory"
TIMEOUT = "timeout"
LOST = "lost"
FAILED = "failed"
REFUSED = "refused"
BUDGET = "budget"

KILLED = 137
TIMED_OUT = 124
NOT_COMMITTED = 74

GPU_MEMORY = re.compile(r"CUDA out of memory|OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED")
HOST_MEMORY = re.compile(
    r"\bMemoryError\b|std::bad_alloc|Cannot allocate memory|[Oo]ut of memory|oom-kill"
)
NOT_MADE = re.compile(r"^(.+) \(missing locally", re.MULTILINE)
NOISE = re.compile(
    r"^(\[|Error in (rule|group)|RuleException|Building DAG|Using shell|Provided |Rules claiming|"
    r"Select jobs|Execute |host:|Job stats|job +count|-+ |total |"
    r"localrule|rule |checkpoint |group |    |Exiting|Shutting down|Complete log|Trying to restart|"
    r"WorkflowError|Assuming|Removing|Storing output|Elapsed time|SNAKEMAKE|=+$|"
    r"At least one job|Finished jobid|\d+ of \d+ steps|Will exit|Logfile )"
)


@dataclass(frozen=True)
class Cause:
    """The reason for an end."""

    kind: str
    """:data:`OUT_OF_MEMORY`, :data:`TIMEOUT` and the like."""
    line: str
    """For a person, without a full stop."""


def cause_of_end(
    code: int,
    *,
    timed_out: bool,
    terminated: bool,
    marker: Mapping[str, Any] | None,
    log: str,
    limits: Mapping[str, Any],
) -> Cause | None:
    """The cause of an ended Sandbox; None if it ended well: exit code 0 and a complete marker.

    `marker` is that of the result archive, None without a whole archive. `limits` holds the job's
    `minutes` and `memory_mib`.
    """
    minutes, memory = limits["minutes"], limits["memory_mib"]
    if timed_out or code == TIMED_OUT or (marker or {}).get("late"):
        return Cause(TIMEOUT, f"timed out after {minutes} minutes: give the rule more `runtime`")
    if terminated:
        return Cause(LOST, "its Sandbox was terminated from outside or evicted")
    if marker is None:
        if code == 0:
            return Cause(LOST, "its Sandbox ended without a result: the worker was lost")
        if code == KILLED:
            return _memory(memory)
        if code == NOT_COMMITTED:
            return Cause(LOST, "its results could not be committed to the Volume")
        if HOST_MEMORY.search(log):
            return _memory(memory)
        return Cause(LOST, f"its container ended with exit code {code} before the job could report")
    if code == 0 and not marker["absent"]:
        return None
    if code == 0:
        return Cause(FAILED, f"the output {marker['absent'][0]} was not made")
    if code == NOT_COMMITTED and marker["exit"] != NOT_COMMITTED:
        return Cause(LOST, "its results could not be committed to the Volume")
    if "MissingOutputException" in log and (missing := NOT_MADE.search(log)):
        return Cause(FAILED, f"it ended well, but did not make {missing[1]}")
    last = last_line(log)
    if GPU_MEMORY.search(log):
        return Cause(FAILED, f"out of GPU memory: give the rule a larger `gpu_model` ({last})")
    if HOST_MEMORY.search(log) or code == KILLED:
        return _memory(memory, last)
    return Cause(FAILED, last or f"exit code {code}")


def _memory(memory_mib: int, last: str = "") -> Cause:
    end = f" ({last})" if last else ""
    return Cause(OUT_OF_MEMORY, f"out of memory with mem_mb={memory_mib}{end}")


def cause_of_creation(error: BaseException) -> Cause:
    """The cause for which a Sandbox was never created, from Modal's exception."""
    import modal

    message = " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
    if isinstance(error, modal.exception.ImageBuildError):
        return Cause(REFUSED, f"its image could not be built: {message} (log: {_image_log(error)})")
    if isinstance(error, modal.exception.ResourceExhaustedError):
        return Cause(LOST, f"Modal had no capacity for it: {message}")
    if isinstance(error, modal.exception.ConflictError):
        return Cause(LOST, f"its Sandbox ended before it was scheduled: {message}")
    if isinstance(error, modal.exception.InvalidError):
        return Cause(REFUSED, f"Modal refused its Sandbox: {message}")
    if isinstance(error, modal.exception.Error):
        return Cause(LOST, f"its Sandbox could not be created: {type(error).__name__}: {message}")
    return Cause(REFUSED, f"it could not be submitted: {type(error).__name__}: {message}")


def _image_log(error: Any) -> str:
    return f"modal image logs {error.image_id}"


def last_line(log: str, longest: int = 300) -> str:
    """The last line of a job before Snakemake's report of its failure, at most `longest` long."""
    last = ""
    for line in log.splitlines():
        if line.startswith(("Error in rule", "Error in group", "RuleException")):
            break
        if line.strip() and not NOISE.match(line):
            last = line.strip()
    return last[:longest]
