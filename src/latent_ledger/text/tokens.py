"""Token sets: texts as rows of exactly `context` tokens, each token owned by a document.

Two layouts, in one format (see :func:`write`):

* *packed* (:func:`pack`), for corpora. Documents are concatenated, EOS behind each, and the stream
  is cut into contexts that all start with BOS; the last partial one is dropped::

      BOS d0 d0 d0 EOS d1 d1 | BOS d1 d1 EOS d2 d2 d2 | ...

* *examples* (:func:`pack_examples`), one text per row, padded on the right::

      BOS e0 e0 e0 PAD PAD PAD | BOS e1 e1 e1 e1 e1 e1 | ...

  A labelled text longer than a context keeps its *end*, as in sae_probes: the person that an
  occupation label is about is named last. A set may ask for the *beginning*, as SAEBench does.

The tokenizer is the model's own. Special tokens are set here and never parsed out of the text: a
document that spells ``<bos>`` is six ordinary characters.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import write_json
from latent_ledger.text.corpus import read
from latent_ledger.text.tokenizer import load_tokenizer

BATCH = 1024
"""Documents tokenized at a time."""

NO_DOCUMENT = -1
"""Document id of BOS, EOS and padding."""


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer, deterministic in the texts and their order.

    The special tokens ``<bos>``, ``<eos>``, ``<pad>`` are 0, 1, 2, then the 256 bytes, then the
    merges. Calling it puts BOS in front.
    """
    smallest = 256 + 3
    if vocabulary <= smallest:
        raise LedgerError(
            f"model.training.vocabulary is {vocabulary}: a byte-level vocabulary needs more than "
            f"{smallest}, for example 2048."
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<bos>", "<eos>", "<pad>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() < vocabulary:
        raise LedgerError(
            f"The text yields a vocabulary of {tokenizer.get_vocab_size()}, not {vocabulary}: "
            "lower model.training.vocabulary or enlarge corpus.parts.model."
        )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <eos> $B", special_tokens=[("<bos>", 0), ("<eos>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )


def special_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, int, int]:
    """The (BOS, EOS, PAD) token ids; where a tokenizer lacks one, EOS or BOS stands in."""
    bos, eos, pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
    known = [token_id for token_id in (bos, eos) if token_id is not None]
    if not known:
        raise LedgerError(
            "The model's tokenizer has neither a BOS nor an EOS token, and contexts must start "
            "with one: set bos_token in its tokenizer_config.json."
        )
    return known[0], known[-1], known[-1] if pad is None else pad


