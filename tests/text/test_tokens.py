"""Token sets: every token is where its document says, and decodes back to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from safetensors.numpy import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json, sha256_file
from latent_ledger.text import corpus, tokens
from latent_ledger.text.corpora.splits import text_digest
from tests.tiny_models import byte_tokenizer

SPECIAL = 'They spell <bos>, <eos> and <|endoftext|> "as text" — 東京 🙂.'


@pytest.fixture(scope="module")
def part(tmp_path_factory) -> Path:
    """A corpus part of real headlines, and one document that spells special tokens."""
    out = tmp_path_factory.mktemp("part")
    settings = {"source": "embedded", "families": ["headlines"], "parts": {"p": 0.05}, "seed": 0}
    corpus.produce(settings, {"p": out})
    table = corpus.read(out, ["sha256", "source", "text"]).to_pydict()
    table = {name: values[:600] for name, values in table.items()}
    for name, value in {"sha256": text_digest(SPECIAL), "source": "x", "text": SPECIAL}.items():
        table[name].insert(3, value)
    columns = {"doc_id": range(len(table["text"]))} | table
    arrays = [pa.array(columns[field.name], field.type) for field in corpus.SCHEMA]
    folder = tmp_path_factory.mktemp("headlines")
    parquet.write_table(
        pa.Table.from_arrays(arrays, schema=corpus.SCHEMA), folder / "documents.parquet"
    )
    return folder


def texts_of(part: Path) -> list[str]:
    return corpus.read(part)["text"].to_pylist()


@pytest.fixture(scope="module")
def model_folders(part, tmp_path_factory) -> dict[str, Path]:
    """Tokenizers as they come: trained here, Gemma's layout (2, 1, 0), and Pythia's single EOS."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("trained", "gemma", "pythia")}
    tokens.train_tokenizer(texts_of(part), 600).save_pretrained(folders["trained"])
    for name, special in {
        "gemma": ["<pad>", "<eos>", "<bos>"],
        "pythia": ["<|endoftext|>"],
    }.items():
        vocabulary = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
        tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(vocabulary)}, []))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens(special)
        names = {f"{token.strip('<>')}_token": token for token in special}
        if name == "pythia":
            names = {"eos_token": special[0]}
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folders[name])
    return folders


