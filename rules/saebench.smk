"""SAEBench: its own sparse probing and core metrics, through a checked adapter."""
