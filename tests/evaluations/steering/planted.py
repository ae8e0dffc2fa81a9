"""A language model whose steering is known: which directions write, which it ignores, which break.

Blocks do nothing, so the residual stream is the token's embedding and the next token depends on
the unembedding alone. Along four orthogonal directions (all without a mean, which the final norm
removes)::

    MARK   in the embedding of the concept's tokens, in no unembedding: read, never written
    WRITE  in the unembedding of the concept's tokens: adding it makes the model write them
    RARE   in every embedding, and with the opposite sign in the unembedding of rare tokens of the
           concept: taking it away writes the concept in tokens the model finds incredible
    VOID   in neither: the model cannot see it

Unsteered, all tokens but the rare ones are equally likely, so a text carries the concept as often
as its judge's threshold makes it, and everything that follows can be counted.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from latent_ledger.coders import codes
from latent_ledger.coders.formats.site_file import write_site
from latent_ledger.evaluations.steering import evaluation as steering
from latent_ledger.lib.files import read_json, write_json
from latent_ledger.models import hooks, language_model
from latent_ledger.models.hook_points import CoderSite, HookPoint
from tests.coders.shard_folders import write_activations
from tests.tiny_models import BOS, EOS, PAD, VOCABULARY, byte_tokenizer, example_tokens

D, CONTEXT, EXAMPLES = 32, 24, 200
CONCEPT_TOKENS = np.arange(64, 128)
RARE_TOKENS = np.arange(120, 128)
SITE = CoderSite.at(0, "resid_post")
JUDGED = HookPoint(1, "resid_post")

SETTINGS = {
    "concepts": ["letters"],
    "prompts": ["!", "#"],
    "scan": 16,
    "generations": 80,
    "new_tokens": 12,
    "temperature": 1.0,
    "coefficients": [0.5, 1.0],
    "perplexity_cap": 1.5,
    "batch": 256,
    "model_dtype": "float32",
    "resamples": 300,
    "seed": 0,
}


def basis(seed: int = 0) -> np.ndarray:
    """Orthonormal rows [D - 1, D] without a mean: MARK, WRITE, RARE, VOID, then noise."""
    rng = np.random.default_rng(seed)
    columns = np.column_stack([np.ones(D), rng.normal(size=(D, D - 1))])
    return np.linalg.qr(columns)[0].T[1:]


MARK, WRITE, RARE, VOID, *NOISE = basis()


def model_folder(folder: Path) -> Path:
    """Save the model described above with the byte tokenizer."""
    config = GPTNeoXConfig(
        vocab_size=VOCABULARY,
        hidden_size=D,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=D,
        max_position_embeddings=64,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    model = GPTNeoXForCausalLM(config)
    rng = np.random.default_rng(1)
    embed = rng.normal(0, 0.3, (VOCABULARY, len(NOISE))) @ np.array(NOISE) + RARE
    embed[CONCEPT_TOKENS] += MARK
    unembed = np.zeros((VOCABULARY, D))
    unembed[CONCEPT_TOKENS] = 2 * WRITE
    unembed[RARE_TOKENS] = -3 * RARE
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "attention.dense" in name or "dense_4h_to_h" in name:
                parameter.zero_()
        model.gpt_neox.embed_in.weight.copy_(torch.from_numpy(embed))
        model.get_output_embeddings().weight.copy_(torch.from_numpy(unembed))
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


class World:
    """The model, labelled examples of the concept, and coders with a decoder of one's choice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = model_folder(folder / "model")
        self.tokens = example_tokens(
            folder / "tokens", lengths=[CONTEXT] * EXAMPLES, context=CONTEXT
        )
        rng = np.random.default_rng(2)
        label = np.arange(EXAMPLES) % 2
        share = np.where(label == 1, 0.35, 0.1)[:, None]
        others = np.setdiff1d(np.arange(32, 256), CONCEPT_TOKENS)
        ids = np.where(
            rng.random((EXAMPLES, CONTEXT)) < share,
            rng.choice(np.setdiff1d(CONCEPT_TOKENS, RARE_TOKENS), (EXAMPLES, CONTEXT)),
            rng.choice(others, (EXAMPLES, CONTEXT)),
        ).astype(np.int32)
        ids[:, 0] = BOS
        self.label, self.ids = label, torch.from_numpy(ids)
        docs = np.tile(np.arange(EXAMPLES, dtype=np.int32)[:, None], (1, CONTEXT))
        docs[:, 0] = -1
        save_file(
            {
                "input_ids": self.ids,
                "doc_ids": torch.from_numpy(docs),
                "lengths": torch.full((EXAMPLES,), CONTEXT, dtype=torch.int32),
            },
            self.tokens / "tokens.safetensors",
        )
        table = {
            "doc_id": np.arange(EXAMPLES),
            "concept": ["letters"] * EXAMPLES,
            "label": label.astype(np.int8),
            "split": np.where(np.arange(EXAMPLES) < 120, "train", "test"),
        }
        pq.write_table(pa.table(table), self.tokens / "documents.parquet")
        meta = read_json(self.tokens / "meta.json")
        values = hooks.read(
            language_model.load_model(self.model), self.ids.long(), [SITE.output_hook, JUDGED]
        )
        self.activations = {
            hook_point: write_activations(
                folder / str(hook_point),
                str(hook_point),
                value,
                self.ids,
                per_shard=70,
                tokens=meta,
            )
            for hook_point, value in values.items()
        }

    def coder(self, name: str, direction: np.ndarray) -> Path:
        """An SAE whose latent 2 fires on the concept's tokens and writes `direction`.

        Latent 1 fires on all other tokens, latents 0 and 3 never do.
        """
        folder = self.folder / name
        folder.mkdir()
        weights = np.zeros((4, D))
        weights[1], weights[2] = RARE, MARK
        bias = np.array([-9.0, -0.1, -0.5, -9.0])
        decoder = np.tile(NOISE[0], (4, 1))
        decoder[2] = 3 * direction
        parts = {
            "encoder.weight": weights,
            "encoder.bias": bias,
            "W_dec": decoder,
            "b_dec": np.zeros(D),
        }
        save_file(
            {key: torch.from_numpy(value).float() for key, value in parts.items()},
            folder / "sae.safetensors",
        )
        write_json(folder / "cfg.json", {"k": 2, "transcode": False, "activation": "topk"})
        write_site(folder, "sparsify", SITE)
        return folder

    def steer(self, coder: Path, out: str = "out", **settings) -> Path:
        """Encode and evaluate; returns the evaluation's folder."""
        encoded = self.folder / f"codes-{coder.name}"
        if not encoded.exists():
            encoded.mkdir()
            codes.produce({}, self.activations[SITE.input_hook], coder, encoded)
        folder = self.folder / f"{out}-{coder.name}"
        folder.mkdir()
        steering.produce(
            SETTINGS | settings,
            model=self.model,
            tokens=self.tokens,
            output_hook=self.activations[SITE.output_hook],
            judged=self.activations[JUDGED],
            codes=encoded,
            coder=coder,
            out=folder,
        )
        return folder
