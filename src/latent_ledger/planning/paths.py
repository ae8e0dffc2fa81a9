"""Paths below ``results/``, made in one place so that rules and ledger cannot disagree.

Everything here is the manifest of an artifact; payloads live in the store. ``<over>`` names what a
capture runs over: a token set, and after an ``@`` the model if it is not the original one.
"""

from __future__ import annotations

from latent_ledger.config.coder_specs import ORIGINAL
from latent_ledger.models.hook_points import HookPoint

CONCEPTS = "results/corpus/concepts.json"


def model(name: str = ORIGINAL) -> str:
    """The model under study, one of its re-randomised controls, or another published model."""
    return "results/model.json" if name == ORIGINAL else f"results/models/{name}.json"


def corpus(part: str) -> str:
    """One part of the corpus."""
    return f"results/corpus/{part}.json"


def corpus_slice(name: str) -> str:
    """The first documents of the corpus, as others measured on them."""
    return f"results/corpus_slices/{name}.json"


def tokens(split: str, base: str = ORIGINAL) -> str:
    """One token set, cut by the tokenizer of a published model."""
    return f"results/tokens/{over(split, base)}.json"


def over(split: str, model: str = ORIGINAL) -> str:
    """What is over a token set and of a model: ``probing`` or ``probing@rerandomised``."""
    return split if model == ORIGINAL else f"{split}@{model}"


def parts(over: str) -> tuple[str, str]:
    """The token set (or hook point) and the model that :func:`over` joined."""
    split, _, model = over.partition("@")
    return split, model or ORIGINAL


def activations(split: str, hook_point: HookPoint | str, model: str = ORIGINAL) -> str:
    """One hook point's activations over one token set."""
    return f"results/activations/{over(split, model)}/{hook_point}.json"


def coder(name: str) -> str:
    """A trained coder."""
    return f"results/coders/{name}.json"


def codes(split: str, name: str) -> str:
    """A coder's codes over one token set."""
    return f"results/codes/{split}/{name}.json"


def evaluation(name: str, of: str) -> str:
    """One evaluation of one coder (or of one comparison family)."""
    return f"results/{name}/{of}.json"


def gate(name: str, of: str) -> str:
    """One gate, for one coder or hook point."""
    return f"results/gates/{name}/{of}.json"
