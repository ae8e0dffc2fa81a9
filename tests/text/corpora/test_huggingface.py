"""Hub data sets, without a hub: the library's own dataset objects, and its errors offline."""

from __future__ import annotations

import datasets
import pytest

from latent_ledger.lib.errors import LedgerError
from latent_ledger.text.corpora import huggingface
from latent_ledger.text.corpora.registry import Document, documents, records


@pytest.fixture
def asked(monkeypatch):
    """Serve a small data set instead of the hub's, and note what was asked for."""
    calls = []
    labels = datasets.ClassLabel(names=["nurse", "surgeon"])
    served = datasets.Dataset.from_dict(
        {"hard_text": ["one", "", "two"], "profession": [0, 1, 1]},
        features=datasets.Features({"hard_text": datasets.Value("string"), "profession": labels}),
    )

    def load_dataset(name, configuration, *, revision, split):
        calls.append((name, configuration, revision, split))
        return served

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return calls


def test_revision_split_and_configuration_reach_the_library(asked):
    settings = {
        "source": "hub:owner/name:raw",
        "revision": "abc",
        "split": "train[:10%]",
        "text_field": "hard_text",
    }
    name = "owner/name"
    assert list(documents(settings)) == [Document("one", name), Document("two", name)]
    assert asked == [("owner/name", "raw", "abc", "train[:10%]")]


def test_class_labels_come_as_names(asked):
    rows = records({"source": "hub:owner/name"}, ("hard_text", "profession"))
    assert [values for _, values in rows] == [("one", "nurse"), ("", "surgeon"), ("two", "surgeon")]
    assert asked == [("owner/name", None, None, "train")]


def test_a_missing_field_names_the_nearest(asked):
    with pytest.raises(LedgerError, match="no field 'text'; the nearest is 'hard_text'"):
        list(documents({"source": "hub:owner/name"}))


def test_no_network_is_one_line_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(LedgerError, match="hub cannot be reached.*embedded") as caught:
        list(documents({"source": "hub:owner/not-in-any-cache"}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            datasets.exceptions.DatasetNotFoundError("Dataset 'x' is a gated dataset"),
            "hf auth login",
        ),
        (datasets.exceptions.DatasetNotFoundError("Dataset 'x' doesn't exist"), "has no data set"),
        (ValueError('Unknown split "tset".\nmore'), 'Unknown split "tset"'),
    ],
)
def test_refusal_of_the_hub_is_one_line(monkeypatch, error, line):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(LedgerError, match=line) as caught:
        list(huggingface.records({"source": "hub:x"}, ("text",)))
    assert "\n" not in str(caught.value)
