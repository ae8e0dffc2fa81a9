"""delphi's own prompts, read from its installed files without importing the package.

Importing delphi takes seconds and drags vLLM in; its prompts are plain modules. The two functions
that put examples together are methods there, and are repeated here in their own words.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import util
from pathlib import Path
from types import ModuleType

import numpy as np

FOLDER = Path(util.find_spec("delphi").origin).parent
Turns = list[dict[str, str]]


def _module(path: str) -> ModuleType:
    spec = util.spec_from_file_location(Path(path).stem, FOLDER / path)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXPLAINER = _module("explainers/default/prompts.py")
DETECTION = _module("scorers/classifier/prompts/detection_prompt.py")
FUZZING = _module("scorers/classifier/prompts/fuzz_prompt.py")
INTRUDER = _module("scorers/classifier/prompts/intruder_prompt.py")


def highlight(tokens: Sequence[str], marked: Sequence[bool]) -> str:
    """Runs of marked tokens between << and >>, as delphi's `_highlight` writes them."""
    text, inside = "", False
    for token, mark in zip(tokens, marked, strict=True):
        text += "<<" * (mark and not inside) + ">>" * (inside and not mark) + token
        inside = bool(mark)
    return text + ">>" * inside


def explainer(
    examples: Sequence[tuple[Sequence[str], Sequence[float]]],
    *,
    activations: bool = True,
    cot: bool = False,
) -> Turns:
    """DefaultExplainer's prompt for examples of (tokens, activations)."""
    lines = []
    for tokens, values in examples:
        marked = np.asarray(values) > 0.3 * np.max(values)
        lines.append(highlight(tokens, marked))
        shown = [(tokens[index], values[index]) for index in np.flatnonzero(marked)]
        if activations:
            entries = [f'("{token}" : {int(value)}), ' for token, value in shown]
            lines.append("Activations: " + "".join(entries))
    turns = EXPLAINER.system(cot=cot)
    for number in (1, 2, 3):
        prompt, response = EXPLAINER.example(number, activations=activations, cot=cot)
        turns += [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
    return [*turns, {"role": "user", "content": "\n" + "\n".join(lines) + "\n"}]


def contrastive(shown: Sequence[str], counterexamples: Sequence[str]) -> Turns:
    """ContrastiveExplainer's prompt, without its lines of activations."""
    lines = ["ACTIVATING EXAMPLES:"]
    lines += [f"Example {number}:  {text}" for number, text in enumerate(shown, 1)]
    lines += ["\nNON-ACTIVATING EXAMPLES:"]
    lines += [f"Example {number}:  {text}" for number, text in enumerate(counterexamples, 1)]
    return [*EXPLAINER.system_contrastive(), {"role": "user", "content": "\n".join(lines)}]


def detection(explanation: str, texts: Sequence[str]) -> Turns:
    """DetectionScorer's prompt."""
    return DETECTION.prompt(_numbered(texts, ": "), explanation)


def fuzzing(explanation: str, texts: Sequence[str]) -> Turns:
    """FuzzingScorer's prompt."""
    return FUZZING.prompt(_numbered(texts, ": "), explanation)


def intruder(texts: Sequence[str], *, cot: bool = False) -> Turns:
    """IntruderScorer's prompt."""
    return INTRUDER.prompt(_numbered(texts, ":"), cot=cot)


def _numbered(texts: Sequence[str], sign: str) -> str:
    return "\n".join(f"Example {number}{sign}{text}" for number, text in enumerate(texts))
