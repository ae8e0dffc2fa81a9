"""The store, the model, the texts and the labelled examples exist and go together."""

from __future__ import annotations

import pytest

from latent_ledger.config.schema_file import schema
from latent_ledger.text.concept_sets import CONCEPTS
from tests.config.experiments import REMOVED, lines, put

CASES = [
    (
        {"model.training.width": 130},
        [
            "model.training.width: 130 with 4 heads does not give every head a multiple of 8 "
            "dimensions; 128 or 160 would"
        ],
    ),
    (
        {"model.training.width": 16},
        [
            "model.training.width: 16 with 4 heads does not give every head a multiple of 8 "
            "dimensions; 32 would"
        ],
    ),
    (
        {"tokens.context": 128, "evaluations.probing.context": 65},
        [
            "tokens.context: 128 is longer than the model's context of 64",
            "evaluations.probing.context: 65 is longer than the model's context of 64",
        ],
    ),
    (
        {"tokens.budget.scoring": 63},
        ["tokens.budget.scoring: 63 tokens do not fill one context of 64"],
    ),
    (
        {"model.source": "embeded"},
        ['model.source: "embeded" is no model source; did you mean "embedded"?'],
    ),
    (
        {"model.source": "gpt2"},
        [
            'model.source: "gpt2" is no model source; write "embedded", a hub id as owner/name, '
            "or a folder as ./name"
        ],
    ),
    (
        {"model.source": "hub:google/gemma-2-2b"},
        [
            'model.source: "hub:google/gemma-2-2b" is no model source; write the hub id alone, '
            '"google/gemma-2-2b"'
        ],
    ),
    (
        {"model.source": "./nowhere", "model.training": REMOVED},
        ['model.source: the folder "./nowhere" does not exist'],
    ),
    (
        {"model.source": "./empty"},
        ['model.source: the folder "./empty" holds no config.json, so no model'],
    ),
    (
        {"model.source": "here/model"},
        [
            'model.source: "here/model" may be a hub id or the folder of that name here; write '
            '"./here/model" for the folder, or rename the folder'
        ],
    ),
    (
        {"model.revision": "main"},
        ["model.revision: only goes with the origin hub, and this source is embedded; remove it"],
    ),
    (
        {"corpus.source": "embeded"},
        ['corpus.source: the folder "embeded" does not exist; did you mean "embedded"?'],
    ),
    (
        {"corpus.source": "NeelNanda/pile-10k"},
        [
            'corpus.source: the folder "NeelNanda/pile-10k" does not exist; a hub data set is '
            'written "hub:NeelNanda/pile-10k"'
        ],
    ),
    (
        {"corpus.source": "./empty"},
        ['corpus.source: "./empty" holds no text (.txt, .jsonl, .parquet)'],
    ),
    (
        {"corpus.source": "hub:a/b/c"},
        ['corpus.source: "hub:a/b/c" names no data set; write hub:owner/name'],
    ),
    (
        {"corpus.text_field": "body"},
        [
            "corpus.text_field: only goes with the origin hub or folder, and this source is "
            "embedded; remove it"
        ],
    ),
    (
        {"corpus.parts.coder": 0.5},
        ["corpus.parts: the shares sum to 1.3, and must sum to at most 1"],
    ),
    (
        {"corpus.parts.model": REMOVED},
        ["corpus.parts.model: missing; the embedded model needs text to train on"],
    ),
    (
        {"evaluations.probing.concepts": ["journalist", "athelete"]},
        ['evaluations.probing.concepts[1]: no data for "athelete"; did you mean "athlete"?'],
    ),
    (
        {"evaluations.probing.concepts": ["journalist", "zzz"]},
        [
            'evaluations.probing.concepts[1]: no data for "zzz"; known: '
            "journalist, athlete, actor, politician, singer, researcher, female, alive, "
            "republican, code-c, code-python, code-html"
        ],
    ),
    (
        {
            "evaluations.probing.concepts": ["singer", "researcher"],
            "evaluations.probing.examples": {"train": 1600, "test": 400},
        },
        [
            'evaluations.probing.concepts[1]: "researcher" has 1960 examples, and train and test '
            "ask for 2000"
        ],
    ),
    (
        {"evaluations.probing.source": "hub:LabHC/bias_in_bios"},
        ["evaluations.probing.label_field: missing; name the column whose values are the concepts"],
    ),
    (
        {"evaluations.probing.label_field": "profession"},
        [
            "evaluations.probing.label_field: only goes with the origin hub or folder, and this "
            "source is embedded; remove it"
        ],
    ),
    (
        {"store": "results/store"},
        ['store: "results/store" lies in results/, and the store must survive `rm -rf results`'],
    ),
    (
        {"experiment": "figures"},
        ['experiment: "figures" is the name of a folder in results/; choose another'],
    ),
    ({"store": "a-file/store"}, ['store: "a-file/store" is or lies below a file; name a folder']),
    ({"store": "~/store"}, ['store: "~/store": ~ is not expanded here; write the whole path']),
]


@pytest.mark.parametrize(("changes", "expected"), CASES, ids=lambda value: ",".join(value)[:60])
def test_contradiction_of_data_is_one_line(tiny, tmp_path, changes, expected):
    (tmp_path / "empty").mkdir()
    (tmp_path / "here" / "model").mkdir(parents=True)
    (tmp_path / "a-file").write_text("")
    for path, value in changes.items():
        put(tiny, path, value)
    assert lines(tiny) == expected


def test_concept_without_data_is_one_line(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("latent_ledger.text.corpora.embedded.wheel_folder", lambda: tmp_path)
    tiny["evaluations"]["probing"]["concepts"] = ["actor"]
    assert lines(tiny) == [
        'evaluations.probing.concepts[0]: the data of "actor" (set 61 of the sae-probes package) '
        "is not installed; install the environment again"
    ]


def test_concepts_and_families_of_the_schema_are_those_of_the_corpus():
    from latent_ledger.text.corpora.embedded import FAMILIES, read_set

    families = schema()["properties"]["corpus"]["properties"]["families"]
    assert families["items"]["enum"] == list(FAMILIES)
    assert len(read_set(CONCEPTS["researcher"].number)) == CONCEPTS["researcher"].rows
