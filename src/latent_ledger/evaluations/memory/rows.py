"""Rows of the memory planner, and their section of the ledger."""

from collections.abc import Sequence
from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.evaluations.formatting import measured, titled_table
from latent_ledger.evaluations.memory.plan import NAME
from latent_ledger.planning.stage import Finding, RowPlan, metrics_of, named


def read(row: RowPlan, payload: Payload) -> Finding:
    """The scorer's need, then per GPU the reason why it fits or not."""
    metrics, facts = metrics_of(payload), payload.facts
    needed = named(metrics)["needed"]
    parts = [f"needs {needed['estimate']:.1f} GiB"]
    for why in facts["why"]:
        parts.append(f"{why['gpu']}, beside {facts['model']}: {why['beside']}")
        parts.append(f"{why['gpu']}, alone: {why['alone']}")
    return Finding("; ".join(parts), main=needed, metrics=metrics)


def section(current: Sequence[Any]) -> str:
    """The ledger's table of scorers and GPUs."""
    lines = []
    for row in measured(current, NAME):
        by = named(row.metrics)
        for gpu in (why["gpu"] for why in row.facts["why"]):
            beside, alone = (
                "fits" if by[f"fits_{place}_{gpu}"]["estimate"] else "does not fit"
                for place in ("beside_model", "alone")
            )
            lines.append(
                (
                    f"`{row.facts['scorer']}`",
                    gpu,
                    f"{by['needed']['estimate']:.1f}",
                    f"{by[f'total_{gpu}']['estimate']:.1f}",
                    f"{by[f'free_beside_model_{gpu}']['estimate']:.1f}, {beside}",
                    alone,
                )
            )
    return titled_table(
        "## Where does a scorer fit?\n\n"
        "Computed from the models' sizes before anything is started. Beside the model: one process "
        "keeps the model under study on the same GPU; alone: explaining and scoring are jobs of "
        "their own, as they are here.",
        ("scorer", "GPU", "needs, GiB", "of", "free beside the model, GiB", "alone"),
        lines,
        (2, 3),
    )
