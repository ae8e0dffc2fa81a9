"""Costs of Sandboxes: rates with their date, one line per attempt, and a budget.

Modal bills a Sandbox per second for its GPUs, CPU cores and memory, as requested or, where that is
more, as used. The figures here are computed from the request.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from .errors import ModalError
from .task import Resources

TABLE = Path(__file__).with_name("prices.yaml")
PLAUSIBLE = 3.0
"""A workspace's rate further than this factor from the table's is misread, so not used."""


@dataclass(frozen=True)
class Prices:
    """USD per second, by GPU, per CPU core and per GiB of memory."""

    gpus: Mapping[str, float]
    cpu_core: float
    memory_gib: float
    date: str
    source: str

    @classmethod
    def read(cls, path: Path | None = None) -> Prices:
        """Read a price table, by default this package's; raises a ModalError if it is none."""
        path = path or TABLE
        try:
            table = yaml.safe_load(Path(path).read_text())
            rates = table["per_second"]
            return cls(
                {str(gpu): float(rate) for gpu, rate in rates["gpu"].items()},
                float(rates["cpu_core"]),
                float(rates["memory_gib"]),
                str(table["date"]),
                Path(path).name,
            )
        except OSError as error:
            raise ModalError(f"--modal-prices {path}: {error.strerror}.") from None
        except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
            raise ModalError(
                f"{path} is no price table ({type(error).__name__}: {error}); "
                f"compare it with {TABLE.name} of this package."
            ) from None

    def updated(self, hourly: Mapping[str, Decimal], today: str) -> Prices:
        """These prices with a workspace's rates (USD per unit and hour) where they are clear.

        The names of Modal's rates are not documented, so a rate is used only when its name has one
        reading and its value is near the table's.
        """
        rates = {_plain(name): float(rate) / 3600 for name, rate in hourly.items()}

        def rate_of(wanted: str, known: float, *marks: str) -> float:
            names = [n for n in rates if wanted in n and all(mark in n for mark in marks)]
            exact = [name for name in names if name.endswith(wanted)] or names
            near = {
                rates[name] for name in exact if 1 / PLAUSIBLE < rates[name] / known < PLAUSIBLE
            }
            return near.pop() if len(near) == 1 else known

        gpus = {gpu: rate_of(_plain(gpu), rate) for gpu, rate in self.gpus.items()}
        cpu = rate_of("cpu", self.cpu_core, "sandbox")
        memory = rate_of("memory", self.memory_gib, "sandbox")
        if (gpus, cpu, memory) == (self.gpus, self.cpu_core, self.memory_gib):
            return self
        return Prices(gpus, cpu, memory, today, "billing.rates")

    def per_second(self, resources: Resources) -> float | None:
        """USD per second of a Sandbox with these resources; None without a price for its GPU."""
        gpu = 0.0
        if resources.gpu:
            if resources.gpu not in self.gpus:
                return None
            gpu = resources.gpus * self.gpus[resources.gpu]
        memory = resources.memory_mib / 1024
        return gpu + resources.cores * self.cpu_core + memory * self.memory_gib

    def rates(self, resources: Resources) -> dict[str, Any]:
        """The rates used for these resources, with their date, for the record."""
        return {
            "gpu": self.gpus.get(resources.gpu) if resources.gpu else None,
            "cpu_core": self.cpu_core,
            "memory_gib": self.memory_gib,
            "date": self.date,
            "source": self.source,
        }


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


@dataclass(frozen=True)
class AttemptRecord:
    """One line of an attempts file: a Sandbox with its resources, cost and end."""

    run: str
    job: str
    attempt: int
    sandbox: str
    started: str
    seconds: float
    gpu: str
    gpus: int
    cores: float
    memory_mib: int
    rates: dict[str, Any]
    cost_usd: float | None
    outcome: str
    """"done" or "failed"."""
    cause: str = ""


def append(path: Path, record: AttemptRecord) -> None:
    """Add one JSON line to an attempts file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        stream.write(json.dumps(asdict(record), sort_keys=True) + "\n")


@dataclass
class Budget:
    """Dollars spent by this run, expected of its running Sandboxes, and allowed."""

    limit: float | None
    """USD; None without a limit."""
    prices: Prices
    spent: float = 0.0
    """USD of the Sandboxes that ended."""
    running: dict[Any, float] = field(default_factory=dict)
    """Attempt -> its estimated cost in USD."""

    def estimate(self, resources: Resources) -> float:
        """Expected cost of one job in USD; 0 where its GPU has no price (refused at the start)."""
        return (self.prices.per_second(resources) or 0.0) * resources.expected_seconds

    def refusal(self, attempt: Any, resources: Resources) -> str | None:
        """The reason, in one line, why this attempt must not start; None reserves its estimate."""
        cost = self.estimate(resources)
        under_way = sum(self.running.values())
        if self.limit is not None and self.spent + under_way + cost > self.limit:
            return (
                f"the budget of ${self.limit:.2f} would be exceeded (${self.spent:.2f} spent, "
                f"${under_way:.2f} running, ${cost:.2f} for this job): no further job is "
                "submitted. Raise --modal-budget-usd or `budget_usd` and run the same command again"
            )
        self.running[attempt] = cost
        return None

    def settle(self, attempt: Any, cost: float | None) -> None:
        """Replace an attempt's estimate by its cost in USD; None where it is unknown."""
        self.running.pop(attempt, None)
        self.spent += cost or 0.0

    def check_start(self, jobs: Iterable[Resources]) -> None:
        """Raise a ModalError when all jobs together are expected to cost more than the limit.

        Jobs without `expected_seconds` do not count here: their time limit would be no estimate.
        """
        if self.limit is None:
            return
        jobs = list(jobs)
        for resources in jobs:
            if self.prices.per_second(resources) is None:
                raise ModalError(
                    f"There is a budget, but no price for the GPU {resources.gpu}: copy "
                    f"{TABLE.name} of this package, add it, and name the copy with --modal-prices."
                )
        expected = [resources for resources in jobs if resources.expected is not None]
        total = sum(self.estimate(resources) for resources in expected)
        if total > self.limit:
            raise ModalError(
                f"{len(expected)} jobs are expected to cost ${total:.2f}, which is above the "
                f"budget of ${self.limit:.2f}: raise --modal-budget-usd or `budget_usd`, or ask "
                "for less."
            )
