"""Cost of causal edge jobs: operations, bytes and seconds."""

from latent_ledger.resources.memory import resident
from latent_ledger.resources.work import GIB, MB, Cost, Planned, Work


def _edges(job: Planned) -> Work:
    settings = job.settings
    batches = settings["pairs"] / settings["batch"]
    backward = batches * (settings["steps"] + settings["edge_steps"] * settings["top_nodes"])
    ablated = batches * (settings["top_edges"] + settings["random_edges"] + settings["top_nodes"])
    circuits = batches * len(settings["sizes"]) * (2 + settings["draws"]) * 2
    passes = (3 * backward + ablated + circuits) * len(job.coders)
    tokens = 12 * settings["batch"]  # a minimal pair is a short sentence
    coders = sum(8.0 * job.d * (spec.width or 16_384) for spec in job.coders)
    return Work(
        exact=passes * tokens * job.model.operations(),
        disk=2 * job.weights + coders,
        steps=passes,
        weights=4.0 * job.model.parameters,
        seconds=10,
        gpu_gib=resident(job.model, "float32") + (2 * coders) / GIB + 2,
        host_mb=4.0 * job.model.parameters / MB,
    )


COSTS = {"edges": Cost(_edges, gpu=True, mem_mb=4_000)}
