"""Cost of the memory planner's jobs, in operations, bytes and seconds."""

from latent_ledger.resources.work import Cost, takes

COSTS = {"memory_plan": Cost(takes(1), mem_mb=1_000)}
