"""The way to a row in a configuration's graph, for tests of what a row rests on."""

from latent_ledger.planning import graph


def way(row, config) -> list[str]:
    """Everything the row's number rests on, inputs before their job."""
    return graph.manifests_behind(row, graph.jobs(config))
