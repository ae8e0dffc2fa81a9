"""From the coders of a configuration to the instances that are trained and compared.

A coder is a kind at a site; an instance is that coder at one k and one seed, named
``<coder>-k<k>-s<seed>``. The recipe is the one under ``training``, with what the coder overrides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from latent_ledger.hooksites import HookSite, Tap

RECIPE = (
    "batch_tokens",
    "optimizer",
    "learning_rate",
    "auxk_alpha",
    "dead_feature_threshold",
    "checkpoint_steps",
)
"""Keys of ``training`` that every instance of a coder shares, besides its width."""

FAIR = ("width", "optimizer", "learning_rate", "auxk_alpha", "model", "weights")
"""Keys a coder may set for itself and in which compared coders must agree."""


@dataclass(frozen=True)
class CoderInstance:
    """One coder to train: kind, site, size, seed, recipe, and which control it is, if any.

    `model` is the model it is trained on (``original`` or a re-randomised one); `weights` says
    which of its weights are learnt (``trained``: all of them).
    """

    name: str
    coder: str
    kind: str
    site: HookSite
    width: int
    k: int
    seed: int
    model: str
    weights: str
    recipe: dict[str, Any] = field(hash=False)

    @property
    def control(self) -> bool:
        """Whether this coder is a control and not a contender."""
        return self.weights != "trained" or self.model != "original"

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the training job, in one flat dict."""
        return {
            "kind": self.kind,
            **self.site.as_dict(),
            "width": self.width,
            "k": self.k,
            "seed": self.seed,
            "weights": self.weights,
            "unit_scale": self.model != "original",
            **self.recipe,
        }


def effective(config: Mapping[str, Any], coder: str, key: str) -> Any:
    """A recipe key as it holds for one coder: its own value, or the common one."""
    return config["coders"][coder].get(key, config["training"].get(key))


def instances(config: Mapping[str, Any]) -> list[CoderInstance]:
    """All coder instances of a validated configuration: coders as written, then k, then seed."""
    return [
        CoderInstance(
            name=f"{coder}-k{k}-s{seed}",
            coder=coder,
            kind=entry["kind"],
            site=HookSite.at(entry["layer"], entry["reads"], entry["writes"]),
            width=effective(config, coder, "width"),
            k=k,
            seed=seed,
            model=entry["model"],
            weights=entry["weights"],
            recipe={key: effective(config, coder, key) for key in RECIPE},
        )
        for coder, entry in config["coders"].items()
        for k in effective(config, coder, "k")
        for seed in effective(config, coder, "seeds")
    ]


def chosen(config: Mapping[str, Any], evaluation: str) -> list[CoderInstance]:
    """Instances that an evaluation measures: all of them, or those its ``at`` names."""
    block = config["evaluations"].get(evaluation)
    if block is None:
        return []
    at = block["at"]
    return [
        one
        for one in instances(config)
        if one.coder in at.get("coders", [one.coder])
        and one.k in at.get("k", [one.k])
        and one.seed in at.get("seeds", [one.seed])
    ]


def taps(config: Mapping[str, Any]) -> list[Tap]:
    """Every distinct tap that some coder reads or writes, sorted."""
    return sorted({tap for instance in instances(config) for tap in instance.site.taps})


def pairs(config: Mapping[str, Any], family: str) -> list[tuple[CoderInstance, CoderInstance]]:
    """The instances that meet in one comparison family: equal k and seed, limited by its ``at``.

    In the order of the family's pairs, then of the first coder's instances.
    """
    entry = config["comparisons"]["families"][family]
    at = entry.get("at", {})
    every = {(one.coder, one.k, one.seed): one for one in instances(config)}
    return [
        (one, every[second, one.k, one.seed])
        for first, second in entry["pairs"]
        for one in every.values()
        if one.coder == first
        and (second, one.k, one.seed) in every
        and one.k in at.get("k", [one.k])
        and one.seed in at.get("seeds", [one.seed])
    ]


def unfair(one: CoderInstance, other: CoderInstance) -> list[str]:
    """Recipe keys in which two instances differ although a fair comparison holds them equal."""
    first, second = ({**each.settings, "model": each.model} for each in (one, other))
    return [key for key in FAIR if first[key] != second[key]]
