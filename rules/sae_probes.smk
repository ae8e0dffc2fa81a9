"""sae_probes: the primary probing benchmark, over many labelled data sets."""
