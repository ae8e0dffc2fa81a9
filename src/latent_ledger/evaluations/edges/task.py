"""Minimal pairs of the task, whose answer is one token.

    context + subject A + link --> answer a        "I think" + " it"   + " never" --> " was"
    context + subject B + link --> answer b        "I think" + " they" + " never" --> " were"

A pair is used in both directions, each prompt once clean and once corrupted, so that a bias towards
one answer cancels. Under the model's own tokenizer an answer has to lengthen its prompt by exactly
one token, and the prompts of a pair to have equally many. What fails is counted by reason.

The contexts are dealt to two halves, *attribution* and *evaluation*, so that no graph is measured
on a context of its attribution.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from latent_ledger.lib.errors import LedgerError
from latent_ledger.text.tokens import encode, special_ids

HALVES = ("attribution", "evaluation")
SMALLEST = 2
"""Pairs that a half needs at least: a bootstrap over one unit has no spread."""


@dataclass(frozen=True)
class Pair:
    """Two prompts of equal length (token ids with BOS) and the answer (token id) of each."""

    texts: tuple[str, str]
    answers: tuple[str, str]
    prompts: tuple[tuple[int, ...], tuple[int, ...]]
    answer_ids: tuple[int, int]


@dataclass(frozen=True)
class Batch:
    """Prompts in both directions: rows ``2 i`` and ``2 i + 1`` are pair `i`, right padded.

    `clean` and `corrupted` [rows, position], `last` [rows] the position that answers, `right` and
    `wrong` [rows] token ids. Attention is causal, so no position sees the padding behind it.
    """

    clean: torch.Tensor
    corrupted: torch.Tensor
    last: torch.Tensor
    right: torch.Tensor
    wrong: torch.Tensor

    def __len__(self) -> int:
        return len(self.clean)


def make_pairs(
    settings: Mapping[str, Any], tokenizer: Any, pairs: int, seed: int
) -> tuple[dict[str, list[Pair]], dict[str, int]]:
    """Draw `pairs` minimal pairs, half of them for each of :data:`HALVES`.

    `settings`: contexts, subjects (list of two), links, answers (list of two). Returns the pairs by
    half and how many candidates were left out, by reason. A half with fewer usable candidates than
    wanted takes them all; raises :class:`LedgerError` below :data:`SMALLEST`.
    """
    rng = np.random.default_rng(seed)
    contexts = [settings["contexts"][i] for i in rng.permutation(len(settings["contexts"]))]
    dropped: Counter[str] = Counter()
    halves: dict[str, list[Pair]] = {}
    for number, half in enumerate(HALVES):
        parts = settings["subjects"], settings["links"], settings["answers"]
        templates = product(contexts[number::2], *parts)
        candidates = [_pair(tokenizer, *template) for template in templates]
        usable = [pair for pair in candidates if isinstance(pair, Pair)]
        dropped.update(reason for reason in candidates if isinstance(reason, str))
        if len(usable) < SMALLEST:
            reasons = "; ".join(f"{count} {reason}" for reason, count in sorted(dropped.items()))
            raise LedgerError(
                f"evaluations.edges.task gives {len(usable)} usable pairs for {half} ({reasons}): "
                "choose answers that are one token of the model's tokenizer, or more contexts."
            )
        drawn = rng.permutation(len(usable))[: pairs // 2]
        halves[half] = [usable[index] for index in sorted(drawn)]
    return halves, dict(sorted(dropped.items()))


def _pair(
    tokenizer: Any, context: str, subjects: Sequence[str], link: str, answers: Sequence[str]
) -> Pair | str:
    """The pair of one template, or the reason why it cannot be used."""
    texts = [context + subject + link for subject in subjects]
    ids = [row.tolist() for row in encode(tokenizer, texts)]
    if len(ids[0]) != len(ids[1]):
        return "prompts of unequal length"
    if ids[0] == ids[1]:
        return "prompts that are equal"
    tails = []
    for text, prompt in zip(texts, ids, strict=True):
        for row in encode(tokenizer, [text + answer for answer in answers]):
            answered = row.tolist()
            if answered[:-1] != prompt:
                return "answers that are not one token"
            tails.append(answered[-1])
    right, wrong = tails[:2]
    if right == wrong or tails[2:] != [right, wrong]:
        return "answers that are equal or change with the prompt"
    bos = special_ids(tokenizer)[0]
    first, second = ((bos, *row) for row in ids)
    return Pair((texts[0], texts[1]), (answers[0], answers[1]), (first, second), (right, wrong))


def batches(
    pairs: Sequence[Pair], size: int, pad: int, device: str | torch.device = "cpu"
) -> Iterator[Batch]:
    """The pairs in order as batches of at most `size` rows (at least one pair)."""
    step = max(1, size // 2)
    for low in range(0, len(pairs), step):
        members = pairs[low : low + step]
        prompts = [torch.tensor(prompt) for pair in members for prompt in pair.prompts]
        answers = [answer for pair in members for answer in pair.answer_ids]
        clean = pad_sequence(prompts, batch_first=True, padding_value=pad).to(device)
        last = torch.tensor([len(prompt) - 1 for prompt in prompts], device=device)
        right = torch.tensor(answers, device=device)
        other = torch.arange(len(clean), device=device) ^ 1  # the row of the other direction
        yield Batch(clean, clean[other], last, right, right[other])
