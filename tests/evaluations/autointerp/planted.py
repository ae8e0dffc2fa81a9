"""A corpus of made-up words and a coder whose latents are known, and scorers that know the truth.

Latents 0 to 5 fire on exactly one word each, 6 to 11 at random places; 12 never fires, 13 fires
five times, 14 almost everywhere. All fire with an activation between 1 and 2.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file
from scipy.sparse import csc_matrix
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from latent_ledger.evaluations.autointerp.records import Scorable
from latent_ledger.lib.files import write_json
from latent_ledger.scorers.client import Counts, Response

CONTEXTS, CONTEXT, WINDOW = 500, 32, 16
WORDS = [a + b + c for a, b, c in itertools.product("bdgkmp", ("ala", "eno", "iri", "o"), "nstr")]
BOS, EOS = 0, 1
FIRST = 2
"""Token id of the first word."""
ON_WORDS, AT_RANDOM, NEVER, RARE, DENSE = range(6), range(6, 12), 12, 13, 14
WIDTH = 15

SETTINGS = {
    "latents": WIDTH,
    "strata": [0.001, 0.01, 0.1],
    "min_examples": 40,
    "n_train": 20,
    "n_test": 20,
    "n_negatives": 20,
    "quantiles": 5,
    "example_tokens": WINDOW,
    "seed": 0,
}


def tokenizer() -> PreTrainedTokenizerFast:
    """One token per word, with the space in front of it."""
    vocabulary = {"<bos>": BOS, "<eos>": EOS} | {
        f"Ġ{word}": FIRST + i for i, word in enumerate(WORDS)
    }
    backend = Tokenizer(models.BPE(vocabulary, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<bos>", eos_token="<eos>")


def folders(root: Path) -> dict[str, Path]:
    """Codes, tokens and model (its tokenizer alone) of the planted coder."""
    rng = np.random.default_rng(0)
    ids = rng.integers(FIRST, FIRST + len(WORDS), (CONTEXTS, CONTEXT)).astype(np.int32)
    ids[:, 0], ids[:, 20] = BOS, EOS
    documents = np.where(ids < FIRST, -1, np.arange(CONTEXTS)[:, None]).astype(np.int32)
    tokens = root / "tokens"
    tokens.mkdir(parents=True)
    lengths = np.full(CONTEXTS, CONTEXT, np.int32)
    arrays = {"input_ids": ids, "doc_ids": documents, "lengths": lengths}
    save_file(arrays, tokens / "tokens.safetensors")
    flat = ids.ravel()
    fires = np.zeros((len(flat), WIDTH), bool)
    for latent in ON_WORDS:
        fires[:, latent] = flat == FIRST + 7 * latent
    for latent in AT_RANDOM:
        fires[:, latent] = rng.random(len(flat)) < 0.01
    fires[rng.choice(np.flatnonzero(flat >= FIRST), 5, replace=False), RARE] = True
    fires[:, DENSE] = rng.random(len(flat)) < 0.6
    # Many latents fire on BOS; none of that may count.
    fires[flat == BOS, :NEVER] = True
    values = fires * rng.uniform(1, 2, fires.shape)
    codes = root / "codes"
    codes.mkdir()
    matrix = csc_matrix(values.astype(np.float32)).tocsr()
    half = len(flat) // 2
    for number, part in enumerate((matrix[:half], matrix[half:])):
        save_file(
            {
                "indptr": part.indptr.astype(np.int64),
                "indices": part.indices.astype(np.int32),
                "values": part.data,
            },
            codes / f"codes-{number:05d}.safetensors",
        )
    shards = [half, len(flat) - half]
    write_json(codes / "meta.json", {"width": WIDTH, "n_rows": len(flat), "shards": shards})
    tokenizer().save_pretrained(root / "model")
    return {"codes": codes, "tokens": tokens, "model": root / "model"}


def plain(text: str) -> str:
    """A text without marks."""
    return text.replace("<<", "").replace(">>", "")


def shown(messages: list[dict]) -> list[str]:
    """The examples in a prompt, as written."""
    return re.findall(r"^Example \d+:(.*)$", messages[-1]["content"], re.MULTILINE)


@dataclass
class PlantedScorer:
    """A scorer with access to the truth, which it answers according to its behaviour.

    It explains a latent by its number, which it knows by the first example of its prompt.
    """

    latents: list[Scorable]
    behaviour: str = "oracle"
    counts: Counts = field(default_factory=Counts)
    broken: None = None

    def __post_init__(self) -> None:
        text = {
            latent.latent: ["".join(e.str_tokens).strip() for e in latent.record.test]
            for latent in self.latents
        }
        self.name = self.behaviour
        self.positives = {latent: set(texts) for latent, texts in text.items()}
        self.explained = {
            "".join(latent.record.train[0].str_tokens): latent.latent for latent in self.latents
        }

    async def __aenter__(self) -> PlantedScorer:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def generate(self, messages: list[dict], **_: object) -> Response:
        """The answer to one of delphi's prompts."""
        return Response(self.answer(messages))

    def answer(self, messages: list[dict]) -> str:
        """The text of :meth:`generate`."""
        last = messages[-1]["content"]
        texts = [plain(text).strip() for text in shown(messages)]
        if "[EXPLANATION]" in messages[0]["content"]:
            latent = self.explained[plain(last.strip("\n").split("\n")[0])]
            return f"[EXPLANATION]: latent {latent}"
        if "[RESPONSE]" in messages[0]["content"]:
            return f"[RESPONSE]: {self.intruder(texts, last)}"
        latent = int(re.search(r"Latent explanation: latent (\d+)", last)[1])
        return str([self.says(text in self.positives[latent], text + last) for text in texts])

    def says(self, truth: bool, about: str) -> int:
        """0 or 1 about one example."""
        if self.behaviour == "coin":
            return hashlib.sha256(about.encode()).digest()[0] % 2
        return int(truth if self.behaviour == "oracle" else not truth)

    def intruder(self, texts: list[str], about: str) -> int:
        """Which of the texts no latent shares with all the others."""
        (index,) = {
            number
            for number in range(len(texts))
            for known in self.positives.values()
            if all((text in known) == (other != number) for other, text in enumerate(texts))
        }
        if self.behaviour == "coin":
            return hashlib.sha256(about.encode()).digest()[0] % len(texts)
        return index if self.behaviour == "oracle" else (index + 1) % len(texts)


def rows(folder: Path, name: str) -> list[dict]:
    """A Parquet table as a list of rows."""
    table: pa.Table = pq.read_table(folder / name)
    return table.to_pylist()
