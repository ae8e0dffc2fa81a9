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
        (item.rule, item.name, item.gpu or "-", *_minutes_and_usd([item], prices)) for item in items
    ]
    return _table(("rule", "job", "GPU", "minutes", "USD"), lines, prices)


def by_rule(items: Sequence[Item], prices: Prices | None) -> str:
    """One line per rule and GPU, and the sum of all."""
    groups: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        groups.setdefault((item.rule, item.gpu or "-"), []).append(item)
    lines = [
        (*name, str(len(group)), *_minutes_and_usd(group, prices))
        for name, group in [*groups.items(), (("total", ""), items)]
    ]
    return _table(("rule", "GPU", "jobs", "minutes", "USD"), lines, prices)


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


def _minutes_and_usd(items: Sequence[Item], prices: Prices | None) -> tuple[str, str]:
    minutes = f"{sum(item.seconds for item in items) / 60:.1f}"
    return minutes, f"{total(items, prices):.2f}" if prices else ""


def _table(header: Sequence[str], lines: Iterable[Sequence[str]], prices: Prices | None) -> str:
    """Columns in plain text, numbers right-aligned; without prices no GPU and no USD."""
    columns = []
    for name, *cells in zip(header, *lines, strict=True):
        if prices or name not in ("GPU", "USD"):
            width = max(map(len, (name, *cells)))
            align = str.ljust if name in ("rule", "job", "GPU") else str.rjust
            columns.append([align(cell, width) for cell in (name, "-" * width, *cells)])
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))
