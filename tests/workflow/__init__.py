"""The workflow itself, run as a person runs it, on an experiment of seconds."""
