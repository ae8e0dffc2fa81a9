"""Cost of the overview's jobs, in operations, bytes and seconds."""

from __future__ import annotations

from latent_ledger.resources.work import (
    Cost,
    takes,
)

COSTS = {
    "overview": Cost(takes(30)),
}
