"""The experiment that the tests of this folder make mistakes in, and how they make them."""

from __future__ import annotations

from latent_ledger.config.reading import read_yaml
from latent_ledger.experiment import ConfigError, validate
from tests.project import PROJECT

ROOT = PROJECT
TINY = ROOT / "config" / "tiny.yaml"
FULL = ROOT / "config" / "config.yaml"
MICRO = ROOT / "tests" / "workflow" / "micro.yaml"
REMOVED = object()
KINDS = ("sae-resid", "sae-mlp", "transcoder", "skip-transcoder")


def small() -> dict:
    """The shipped tiny experiment cut down to four coders, two seeds, two evaluations, and two
    families of which one compares unlike sites: what is added to the shipped one changes no test
    here."""
    raw = read_yaml(TINY)
    raw["model"].pop("randomised")
    raw["coders"] = {name: raw["coders"][name] for name in KINDS}
    for coder in raw["coders"].values():
        coder.pop("seeds", None)
    raw["training"]["seeds"] = [0, 1]
    raw["evaluations"] = {name: raw["evaluations"][name] for name in ("reconstruction", "probing")}
    families = raw["comparisons"]["families"]
    raw["comparisons"]["families"] = {
        name: {key: families[name][key] for key in ("metrics", "pairs")}
        for name in ("reconstruction", "probing")
    }
    raw["comparisons"]["families"]["reconstruction"]["pairs"].append(["sae-resid", "sae-mlp"])
    raw["comparisons"].pop("overview", None)
    raw.pop("references", None)
    return raw


def put(config: dict, path: str, value: object) -> dict:
    """Set (or remove) one dotted key; mappings on the way are made."""
    *parents, last = path.split(".")
    for key in parents:
        config = config.setdefault(key, {})
    if value is REMOVED:
        del config[last]
    else:
        config[last] = value
    return config


def lines(config: dict) -> list[str]:
    """The problems of a configuration, empty when there is none."""
    try:
        validate(config)
    except ConfigError as error:
        return error.lines
    return []
