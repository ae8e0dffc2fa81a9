"""Table of a dry run: every job with its GPU, minutes and dollars, and the total."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from latent_ledger.resources.prices import Prices

ERROR = "within a factor of 2"


@dataclass(frozen=True)
class Item:
    """One job that will run, with the resources it requests."""

    rule: str
    name: str
    """Which of the rule's jobs."""
    seconds: float
    gpu: str | None = None
    gpus: int = 0
    cores: int = 1
    mem_mb: float = 0.0

    def cost(self, prices: Prices) -> float:
        """USD."""
        return prices.cost(self.seconds, self.gpu, self.gpus, self.cores, self.mem_mb)


def total(items: Iterable[Item], prices: Prices) -> float:
    """USD of all jobs."""
    return sum(item.cost(prices) for item in items)


def by_job(items: Sequence[Item], prices: Prices | None) -> str:
    """One line per job; without prices, minutes only."""
    lines = [
        (item.rule, item.name, *_where(item.gpu, prices), *_sums([item], prices)) for item in items
    ]
    return _table(("rule", "job", *_head(prices)), lines, text=3 if prices else 2)


def by_rule(items: Sequence[Item], prices: Prices | None) -> str:
    """One line per rule and GPU, and the sum of all."""
    groups: dict[tuple[str, str | None], list[Item]] = {}
    for item in items:
        groups.setdefault((item.rule, item.gpu), []).append(item)
    lines = [
        (rule, *_where(gpu, prices), str(len(group)), *_sums(group, prices))
        for (rule, gpu), group in groups.items()
    ]
    lines.append(("total", *_where("", prices), str(len(items)), *_sums(items, prices)))
    head = _head(prices)
    return _table(
        ("rule", *head[:-2], "jobs", *head[-2:]) if prices else ("rule", "jobs", *head),
        lines,
        text=2 if prices else 1,
    )


def summary(items: Sequence[Item], prices: Prices | None) -> str:
    """All jobs in one sentence."""
    hours = sum(item.seconds for item in items) / 3600
    text = f"{len(items)} jobs are expected to take {hours:.1f} hours, one after the other"
    if prices is None:
        return f"{text} ({ERROR})."
    on_gpu = sum(item.seconds for item in items if item.gpus) / 3600
    return (
        f"{text}, {on_gpu:.1f} of them on a GPU, and cost ${total(items, prices):.2f} at the "
        f"prices of {prices.date} ({ERROR})."
    )


def refusal(items: Sequence[Item], prices: Prices, budget: float) -> str | None:
    """Why these jobs must not start under a budget in USD; None if they may."""
    expected = total(items, prices)
    if expected <= budget:
        return None
    return (
        f"budget_usd is ${budget:.2f}, and {len(items)} jobs are expected to cost ${expected:.2f} "
        f"at the prices of {prices.date} ({ERROR}): raise it, or ask for less (snakemake -n "
        "lists every job's cost)."
    )


def _head(prices: Prices | None) -> tuple[str, ...]:
    return ("GPU", "minutes", "USD") if prices else ("minutes",)


def _where(gpu: str | None, prices: Prices | None) -> tuple[str, ...]:
    return ("-" if gpu is None else gpu,) if prices else ()


def _sums(items: Sequence[Item], prices: Prices | None) -> tuple[str, ...]:
    minutes = f"{sum(item.seconds for item in items) / 60:.1f}"
    return (minutes, f"{total(items, prices):.2f}") if prices else (minutes,)


def _table(header: Sequence[str], lines: Sequence[Sequence[str]], text: int) -> str:
    """Columns in plain text, the first `text` of them left-aligned."""
    rows = [header, *lines]
    widths = [max(len(row[index]) for row in rows) for index in range(len(header))]
    out = []
    for row in rows:
        cells = [
            cell.ljust(width) if index < text else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        out.append("  ".join(cells).rstrip())
    out.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(out)
