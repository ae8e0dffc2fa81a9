"""Coder specs: the runs that follow from the coders of a configuration.

An entry is an architecture at a site; a spec is that entry at one k and one seed, named
``<entry>-k<k>-s<seed>``. The recipe is the one under ``training``, with what the entry overrides.
An entry with a ``source`` comes trained: it is a single spec of the same name, and its publisher
chose its k, seed and recipe.
"""

import copy
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from latent_ledger.models.hook_points import CoderSite

RECIPE = (
    "batch_tokens",
    "optimizer",
    "learning_rate",
    "auxk_alpha",
    "dead_feature_threshold",
    "checkpoint_steps",
)
"""Keys of ``training`` that every spec of a coder shares, besides its width."""

FAIR = ("width", *RECIPE, "model", "weights", "source")
"""Keys of a coder in which compared coders must agree, besides k and seed."""

LEARNT_HERE = (*RECIPE, "weights", "k", "seeds")
"""Keys that say how a coder is trained, so that a pretrained one has none of them."""

PLACE = ("path", "revision", "format")
"""Keys that say where in its source a pretrained coder is, so that a trained one has none."""

ORIGINAL = "original"
"""Name of the model under study, beside its re-randomised controls and other published models."""

OF_ANY_MODEL = ("reconstruction",)
"""Evaluations that measure coders of other models too, each on tokens of its own model."""


@dataclass(frozen=True)
class CoderSpec:
    """One coder: architecture, site, size, seed, recipe, and which control it is, if any.

    `model` is the model it is trained on, and `base` the published model behind that, whose
    tokenizer its tokens are of. `weights` names the weights that are learnt (``trained``: all of
    them). A pretrained coder has a `source`, a hub id or a folder, and a `place` in it
    (:data:`PLACE`). Its k, seed and perhaps width are None, and it has no recipe.
    """

    name: str
    coder: str
    architecture: str
    site: CoderSite
    width: int | None
    k: int | None
    seed: int | None
    model: str
    weights: str
    recipe: dict[str, Any] = field(hash=False)
    base: str = ORIGINAL
    source: str | None = None
    place: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def control(self) -> bool:
        """Whether this coder is a control and not a contender."""
        return self.weights != "trained" or self.model != self.base

    @property
    def pretrained(self) -> bool:
        """Whether it was trained elsewhere."""
        return self.source is not None

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the job that trains or fetches it, in one flat dict."""
        settings = {"architecture": self.architecture, **self.site.as_dict(), "width": self.width}
        if self.pretrained:
            return {**settings, "source": self.source, **self.place}
        return {
            **settings,
            "k": self.k,
            "seed": self.seed,
            "weights": self.weights,
            "unit_scale": self.model != self.base,
            **self.recipe,
        }


def effective(config: Mapping[str, Any], coder: str, key: str) -> Any:
    """A recipe key of one coder: the entry's value, or for a trained one the common value."""
    entry = config["coders"][coder]
    common = {} if is_pretrained(entry) else config["training"]
    return entry.get(key, common.get(key))


def is_pretrained(entry: Mapping[str, Any]) -> bool:
    """Whether an entry under ``coders`` is fetched and not trained."""
    return entry.get("source") is not None


def base(config: Mapping[str, Any], model: str) -> str:
    """The published model behind `model`: itself, or the original of a re-randomised control."""
    return model if model in config["model"]["others"] else ORIGINAL


def base_block(config: Mapping[str, Any], model: str = ORIGINAL) -> Mapping[str, Any]:
    """The configuration of the published (or embedded) model behind `model`."""
    return config["model"]["others"].get(model, config["model"])


_LAST: list[tuple[Any, list[CoderSpec]]] = []
"""The last answer of :func:`coder_specs` and a copy of what it followed from: planning asks for the
coders of one configuration a hundred times, and a thousand of them take .03 s to make."""