@pytest.mark.parametrize("name", ["trained", "gemma", "pythia"])
@pytest.mark.parametrize(("context", "budget"), [(16, 3000), (64, 6401), (7, 7)])
def test_packed_contexts_decode_back_to_the_documents(
    part, model_folders, tmp_path, name, context, budget
):
    settings = {"context": context, "budget": budget}
    meta = tokens.pack(settings, part, model_folders[name], tmp_path)
    arrays = load_file(tmp_path / "tokens.safetensors")
    ids, docs = arrays["input_ids"], arrays["doc_ids"]
    assert ids.shape == docs.shape == (budget // context, context)
    assert {str(array.dtype) for array in arrays.values()} == {"int32"}
    assert (arrays["lengths"] == context).all()
    assert (ids[:, 0] == meta["bos_id"]).all()
    assert (docs[:, 0] == -1).all()

    stream, owner = ids[:, 1:].ravel(), docs[:, 1:].ravel()
    assert ((stream == meta["eos_id"]) == (owner == -1)).all()
    assert not np.isin(stream[owner >= 0], [meta[f"{s}_id"] for s in ("bos", "eos", "pad")]).any()
    tokenizer = AutoTokenizer.from_pretrained(model_folders[name])
    texts, n_bytes = texts_of(part), 0
    for doc in range(meta["n_documents"]):
        piece = stream[owner == doc]
        whole = len(piece) == len(tokens.encode(tokenizer, [texts[doc]])[0])
        if whole:
            assert tokenizer.decode(piece, clean_up_tokenization_spaces=False) == texts[doc]
        else:
            assert doc == meta["n_documents"] - 1  # only the last may be cut
            kept = tokenizer.decode(piece, clean_up_tokenization_spaces=False).rstrip("\ufffd")
            assert kept and texts[doc].startswith(kept)
            n_bytes += len(kept.encode()) - len(texts[doc].encode())
        n_bytes += len(texts[doc].encode())
    assert abs(meta["n_bytes"] - n_bytes) <= 3  # a cut may go through one character
    assert meta["n_tokens"] == (owner >= 0).sum()
    assert (np.diff(owner[owner >= 0]) >= 0).all()
    assert owner.max() == meta["n_documents"] - 1
    documents = parquet.read_table(tmp_path / "documents.parquet")
    assert documents.schema.names == ["doc_id", "sha256", "source"]
    expected = [text_digest(text) for text in texts[: meta["n_documents"]]]
    assert documents["sha256"].to_pylist() == expected
    assert read_json(tmp_path / "meta.json") == meta


def test_the_ids_are_those_the_tokenizer_gives_by_itself(part, model_folders, tmp_path):
    tokens.pack({"context": 32, "budget": 640}, part, model_folders["trained"], tmp_path)
    arrays = load_file(tmp_path / "tokens.safetensors")
    tokenizer = AutoTokenizer.from_pretrained(model_folders["trained"])
    first = texts_of(part)[0]
    expected = tokenizer(first)["input_ids"] + [tokenizer.eos_token_id]
    assert arrays["input_ids"].ravel()[: len(expected)].tolist() == expected


def test_a_larger_budget_only_appends(part, model_folders, tmp_path):
    arrays = []
    for budget in (640, 6400):
        (tmp_path / str(budget)).mkdir()
        settings = {"context": 64, "budget": budget}
        tokens.pack(settings, part, model_folders["trained"], tmp_path / str(budget))
        arrays.append(load_file(tmp_path / str(budget) / "tokens.safetensors"))
    for name, array in arrays[0].items():
        assert (arrays[1][name][: len(array)] == array).all()


def test_token_set_does_not_depend_on_the_batch_size(part, model_folders, tmp_path, monkeypatch):
    digests = []
    for batch in (1024, 7):
        monkeypatch.setattr(tokens, "BATCH", batch)
        tokens.pack({"context": 64, "budget": 6400}, part, model_folders["trained"], tmp_path)
        digests.append(sha256_file(tmp_path / "tokens.safetensors"))
    assert digests[0] == digests[1]


def test_a_part_smaller_than_the_budget_says_how_much_there_is(part, model_folders, tmp_path):
    settings = {"context": 64, "budget": 10_000_000, "part": "coder"}
    with pytest.raises(LedgerError, match="part 'coder' holds [0-9,]+ tokens") as caught:
        tokens.pack(settings, part, model_folders["trained"], tmp_path)
    fits = int(str(caught.value).partition("tokens.budget to ")[2].split()[0])
    meta = tokens.pack(settings | {"budget": fits}, part, model_folders["trained"], tmp_path)
    assert meta["n_contexts"] * 64 == fits
    with pytest.raises(LedgerError, match="holds"):
        tokens.pack(settings | {"budget": fits + 64}, part, model_folders["trained"], tmp_path)


@pytest.mark.parametrize("settings", [{"context": 1, "budget": 9}, {"context": 64, "budget": 63}])
def test_budget_below_one_context_is_refused(part, model_folders, tmp_path, settings):
    with pytest.raises(LedgerError, match="at least 2 tokens"):
        tokens.pack(settings, part, model_folders["trained"], tmp_path)


@pytest.mark.parametrize("name", ["trained", "gemma", "pythia"])
def test_examples_keep_the_end_of_a_long_text(model_folders, tmp_path, name):
    texts = ["Short.", "A sentence much too long for its row, about Ada Lovelace", SPECIAL]
    rows = {
        "example_id": [0, 1, 2],
        "concept": ["c", "c", "d"],
        "label": [0, 1, 1],
        "split": ["train", "test", "train"],
        "text": texts,
        "sha256": [text_digest(text) for text in texts],
    }
    parquet.write_table(pa.table(rows), tmp_path / "examples.parquet")
    out = tmp_path / "out"
    out.mkdir()
    meta = tokens.pack_examples({"context": 14}, tmp_path, model_folders[name], out)
    arrays = load_file(out / "tokens.safetensors")
    tokenizer = AutoTokenizer.from_pretrained(model_folders[name])
    n_bytes = 0
    for row, text in enumerate(texts):
        length = arrays["lengths"][row]
        ids, docs = arrays["input_ids"][row], arrays["doc_ids"][row]
        assert ids[0] == meta["bos_id"]
        assert (ids[length:] == meta["pad_id"]).all()
        assert docs.tolist() == [-1] + [row] * (length - 1) + [-1] * (14 - length)
        kept = tokenizer.decode(ids[1:length], clean_up_tokenization_spaces=False)
        assert text.endswith(kept.lstrip("\ufffd"))
        n_bytes += len(kept.encode())
    assert arrays["lengths"][1] == 14
    if name != "trained":
        assert tokenizer.decode(arrays["input_ids"][1, 1:]) == " Ada Lovelace"
        assert arrays["lengths"].tolist() == [7, 14, 14]
        assert meta["n_bytes"] == meta["n_tokens"] == 6 + 13 + 13
    assert meta["layout"] == "examples"
    documents = parquet.read_table(out / "documents.parquet").to_pydict()
    assert documents["doc_id"] == [0, 1, 2]
    assert documents["label"] == [0, 1, 1]
    assert "text" not in documents


def test_rows_of_documents_keep_the_beginning_of_a_long_one(part, model_folders, tmp_path):
    settings = {"context": 12, "keep": "beginning"}
    meta = tokens.pack_examples(settings, part, model_folders["gemma"], tmp_path)
    arrays = load_file(tmp_path / "tokens.safetensors")
    tokenizer = AutoTokenizer.from_pretrained(model_folders["gemma"])
    texts = texts_of(part)
    assert meta["n_contexts"] == meta["n_documents"] == len(texts)
    n_bytes = 0
    for row, text in enumerate(texts):
        length = arrays["lengths"][row]
        whole = tokenizer(text, add_special_tokens=False)["input_ids"] if "<" not in text else None
        kept = arrays["input_ids"][row, 1:length].tolist()
        if whole is not None:
            assert kept == whole[:11]
        assert length == min(12, 1 + len(text.encode())), "one token per byte here"
        n_bytes += length - 1
    assert abs(meta["n_bytes"] - n_bytes) <= 3 * len(texts), "a character cut in two counts whole"
    documents = parquet.read_table(tmp_path / "documents.parquet")
    assert documents["doc_id"].to_pylist() == list(range(len(texts)))


def test_special_ids_stand_in_for_missing_ones():
    assert tokens.special_ids(byte_tokenizer()) == (256, 257, 258)
    tokenizer = byte_tokenizer()
    tokenizer.bos_token = tokenizer.pad_token = None
    assert tokens.special_ids(tokenizer) == (257, 257, 257)
    tokenizer.eos_token = None
    with pytest.raises(LedgerError, match="neither a BOS nor an EOS"):
        tokens.special_ids(tokenizer)


# --- the tokenizer trained here ------------------------------------------------------------------


def test_training_is_deterministic_to_the_byte(part, tmp_path, monkeypatch):
    for name, parallel in {"one": "false", "two": "true"}.items():
        monkeypatch.setenv("TOKENIZERS_PARALLELISM", parallel)
        tokens.train_tokenizer(texts_of(part), 500).save_pretrained(tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["tokenizer.json", "tokenizer_config.json"]
    for file in files:
        assert sha256_file(tmp_path / "one" / file) == sha256_file(tmp_path / "two" / file)


def test_any_text_survives_and_bos_comes_first(model_folders):
    tokenizer = AutoTokenizer.from_pretrained(model_folders["trained"])
    assert len(tokenizer) == 600
    for text in (SPECIAL, " leading", "tab\tand\r\nbreak", "\x00\x7f", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢"):
        ids = tokens.encode(tokenizer, [text])[0]
        assert ids.min() >= 3
        assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text
    assert tokenizer("Hi")["input_ids"][0] == tokenizer.bos_token_id == 0


def test_trained_merges_compress_the_text(part, model_folders):
    tokenizer = AutoTokenizer.from_pretrained(model_folders["trained"])
    texts = texts_of(part)
    count = sum(map(len, tokens.encode(tokenizer, texts)))
    assert count < 0.6 * sum(len(text.encode()) for text in texts)


@pytest.mark.parametrize(
    ("size", "line"), [(200, "more than 259"), (50_000, "yields a vocabulary")]
)
def test_impossible_vocabulary_is_refused(part, size, line):
    with pytest.raises(LedgerError, match=line):
        tokens.train_tokenizer(texts_of(part)[:50], size)
