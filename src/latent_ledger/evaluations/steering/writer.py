"""Writer of steered texts: every cell of one prompt, sampled and read in batches.

All cells of a generation (arms and coefficients, the unsteered one among them) share a batch and
its noise; the streams are named by purpose and index, so the batch size changes no text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from latent_ledger.evaluations.reconstruction.splicing import check_live
from latent_ledger.evaluations.steering import generate
from latent_ledger.lib.errors import LedgerError
from latent_ledger.models import hooks, language_model
from latent_ledger.models.device import best_device
from latent_ledger.models.hook_points import HookPoint
from latent_ledger.models.shards import ActivationShards
from latent_ledger.text.tokenizer import load_tokenizer
from latent_ledger.text.tokens import encode

CHECKED = 8
"""Labelled examples on which the live model is compared with the stored activations."""


@dataclass(frozen=True)
class Writer:
    """A model that is steered at `output_hook` and read by the judge at `judged`.

    `never`: token ids that it may not sample. `settings`: those of the evaluation.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    output_hook: HookPoint
    judged: HookPoint
    meta: Mapping[str, Any]
    settings: Mapping[str, Any]

    @classmethod
    def load(
        cls,
        settings: Mapping[str, Any],
        folder: Path,
        meta: Mapping[str, Any],
        output_hook: ActivationShards,
        judged: ActivationShards,
    ) -> Writer:
        """The model in `folder`, at two captures' hook points; `meta` is their token set's."""
        device = best_device()
        model = language_model.load_model(folder, settings["model_dtype"], device)
        return cls(
            model,
            load_tokenizer(folder),
            HookPoint.parse(output_hook.hook_point),
            HookPoint.parse(judged.hook_point),
            meta,
            settings,
        )

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return next(self.model.parameters()).device

    @property
    def never(self) -> list[int]:
        """Token ids that are not sampled: special ones, and logits without a token."""
        special = {self.meta[name] for name in ("bos_id", "eos_id", "pad_id")}
        vocabulary = self.model.config.get_text_config().vocab_size
        return sorted(special | set(range(self.meta["vocab_size"], vocabulary)))

    def check(self, tokens: Path, *captures: ActivationShards) -> None:
        """Raise :class:`GateError` unless the model computes the stored activations."""
        arrays = load_file(Path(tokens) / "tokens.safetensors")
        ids = arrays["input_ids"][:CHECKED].long().to(self.device)
        is_text = arrays["doc_ids"][:CHECKED] >= 0
        for capture in captures:
            hook_point = HookPoint.parse(capture.hook_point)
            live = hooks.read(self.model, ids, [hook_point])[hook_point].cpu()
            check_live(live[is_text], capture, CHECKED)

    def prompt(self, text: str) -> list[int]:
        """Token ids of a prompt, BOS first. Raises :class:`LedgerError` if it is too long."""
        ids = [self.meta["bos_id"], *encode(self.tokenizer, [text])[0].tolist()]
        new, limit = self.settings["new_tokens"], self.meta["context"]
        if len(ids) + new > limit:
            raise LedgerError(
                f"steering.prompts: {text!r} takes {len(ids)} tokens with BOS, and with {new} new "
                f"ones it exceeds the probing context, {limit}: shorten it, or lower "
                "steering.new_tokens."
            )
        return ids

    def texts(
        self, prompt: Sequence[int], vectors: np.ndarray, *purpose: int | str
    ) -> tuple[np.ndarray, generate.Reading]:
        """One text per cell and generation: ids [cells, n, new_tokens], and their reading.

        `vectors` [cells, n, d] are added at the output hook. `purpose` names the random streams.
        The reading's perplexity is [cells, n], its features [cells, n, d].
        """
        cells, n, d = vectors.shape
        size = max(1, self.settings["batch"] // cells)
        written, perplexity, features = [], [], []
        for low in range(0, n, size):
            batch = np.ascontiguousarray(vectors[:, low : low + size], dtype=np.float32)
            ids = generate.write(
                self.model,
                self.output_hook,
                prompt,
                torch.from_numpy(batch).to(self.device),
                [generate.stream(*purpose, low + index) for index in range(batch.shape[1])],
                new_tokens=self.settings["new_tokens"],
                temperature=self.settings["temperature"],
                never=self.never,
            )
            flat = ids.reshape(-1, ids.shape[-1])
            reading = generate.read(self.model, self.judged, prompt, flat)
            written.append(ids)
            perplexity.append(reading.perplexity.reshape(cells, -1))
            features.append(reading.features.reshape(cells, -1, d))
        reading = generate.Reading(
            np.concatenate(perplexity, axis=1), np.concatenate(features, axis=1)
        )
        return np.concatenate(written, axis=1), reading
