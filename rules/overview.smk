"""Overview: interpretability against loss recovered, the sweep over k, and seeds."""