def encode(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[np.ndarray]:
    """Token ids of each text, int32, without special tokens."""
    encodings = _backend(tokenizer).encode_batch_fast(texts, add_special_tokens=False)
    return [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]


def pack(settings: Mapping, corpus: Path, model: Path, out: Path) -> dict:
    """Tokenize a corpus part into the packed layout; return the facts (= ``meta.json``).

    `settings`: ``context`` (tokens per row, BOS included) and ``budget`` (tokens in all, BOS and
    EOS included; rounded down to whole contexts). Raises :class:`LedgerError` if the part has fewer
    tokens than the budget.
    """
    context, budget = int(settings["context"]), int(settings["budget"])
    tokenizer = load_tokenizer(model)
    rows = budget // context
    if context < 2 or rows < 1:
        raise LedgerError(
            f"tokens.budget is {budget} at tokens.context {context}: a token set needs contexts of "
            "at least 2 tokens, and one of them."
        )
    table = read(corpus, ["doc_id", "sha256", "source", "text"])
    arrays, kept = packed(tokenizer, _texts(table), context, rows * (context - 1))
    if len(arrays["input_ids"]) < rows:
        have = (kept["stream"] // (context - 1)) * context
        label = f" {settings['part']!r}" if "part" in settings else ""
        raise LedgerError(
            f"The corpus part{label} holds {have:,} tokens in contexts of {context}, and the "
            f"budget asks for {budget:,}: lower tokens.budget to {have} or enlarge corpus.parts."
        )
    documents = table.slice(0, kept["documents"])
    return write(out, arrays, documents, tokenizer, layout="packed", n_bytes=kept["bytes"])


def packed(
    tokenizer: PreTrainedTokenizerBase, texts: Iterator[str], context: int, n_tokens: int | None
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Pack texts into contexts until `n_tokens` tokens (BOS not counted; None: all) are there.

    Returns the arrays of the token set, and {"documents", "bytes", "stream"}: documents and UTF-8
    bytes in the contexts, wholly or partly, and the tokens that the texts offered.
    """
    bos, eos, _ = special_ids(tokenizer)
    texts_read: list[str] = []
    ids: list[np.ndarray] = []  # of each document, with its EOS
    total = 0
    for batch in _batches(texts):
        texts_read += batch
        encoded = [np.append(tokens, np.int32(eos)) for tokens in encode(tokenizer, batch)]
        ids += encoded
        total += sum(map(len, encoded))
        if n_tokens is not None and total >= n_tokens:
            break
    stream = np.concatenate(ids) if ids else np.empty(0, np.int32)
    lengths = [len(tokens) for tokens in ids]
    ends = np.cumsum(lengths, dtype=np.int64)
    owners = np.repeat(np.arange(len(ids), dtype=np.int32), lengths)
    owners[ends - 1] = NO_DOCUMENT  # each document's EOS
    rows = (total if n_tokens is None else min(total, n_tokens)) // (context - 1)
    used = rows * (context - 1)
    arrays = {
        "input_ids": np.insert(stream[:used].reshape(rows, context - 1), 0, bos, axis=1),
        "doc_ids": np.insert(owners[:used].reshape(rows, context - 1), 0, NO_DOCUMENT, axis=1),
        "lengths": np.full(rows, context, dtype=np.int32),
    }
    whole = int(np.searchsorted(ends - 1, used, side="right"))  # documents with all their tokens
    n_bytes = sum(len(text.encode()) for text in texts_read[:whole])
    rest = used - (int(ends[whole - 1]) if whole else 0)
    if rest > 0:  # the cut goes through one more document
        offsets = _backend(tokenizer).encode(texts_read[whole], add_special_tokens=False).offsets
        n_bytes += len(texts_read[whole][: offsets[rest - 1][1]].encode())
    return arrays, {"documents": whole + (rest > 0), "bytes": n_bytes, "stream": total}


def pack_examples(settings: Mapping, concepts: Path, model: Path, out: Path) -> dict:
    """Tokenize texts, one per row; return the facts (= ``meta.json``).

    `settings`: ``context`` (tokens per row, BOS included) and ``keep``: which ``context - 1``
    tokens of a long text stay, at its ``end`` (the default) or its ``beginning``. `concepts`: the
    folder of labelled examples or of a corpus part.
    """
    context, from_the_end = int(settings["context"]), settings.get("keep", "end") == "end"
    if context < 2:
        raise LedgerError(f"The context is {context}: an example needs BOS and at least one token.")
    tokenizer = load_tokenizer(model)
    bos, _, pad = special_ids(tokenizer)
    table = _rows(Path(concepts))
    n = table.num_rows
    arrays = {
        "input_ids": np.full((n, context), pad, dtype=np.int32),
        "doc_ids": np.full((n, context), NO_DOCUMENT, dtype=np.int32),
        "lengths": np.zeros(n, dtype=np.int32),
    }
    arrays["input_ids"][:, 0] = bos
    row, n_bytes = 0, 0
    for batch in _batches(_texts(table)):
        encodings = _backend(tokenizer).encode_batch(batch, add_special_tokens=False)
        for text, encoding in zip(batch, encodings, strict=True):
            size = min(len(encoding.ids), context - 1)
            low = len(encoding.ids) - size if from_the_end else 0
            arrays["input_ids"][row, 1 : 1 + size] = encoding.ids[low : low + size]
            arrays["doc_ids"][row, 1 : 1 + size] = row
            arrays["lengths"][row] = 1 + size
            if size:
                begin, end = encoding.offsets[low][0], encoding.offsets[low + size - 1][1]
                n_bytes += len(text[begin : None if from_the_end else end].encode())
            row += 1
    return write(out, arrays, table, tokenizer, layout="examples", n_bytes=n_bytes)


def _rows(folder: Path) -> pa.Table:
    """The texts of labelled examples or of documents, numbered by ``doc_id``."""
    if (examples := folder / "examples.parquet").exists():
        return parquet.read_table(examples).rename_columns({"example_id": "doc_id"})
    return read(folder, ["doc_id", "sha256", "source", "text"])


def write(
    out: Path,
    arrays: Mapping[str, np.ndarray],
    documents: pa.Table,
    tokenizer: PreTrainedTokenizerBase,
    *,
    layout: str,
    n_bytes: int,
) -> dict:
    """Write a token set: ``tokens.safetensors``, ``documents.parquet`` and ``meta.json``.

    The tensors are ``input_ids`` and ``doc_ids`` int32 [contexts, context] and ``lengths`` int32
    [contexts]; positions from a row's length on are padding.
    """
    bos, eos, pad = special_ids(tokenizer)
    n_contexts, context = arrays["input_ids"].shape
    meta = {
        "layout": layout,
        "context": context,
        "bos_id": bos,
        "eos_id": eos,
        "pad_id": pad,
        "vocab_size": len(tokenizer),
        "n_contexts": n_contexts,
        "n_tokens": int((arrays["doc_ids"] != NO_DOCUMENT).sum()),
        "n_bytes": n_bytes,
        "n_documents": documents.num_rows,
    }
    save_file(dict(arrays), Path(out) / "tokens.safetensors")
    documents = documents.drop_columns(["text"])
    parquet.write_table(documents, Path(out) / "documents.parquet", compression="zstd")
    write_json(Path(out) / "meta.json", meta)
    return meta


def _backend(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """The Rust tokenizer, set to read all of a text, and all of it as text."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise LedgerError(
            f"The model's tokenizer ({type(tokenizer).__name__}) has no tokenizer.json: save it "
            "once with a fast tokenizer and point model.source at that folder."
        )
    backend.encode_special_tokens = True  # "<bos>" in a text is text
    backend.no_truncation()
    backend.no_padding()
    return backend


def _texts(table: pa.Table) -> Iterator[str]:
    return (text.as_py() for text in table["text"])


def _batches(texts: Iterator[str]) -> Iterator[list[str]]:
    return iter(lambda: list(islice(texts, BATCH)), [])
