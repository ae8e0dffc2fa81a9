"""Cost of the overview's jobs, in operations, bytes and seconds."""

from latent_ledger.resources.work import Cost, takes

COSTS = {"overview": Cost(takes(30))}
