"""Local folders: three formats, one order, one line per mistake."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from latent_ledger.lib.errors import LedgerError
from latent_ledger.text.corpora import folder
from latent_ledger.text.corpora.registry import Document, documents


@pytest.fixture
def texts(tmp_path):
    """A folder with every format, and a file that is none of them."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "one.txt").write_text("Ünë text\nin two lines", encoding="utf-8")
    lines = [{"body": "first"}, {"body": "  "}, {"body": None}, {"body": "lone \ud800 half"}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    parquet.write_table(pa.table({"body": ["row"], "n": [1]}), tmp_path / "c.parquet")
    (tmp_path / "notes.md").write_text("not read")
    return tmp_path


def test_all_formats_in_path_order(texts):
    (texts / "b" / "one.txt").unlink()
    read = list(documents({"source": str(texts), "text_field": "body"}))
    assert read == [
        Document("first", "a.jsonl"),
        Document("lone ? half", "a.jsonl"),
        Document("row", "c.parquet"),
    ]
    assert [path.name for path in folder.files(str(texts))] == ["a.jsonl", "c.parquet"]


def test_a_text_file_is_one_document(texts):
    source = str(texts / "b" / "one.txt")
    assert list(documents({"source": source})) == [Document("Ünë text\nin two lines", "one.txt")]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"source": "{0}/nowhere"}, "does not exist"),
        ({"source": "embeded"}, "did you mean 'embedded'"),
        ({"source": "{0}/b/empty"}, "holds no .txt, .jsonl, .parquet file"),
        ({"source": "{0}/a.jsonl", "text_field": "boby"}, "line 1, has no field 'boby'; .*'body'"),
        ({"source": "{0}/c.parquet", "text_field": "bdy"}, "no field 'bdy'; the nearest is 'body'"),
        ({"source": "{0}/c.parquet", "text_field": "n"}, "holds int, not text"),
        ({"source": "{0}/b/one.txt", "text_field": "body"}, "leave text_field out"),
        ({"source": "{0}/blank"}, "holds no text in the field 'text'"),
        ({"source": "{0}/broken.jsonl"}, "line 2, is not JSON"),
        ({"source": "{0}/broken.parquet"}, "is no Parquet file"),
        ({"source": "{0}/latin.txt"}, "not UTF-8"),
    ],
)
def test_unreadable_corpus_is_one_line(texts, settings, line):
    (texts / "b" / "empty").mkdir()
    (texts / "blank").mkdir()
    (texts / "blank" / "x.txt").write_text(" \n")
    (texts / "broken.jsonl").write_text('{"text": "a"}\n{"text"\n')
    (texts / "broken.parquet").write_bytes(b"no parquet at all")
    (texts / "latin.txt").write_bytes("Grün".encode("latin-1"))
    settings = settings | {"source": settings["source"].format(texts)}
    with pytest.raises(LedgerError, match=line) as caught:
        list(documents(settings))
    assert "\n" not in str(caught.value)
