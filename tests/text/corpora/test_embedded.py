"""The wheel's texts: read as pandas reads them, and only real text in a family."""

from __future__ import annotations

import pandas as pd
import pytest

from latent_ledger.lib.errors import LedgerError
from latent_ledger.text.corpora import embedded
from latent_ledger.text.corpora.registry import documents


@pytest.mark.parametrize("number", [21, 59, 157])
def test_a_set_is_read_as_pandas_reads_it(number):
    frame = pd.read_csv(embedded.set_path(number), keep_default_na=False, dtype=str)
    expected = list(zip(frame["prompt"], frame["target"], strict=True))
    assert embedded.read_set(number) == expected
    assert any("\n" in text for text, _ in expected) or number != 157


def test_every_family_exists_in_the_installed_wheel():
    for numbers in embedded.FAMILIES.values():
        for number in numbers:
            assert embedded.set_path(number).is_file()


def test_news_of_agnews_is_its_positive_class_only():
    rows = embedded.read_set(161)
    news = {text for text, label in rows if label == "1"}
    code = {text for text, label in rows if label != "1"}
    texts = {document.text for document in documents({"source": "embedded", "families": ["news"]})}
    assert news <= texts
    assert len(code) > 1000
    assert not code & texts


def test_documents_name_their_set():
    stream = documents({"source": "embedded", "families": ["headlines"]})
    assert {document.source for document in stream} >= {"21_headline_istrump", "105_click_bait"}


def test_an_unknown_family_names_the_nearest():
    with pytest.raises(LedgerError, match="no family 'newz'; the nearest is 'news'"):
        next(documents({"source": "embedded", "families": ["newz"]}))


def test_unknown_field_of_the_embedded_corpus_is_refused():
    with pytest.raises(LedgerError, match="no field 'body'"):
        next(documents({"source": "embedded", "families": ["news"], "text_field": "body"}))
