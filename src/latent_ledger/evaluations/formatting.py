"""Formatting of metrics as text and Markdown tables, the same in every row and section."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from latent_ledger.models.hook_points import HookPoint, HookPointName
from latent_ledger.planning.stage import Metric, named


def interval(metric: Metric, *, digits: int = 3, signed: bool = False) -> str:
    """An estimate with its 95% interval: ``0.713 [0.705, 0.721]``."""
    sign = "+" if signed else ""
    text = f"{metric['estimate']:{sign}.{digits}f}"
    if metric.get("ci"):
        low, high = metric["ci"]
        text += f" [{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"
    return text


def count(metric: Metric) -> str:
    """Number and unit behind an estimate: ``n=312 documents``."""
    plural = "" if metric["n"] == 1 else "s"
    return f"n={metric['n']:,} {metric['unit']}{plural}"


def share(metric: Metric) -> str:
    """A share as a percentage."""
    return f"{100 * metric['estimate']:.1f}%"


def digits_for(metric: Metric) -> int:
    """Decimals that show a difference: three, or four below 0.01."""
    low, high = metric.get("ci") or (metric["estimate"], metric["estimate"])
    return 3 if max(abs(low), abs(high)) >= 0.01 else 4


def hook_point_note(hook_point: str) -> str:
    """Caveat for a coder that does not read the residual stream, after a space; else empty."""
    point = HookPoint.parse(hook_point).point
    if point == HookPointName.RESID_POST:
        return ""
    return f" Input hook {point}; not comparable with SAEs on the residual."


def table(header: Sequence[str], lines: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """A Markdown table; columns in `right` are aligned to the right."""
    right_aligned = set(right)
    rule = ["---:" if index in right_aligned else "---" for index in range(len(header))]
    cells = [header, rule, *([_cell(cell) for cell in line] for line in lines)]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def _cell(text: str) -> str:
    return " ".join(str(text).replace("|", "\\|").split())


def titled_table(
    title: str, header: Sequence[str], lines: Sequence[Sequence[str]], right: Iterable[int]
) -> str:
    """A :func:`table` below its title and explanation; empty without lines."""
    return f"{title}\n\n{table(header, lines, right)}" if lines else ""


def measured(current: Sequence[Any], row_type: str) -> list[Any]:
    """The ledger's current rows of one type that carry numbers."""
    return [row for row in current if row.row_type == row_type and row.metrics]


def per_coder(
    current: Sequence[Any],
    row_type: str,
    title: str,
    columns: Mapping[str, Callable[[dict[str, Metric]], str]],
) -> str:
    """One table of all coders under one evaluation, below its title and explanation.

    The first coder belongs to the model under study. The name of another model stands beside its
    coders.
    """
    shown = measured(current, row_type)
    main_model = shown[0].values["model"] if shown else ""
    lines = [
        (
            f"`{row.run_id.partition('-')[2]}`"
            + ("" if row.values["model"] == main_model else f" (of {row.values['model']})"),
            *(cell(named(row.metrics)) for cell in columns.values()),
        )
        for row in shown
    ]
    return titled_table(title, ("coder", *columns), lines, range(1, 1 + len(columns)))
