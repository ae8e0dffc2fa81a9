"""The corpus and the concepts: disjoint, stable, and without a leak into each other."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import sha256_file
from latent_ledger.text import concepts, corpus
from latent_ledger.text.concept_sets import CONCEPTS
from latent_ledger.text.corpora.passages import Passages
from latent_ledger.text.corpora.splits import position, text_digest

PARTS = {"model": 0.6, "coder": 0.2, "evaluation": 0.1}


def split(tmp_path: Path, texts: list[str], name: str, **changes) -> dict[str, pa.Table]:
    """Split `texts`, given as one JSONL file, and read every part back."""
    source = tmp_path / f"{name}.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    settings = {"source": str(source), "parts": PARTS, "seed": 0} | changes
    outs = {part: tmp_path / name / part for part in settings["parts"]}
    for out in outs.values():
        out.mkdir(parents=True)
    facts = corpus.produce(settings, outs)
    tables = {part: parquet.read_table(out / "documents.parquet") for part, out in outs.items()}
    for part, table in tables.items():
        assert facts[part]["documents"] == table.num_rows
        assert facts[part]["bytes"] == sum(len(t.encode()) for t in table["text"].to_pylist())
    return tables


def sides(tables: dict[str, pa.Table]) -> dict[str, str]:
    """Text -> part."""
    return {text: part for part, table in tables.items() for text in table["text"].to_pylist()}


TEXTS = [f"document number {i}, café" for i in range(1000)]


def test_parts_are_disjoint_and_as_large_as_declared(tmp_path):
    tables = split(tmp_path, TEXTS + TEXTS[:100], "all")
    every = [text for table in tables.values() for text in table["text"].to_pylist()]
    assert len(every) == len(set(every))
    assert set(every) < set(TEXTS)  # a tenth is declared for nothing
    for part, fraction in PARTS.items():
        assert abs(tables[part].num_rows / 1000 - fraction) < 0.05
    for table in tables.values():
        assert table["doc_id"].to_pylist() == list(range(table.num_rows))
        assert table["sha256"].to_pylist() == [text_digest(t) for t in table["text"].to_pylist()]
        assert table.schema.names == ["doc_id", "sha256", "source", "text"]


def test_neither_order_nor_new_documents_nor_a_new_part_move_a_document(tmp_path):
    before = sides(split(tmp_path, TEXTS[:800], "before"))
    shuffled = split(tmp_path, TEXTS[:800][::-1], "shuffled")
    assert sides(shuffled) == before
    for part in PARTS:
        texts, shuffled_texts = (
            parquet.read_table(tmp_path / name / part / "documents.parquet", columns=["text"])
            for name in ("before", "shuffled")
        )
        assert texts == shuffled_texts
    grown = sides(split(tmp_path, TEXTS, "grown", parts=PARTS | {"scoring": 0.1}))
    assert {text: grown[text] for text in before} == before
    assert sides(split(tmp_path, TEXTS[:800], "other seed", seed=1)) != before


def test_equal_settings_give_equal_bytes(tmp_path):
    split(tmp_path, TEXTS, "same")
    settings = {"source": str(tmp_path / "same.jsonl"), "parts": PARTS, "seed": 0}
    corpus.produce(settings, {"coder": tmp_path})  # one part alone is the part among others
    first = sha256_file(tmp_path / "same" / "coder" / "documents.parquet")
    assert sha256_file(tmp_path / "documents.parquet") == first


def test_concept_texts_and_their_excerpts_are_kept_out(tmp_path):
    probing = concepts.all_texts()
    long = next(text for text in probing if len(text.encode()) > 300)
    short = next(text for text in probing if len(text.encode()) < 40)
    leaks = [long, short, "Quoted elsewhere: " + long[100:300]]
    fine = [f"An innocent sentence, {i}." for i in range(100)] + [short + " and others"]
    kept = sides(split(tmp_path, leaks + fine, "out", parts={"all": 1.0}, exclude_concepts=True))
    assert set(kept) == set(fine)
    kept = sides(split(tmp_path, leaks + fine, "in", parts={"all": 1.0}, exclude_concepts=False))
    assert set(kept) == set(fine + leaks)
    female = concepts.all_texts(["female"])[1000]
    named = {"parts": {"all": 1.0}, "exclude_concepts": ["female"]}
    assert set(sides(split(tmp_path, [female, *fine], "named", **named))) == set(fine)


@pytest.mark.slow
def test_the_embedded_corpus_shares_no_passage_with_the_occupations(tmp_path):
    settings = {
        "source": "embedded",
        "families": ["biographies", "headlines"],
        "parts": {"all": 1.0},
        "seed": 0,
        "exclude_concepts": True,
    }
    facts = corpus.produce(settings, {"all": tmp_path})
    texts = corpus.read(tmp_path)["text"].to_pylist()
    assert facts["all"]["documents"] == len(set(texts)) > 15_000
    assert not set(texts) & set(concepts.all_texts())
    assert not Passages(concepts.all_texts()).found_in(texts).any()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"parts": {"model": 0.7, "coder": 0.4}}, "sum to 1.1"),
        ({"parts": {"model": 0}}, "corpus.parts.model is 0"),
        ({"parts": {"model": 0.5, "tiny": 1e-12}}, "part 'tiny' is empty"),
        ({"exclude_concepts": ["actress"]}, "the nearest is 'actor'"),
    ],
)
def test_wrong_parts_are_refused(tmp_path, changes, line):
    with pytest.raises(LedgerError, match=line):
        split(tmp_path, TEXTS[:50], "bad", **changes)


def test_undeclared_part_is_refused(tmp_path):
    settings = {"source": "embedded", "families": ["news"], "parts": PARTS, "seed": 0}
    with pytest.raises(LedgerError, match="no part 'scoring'"):
        corpus.produce(settings, {"scoring": tmp_path})


# --- concepts ------------------------------------------------------------------------------------

PROBING = {
    "source": "embedded",
    "concepts": ["journalist", "athlete", "actor"],
    "examples": {"train": 400, "test": 200},
    "seed": 0,
}


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    out = tmp_path_factory.mktemp("concepts")
    facts = concepts.produce(PROBING, out)
    table = parquet.read_table(out / "examples.parquet")
    assert facts["examples"] == table.num_rows == 3 * 600
    assert facts["distinct_texts"] == len(set(table["text"].to_pylist())) < 3 * 600
    return table.to_pylist()


def test_examples_are_balanced_dense_and_distinct(examples):
    counts, texts = defaultdict(int), defaultdict(set)
    for row in examples:
        counts[row["concept"], row["split"], row["label"]] += 1
        texts[row["concept"]].add(row["text"])
        assert row["sha256"] == text_digest(row["text"])
    assert [row["example_id"] for row in examples] == list(range(len(examples)))
    assert set(counts.values()) == {200, 100}
    assert len(counts) == 12
    assert all(len(distinct) == 600 for distinct in texts.values())


def test_labels_are_those_of_the_wheel(examples):
    from latent_ledger.text.corpora.embedded import read_set

    truth = {name: dict(read_set(CONCEPTS[name].number)) for name in PROBING["concepts"]}
    assert all(truth[row["concept"]][row["text"]] == str(row["label"]) for row in examples)


def test_no_text_nor_excerpt_is_on_both_sides_of_any_concepts(examples):
    train = {row["text"] for row in examples if row["split"] == "train"}
    test = {row["text"] for row in examples if row["split"] == "test"}
    assert not train & test
    assert not Passages(sorted(train)).found_in(sorted(test)).any()
    # The check can fail: shuffling the same texts over the sides does leak.
    every = sorted(train | test, key=lambda text: position(text_digest(text), "shuffle"))
    assert Passages(every[::2]).found_in(every[1::2]).any()


def test_the_draw_depends_on_the_seed_and_on_nothing_else(tmp_path, examples):
    for name, changes in {"again": {}, "other": {"seed": 1}}.items():
        (tmp_path / name).mkdir()
        concepts.produce(PROBING | changes, tmp_path / name)
    again = parquet.read_table(tmp_path / "again" / "examples.parquet").to_pylist()
    other = parquet.read_table(tmp_path / "other" / "examples.parquet").to_pylist()
    assert again == examples
    assert [row["text"] for row in other] != [row["text"] for row in examples]


def labelled(folder, rows, names) -> list[dict]:
    """The examples of some concepts that labelled rows of a file give."""
    (folder / "people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {
        "source": str(folder / "people.jsonl"),
        "label_field": "job",
        "concepts": names,
        "examples": {"train": 40, "test": 20},
        "seed": 0,
    }
    out = folder / "out"
    out.mkdir()
    concepts.produce(settings, out)
    return parquet.read_table(out / "examples.parquet").to_pylist()


def test_labelled_folder_gives_concepts(tmp_path):
    jobs = ["nurse", "pilot", "judge"]
    rows = [{"text": f"Person {i} works.", "job": jobs[i % 3]} for i in range(300)]
    rows += [{"text": "Both at once.", "job": "nurse"}, {"text": "Both at once.", "job": "pilot"}]
    truth = {row["text"]: row["job"] for row in rows}
    for row in labelled(tmp_path, rows, ["nurse", "pilot"]):
        assert row["label"] == (truth[row["text"]] == row["concept"])
        assert row["text"] != "Both at once."


def test_a_contrast_holds_one_label_against_another(tmp_path):
    rows = [{"text": f"Person {i} works.", "job": i % 5} for i in range(400)]
    truth = {row["text"]: row["job"] for row in rows}
    drawn = labelled(tmp_path, rows, ["3 vs 1", "2"])
    labels = {(row["concept"], truth[row["text"]], row["label"]) for row in drawn}
    assert {label for label in labels if label[0] == "3 vs 1"} == {
        ("3 vs 1", 3, 1),
        ("3 vs 1", 1, 0),
    }
    assert {job for concept, job, label in labels if concept == "2" and label == 0} == {0, 1, 3, 4}


def test_a_slice_is_the_first_documents_as_they_stand(tmp_path):
    texts = ["second", "first", "second", "  ", "fourth", "fifth"]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    settings = {"source": str(tmp_path / "t.jsonl"), "slice": "four", "documents": 4}
    out = tmp_path / "out"
    out.mkdir()
    assert corpus.produce_slice(settings, out)["documents"] == 4
    assert corpus.read(out)["text"].to_pylist() == ["second", "first", "second", "fourth"]
    with pytest.raises(LedgerError, match="corpus.slices.four asks for 6 documents, and .* has 5"):
        corpus.produce_slice(settings | {"documents": 6}, out)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"concepts": ["jurnalist"]}, "the nearest is 'journalist'"),
        ({"examples": {"train": 401, "test": 200}}, "examples.train is 401: write an even"),
        ({"examples": {"train": 1200, "test": 600}}, "'journalist' has .* asked for: lower"),
        ({"source": "somewhere"}, "label_field"),
    ],
)
def test_wrong_concepts_are_refused(tmp_path, changes, line):
    with pytest.raises(LedgerError, match=line):
        concepts.produce(PROBING | changes, tmp_path)
