"""Names of manifests, made in one place so that rules, plan and ledger cannot disagree.

A name is relative to the experiment's own folder, ``results/<experiment>/``: every experiment has
its manifests apart, and only ``results/ledger.md``, ``ledger.json`` and ``figures/`` are those of
the experiment that was asked for last. :func:`placed` puts a name there.

Tokens, activations, codes and gates are inputs of many jobs. Their names are instances of the
classes below, with their parts as fields, and the graph plans their jobs from these names alone.
A *dataset key* names a token set, followed by ``@`` and the model if it is not the original one.
"""

from typing import Any, Self

from latent_ledger.config.coder_specs import ORIGINAL
from latent_ledger.models.hook_points import HookPoint

RESULTS = "results"
CONCEPTS = "corpus/concepts.json"
LEDGER = (f"{RESULTS}/ledger.md", f"{RESULTS}/ledger.json")
FIGURES = f"{RESULTS}/figures"
"""The ledger of the experiment that was asked for, and its figures."""


def folder(experiment: str) -> str:
    """The folder of an experiment's manifests and records."""
    return f"{RESULTS}/{experiment}"


def placed(name: str, experiment: str) -> str:
    """A manifest's path: its name in its experiment's folder."""
    return f"{folder(experiment)}/{name}"


def on_model(name: str, model: str = ORIGINAL) -> str:
    """A token set or hook point with its model: ``probing`` or ``probing@rerandomised``."""
    return name if model == ORIGINAL else f"{name}@{model}"


class Shared(str):
    """The name of a manifest that many jobs take, with its parts as fields."""

    @classmethod
    def of(cls, text: str, *parts: Any) -> Self:
        """The name `text` with its parts, in the order of the fields."""
        name = super().__new__(cls, text)
        for field, part in zip(cls.__annotations__, parts, strict=True):
            setattr(name, field, part)
        return name

    def __getnewargs__(self) -> tuple:  # copies keep the fields
        return tuple(getattr(self, name) for name in type(self).__annotations__)


class Tokens(Shared):
    """One token set, cut by the tokenizer of a published model."""

    token_set: str
    base: str

    def __new__(cls, token_set: str, base: str = ORIGINAL) -> Self:
        return cls.of(f"tokens/{on_model(token_set, base)}.json", token_set, base)


class Activations(Shared):
    """One hook point's activations over one token set, by one model."""

    token_set: str
    hook_point: HookPoint
    model: str

    def __new__(cls, token_set: str, hook_point: HookPoint, model: str = ORIGINAL) -> Self:
        return cls.of(
            f"activations/{on_model(token_set, model)}/{hook_point}.json",
            token_set,
            hook_point,
            model,
        )


class Codes(Shared):
    """A coder's codes over one token set."""

    token_set: str
    coder: str

    def __new__(cls, token_set: str, coder: str) -> Self:
        return cls.of(f"codes/{token_set}/{coder}.json", token_set, coder)


class ReaderGate(Shared):
    """The gate that a coder's loader passes before any of its codes."""

    coder: str

    def __new__(cls, coder: str) -> Self:
        return cls.of(gate("reader", coder), coder)


class SaelensGate(Shared):
    """The gate that a coder's SAELens form passes before anything that takes it."""

    coder: str

    def __new__(cls, coder: str) -> Self:
        return cls.of(gate("saelens", coder), coder)


class NullsGate(Shared):
    """The gate that an evaluation's metrics pass at a hook point of a published model."""

    evaluation: str
    hook_point: HookPoint
    base: str

    def __new__(cls, evaluation: str, hook_point: HookPoint, base: str = ORIGINAL) -> Self:
        place = on_model(str(hook_point), base)
        return cls.of(gate("nulls", f"{evaluation}/{place}"), evaluation, hook_point, base)


def model(name: str = ORIGINAL) -> str:
    """The model under study, one of its re-randomised controls, or another published model."""
    return "model.json" if name == ORIGINAL else f"models/{name}.json"


def corpus(corpus_split: str) -> str:
    """One part of the corpus."""
    return f"corpus/{corpus_split}.json"


def corpus_slice(name: str) -> str:
    """The first documents of the corpus, for comparison with published measurements."""
    return f"corpus_slices/{name}.json"


def coder(name: str) -> str:
    """A trained or fetched coder."""
    return f"coders/{name}.json"


def evaluation(name: str, subject: str) -> str:
    """One evaluation of one coder (or of one comparison family)."""
    return f"{name}/{subject}.json"


def gate(name: str, subject: str) -> str:
    """One gate, for one coder or hook point."""
    return f"gates/{name}/{subject}.json"
