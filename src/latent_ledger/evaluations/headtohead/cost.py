"""Cost of the head-to-head jobs, in operations, bytes and seconds."""

from latent_ledger.resources.work import Cost, Work

COSTS = {"headtohead": Cost(lambda job: Work(seconds=20))}