def coder_specs(config: Mapping[str, Any]) -> list[CoderSpec]:
    """All coders of a validated configuration: coders as written, then k, then seed."""
    rests_on = [config["coders"], config["training"], config["model"]["others"]]
    if not _LAST or _LAST[0][0] != rests_on:
        _LAST[:] = [(copy.deepcopy(rests_on), _make_specs(config))]
    return list(_LAST[0][1])


def _make_specs(config: Mapping[str, Any]) -> list[CoderSpec]:
    specs = []
    for coder, entry in config["coders"].items():
        shared = {
            "coder": coder,
            "architecture": entry["architecture"],
            "site": CoderSite.at(entry["layer"], entry["input_hook"], entry["output_hook"]),
            "width": effective(config, coder, "width"),
            "model": entry["model"],
            "base": base(config, entry["model"]),
            "weights": entry["weights"],
        }
        if is_pretrained(entry):
            shared |= {"source": entry["source"], "place": {key: entry.get(key) for key in PLACE}}
            specs.append(CoderSpec(name=coder, k=None, seed=None, recipe={}, **shared))
            continue
        recipe = {key: effective(config, coder, key) for key in RECIPE}
        specs += [
            CoderSpec(name=f"{coder}-k{k}-s{seed}", k=k, seed=seed, recipe=recipe, **shared)
            for k in effective(config, coder, "k")
            for seed in effective(config, coder, "seeds")
        ]
    return specs


def coders_measured_by(config: Mapping[str, Any], evaluation: str) -> list[CoderSpec]:
    """Coders that an evaluation measures: all of them, or those its ``select`` names.

    Coders of other models are measured by the evaluations in :data:`OF_ANY_MODEL` only. Lists of k
    and of seeds choose among trained coders; a pretrained one has neither.
    """
    block = config["evaluations"].get(evaluation)
    if block is None:
        return []
    select = block["select"]
    return [
        spec
        for spec in coder_specs(config)
        if spec.coder in select.get("coders", [spec.coder])
        and _within(select, spec)
        and (spec.base == ORIGINAL or evaluation in OF_ANY_MODEL)
    ]


def _within(select: Mapping[str, Any], spec: CoderSpec) -> bool:
    """Whether the lists of k and seeds of a ``select`` include a coder."""
    return spec.pretrained or (
        spec.k in select.get("k", [spec.k]) and spec.seed in select.get("seeds", [spec.seed])
    )


def pairs(config: Mapping[str, Any], family: str) -> list[tuple[CoderSpec, CoderSpec]]:
    """The coders that meet in one comparison family, limited by its ``select``.

    Trained coders meet at equal k and seed; a pretrained one meets every coder. In the order of the
    family's pairs, then of the first coder's specs.
    """
    entry = config["comparisons"]["families"][family]
    by_coder: dict[str, list[CoderSpec]] = defaultdict(list)
    for spec in coder_specs(config):
        if _within(entry.get("select", {}), spec):
            by_coder[spec.coder].append(spec)
    return [
        (left, right)
        for first, second in entry["pairs"]
        for left, right in product(by_coder[first], by_coder[second])
        if left.pretrained or right.pretrained or (left.k, left.seed) == (right.k, right.seed)
    ]


def fair_fields(spec: CoderSpec) -> dict[str, Any]:
    """The fields of a coder in which a fair opponent agrees: :data:`FAIR`, k and seed.

    A pretrained coder has a source in the place of k, seed and recipe.
    """
    fields = {"width": spec.width, "model": spec.model, "weights": spec.weights}
    if spec.pretrained:
        return {**fields, "source": spec.source}
    return {**fields, "k": spec.k, "seed": spec.seed, **spec.recipe}


def unfair_fields(
    config: Mapping[str, Any], first: str, second: str
) -> Iterator[tuple[str, Any, Any]]:
    """The :data:`FAIR` keys in which two coders differ, each with the values of both."""
    # a difference in source stands for all recipe keys
    fetched = any(is_pretrained(config["coders"][name]) for name in (first, second))
    for key in FAIR:
        values = [effective(config, name, key) for name in (first, second)]
        if values[0] != values[1] and not (fetched and key in RECIPE):
            yield key, *values
