"""Latent statistics of planted and random detectors, and entropies computed by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file
from scipy.sparse import csr_matrix

from latent_ledger.evaluations.latents import evaluation as latents
from latent_ledger.evaluations.latents import rows
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json, write_json
from latent_ledger.planning.stage import RowPlan
from latent_ledger.statistics import reading, resampling
from tests.tiny_models import folder_digest

BOS, EOS, PAD, VOCABULARY = 0, 1, 2, 103
CONTEXT = 16
SETTINGS = {"min_firings": 20, "token_like_bits": 2.0, "resamples": 200, "seed": 0}


def token_set(folder: Path, contexts: int, seed: int = 0) -> tuple[Path, np.ndarray]:
    """Zipf tokens behind BOS, an EOS in the middle, the last context half padding: folder, ids.

    The ids are those of the rows that codes have.
    """
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, 101)
    ids = 3 + rng.choice(100, (contexts, CONTEXT), p=share / share.sum()).astype(np.int32)
    ids[:, 0], ids[:, 8], ids[-1, 9:] = BOS, EOS, PAD
    lengths = np.full(contexts, CONTEXT, np.int32)
    lengths[-1] = 9
    doc_ids = np.where(ids < 3, -1, 0).astype(np.int32)
    folder.mkdir(parents=True)
    arrays = {"input_ids": ids, "doc_ids": doc_ids, "lengths": lengths}
    save_file(arrays, folder / "tokens.safetensors")
    write_json(folder / "meta.json", {"vocab_size": VOCABULARY, "context": CONTEXT})
    return folder, ids[np.arange(CONTEXT) < lengths[:, None]]


def codes_of(folder: Path, dense: np.ndarray, shards: int = 3) -> Path:
    """Activations [rows, width] as a codes folder."""
    folder.mkdir(parents=True)
    parts = np.array_split(np.asarray(dense, np.float32), shards)
    for number, part in enumerate(parts):
        matrix = csr_matrix(part)
        save_file(
            {
                "indptr": matrix.indptr.astype(np.int64),
                "indices": matrix.indices.astype(np.int32),
                "values": matrix.data,
            },
            folder / f"codes-{number:05d}.safetensors",
        )
    meta = {"width": dense.shape[1], "n_rows": len(dense), "shards": [len(part) for part in parts]}
    write_json(folder / "meta.json", meta)
    return folder


def measure(folder: Path, fires, *, contexts: int = 500, **settings):
    """Facts, metrics by name and table of the latents `fires(ids, rng)` [rows, width] says."""
    tokens, ids = token_set(folder / "tokens", contexts)
    codes = codes_of(folder / "codes", fires(ids, np.random.default_rng(1)))
    out = folder / "out"
    out.mkdir()
    facts = latents.produce(SETTINGS | settings, tokens, codes, out)
    metrics = {metric["name"]: metric for metric in read_json(out / "metrics.json")["metrics"]}
    return facts, metrics, pq.read_table(out / latents.TABLE).to_pandas()


def planted(ids, rng):
    """One token; one of two tokens; anywhere; a token in half of its contexts; dead; rare."""
    anywhere = rng.random(len(ids)) < 0.1
    half = (ids == 5) & (rng.random(len(ids)) < 0.5)
    rare = np.zeros(len(ids), bool)
    rare[np.flatnonzero(ids == 4)[:3]] = True
    fires = np.stack([ids == 7, np.isin(ids, [8, 9]), anywhere, half, ids == -1, rare], axis=1)
    fires[ids < 3] = True  # on every special token, which must not matter
    fires[:, 4] &= ids < 3
    return fires * rng.uniform(1, 2, fires.shape)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    return measure(tmp_path_factory.mktemp("planted"), planted)


def test_latent_of_one_token_has_entropy_zero_and_is_token_like(measured):
    _, _, table = measured
    row = table.loc[0]
    assert (row.status, row.entropy, row.token_like, row.top_token) == ("live", 0.0, 1.0, 7)
    assert (row.top_share, row.top_mass) == (1.0, pytest.approx(1.0))
    assert row.context_dependence == 0.0  # it never misses its token
    assert row.firings == round(row.frequency * measured[0]["tokens"])
    assert 1 < row.mean_activation < 2


def test_latent_of_two_tokens_has_nearly_one_bit(measured):
    row = measured[2].loc[1]
    p = row.top_share
    assert row.entropy == pytest.approx(-p * np.log2(p) - (1 - p) * np.log2(1 - p), abs=0.01)
    assert row.token_like == 1.0 and row.context_dependence == pytest.approx(0, abs=1e-9)


def test_latent_that_fires_anywhere_has_corpus_entropy(measured):
    facts, _, table = measured
    row = table.loc[2]
    assert row.entropy == pytest.approx(facts["corpus_entropy"], abs=0.15)
    assert row.normalised_entropy == pytest.approx(1, abs=0.03)
    assert row.token_like == 0.0
    assert row.context_dependence == pytest.approx(1, abs=0.03)


def test_latent_of_half_the_contexts_depends_on_context(measured):
    row = measured[2].loc[3]
    assert row.entropy == 0.0 and row.token_like == 1.0
    q = row.frequency
    assert row.context_dependence == pytest.approx(0.5 / (1 - q), abs=0.1)


def test_dead_and_rare_latents_are_reported_and_enter_no_mean(measured):
    facts, metrics, table = measured
    assert table.status.tolist() == ["live"] * 4 + ["dead", "rare"]
    assert table.firings[4] == 0 and table.top_token[4] == -1
    assert table.loc[4, ["entropy", "top_share", "mean_activation"]].isna().all()
    assert (table.firings[5], table.top_token[5]) == (3, 4)
    assert (facts["live"], facts["rare"], facts["dead"], facts["token_like"]) == (4, 1, 1, 3)
    assert metrics["token_entropy"]["n"] == metrics["token_share"]["n"] == 4
    assert metrics["token_entropy"]["estimate"] == pytest.approx(table.entropy[:4].mean())
    assert metrics["token_share"]["estimate"] == 0.75
    assert metrics["live_share"]["estimate"] == pytest.approx(4 / 6)
    assert metrics["frequency_p50"]["estimate"] == pytest.approx(table.frequency[:4].median())


def test_special_tokens_and_padding_are_left_out(measured):
    facts, _, table = measured
    assert facts["tokens"] == 499 * 14 + 7
    assert table.frequency[2] == pytest.approx(0.1, abs=0.01)
    assert not table.top_token.isin([BOS, EOS, PAD]).any()


def test_shuffled_latents_all_have_the_corpus_entropy(tmp_path):
    def shuffled(ids, rng):
        text_rows = np.flatnonzero(ids >= 3)
        dense = np.zeros((len(ids), 20))
        for latent in range(20):
            dense[rng.permutation(text_rows)[: 100 + 40 * latent], latent] = 1
        return dense

    facts, metrics, table = measure(tmp_path, shuffled)
    low, high = metrics["normalised_entropy"]["ci"]
    assert low < 1 < high or abs(metrics["normalised_entropy"]["estimate"] - 1) < 0.01
    assert metrics["token_share"]["estimate"] == 0
    assert metrics["context_dependence"]["estimate"] == pytest.approx(1, abs=0.01)


ZIPF = 1 / np.arange(1, 201) / (1 / np.arange(1, 201)).sum()


def bits(share):
    share = share[share > 0]
    return float(-(share * np.log2(share)).sum())


@pytest.mark.parametrize(("n", "bias"), [(50, 0.3), (200, 0.1), (2000, 0.02)])
def test_entropy_of_few_draws_is_less_biased_than_plug_in(n, bias):
    counts = np.random.default_rng(0).multinomial(n, ZIPF, size=400).astype(float)
    plug_in = np.mean([bits(row / n) for row in counts]) - bits(ZIPF)
    error = latents.entropy(csr_matrix(counts)).mean() - bits(ZIPF)
    assert abs(error) < bias and abs(error) < 0.2 * abs(plug_in)


def test_entropy_equals_hand_computation():
    counts = csr_matrix(
        np.array([[0, 0, 0], [5, 0, 0], [1, 0, 0], [4, 4, 0], [3, 1, 0], [2, 1, 1]])
    )
    entropies = latents.entropy(counts.astype(float)) * np.log(2)
    assert np.isnan(entropies[0]) and entropies[1:3].tolist() == [0, 0]
    # psi(n) - psi(x) = 1/x + ... + 1/(n - 1)
    assert entropies[3] == pytest.approx(1 / 4 + 1 / 5 + 1 / 6 + 1 / 7)
    seen = 3 / 4 * (1 / 3) + 1 / 4 * (1 + 1 / 2 + 1 / 3)
    assert entropies[4] == pytest.approx(seen)  # A = 1: one singleton alone promises nothing more
    a = 2 / (3 * 2 + 2)
    rest = -np.log(a) - sum((1 - a) ** r / r for r in (1, 2, 3))
    seen = 1 / 2 * (1 / 2 + 1 / 3) + 2 * 1 / 4 * (1 + 1 / 2 + 1 / 3)
    assert entropies[5] == pytest.approx(seen + 2 / 4 * (1 - a) ** -3 * rest)
    assert latents.corpus_entropy(np.full(256, 1000)) == pytest.approx(8, abs=1e-3)


@pytest.mark.parametrize(("total", "once", "twice"), [(40, 1, 8), (300, 5, 40), (400, 90, 9)])
def test_unseen_entropy_equals_direct_series(total, once, twice):
    nats = latents.unseen(total, once, twice)
    a = 2 * twice / ((total - 1) * once + 2 * twice)
    j = np.arange(1, int(60 / a))
    assert nats == pytest.approx(once / total * ((1 - a) ** j / (total - 1 + j)).sum(), rel=1e-5)


def test_context_dependence_equals_hand_computation():
    occurrences = np.array([4, 4, 2, 1])
    firings = csr_matrix(np.array([[4.0, 0, 0, 0], [2, 0, 1, 0], [0, 0, 0, 1], [4, 4, 2, 1]]))
    dependence = latents.context_dependence(firings, occurrences)
    assert dependence[0] == 0
    r = (2 * 1 / 3 + 1 * 0) / 3  # 2 of 4, so 1 of the other 3; 1 of 2, so 0 of the other
    assert dependence[1] == pytest.approx((1 - r) / (1 - 3 / 11))
    assert np.isnan(dependence[2]) and np.isnan(dependence[3])  # no repeat; fires everywhere


def test_equal_inputs_give_equal_bytes_for_any_shards(tmp_path):
    tokens, ids = token_set(tmp_path / "tokens", 60)
    dense = planted(ids, np.random.default_rng(1)).round(1)
    digests = []
    for number, shards in enumerate((1, 1, 4)):
        out = tmp_path / f"out{number}"
        out.mkdir()
        codes = codes_of(tmp_path / f"codes{number}", dense, shards)
        latents.produce(SETTINGS | {"min_firings": 5}, tokens, codes, out)
        digests.append(folder_digest(out))
    assert digests[0] == digests[1]
    unsharded, _, sharded = (
        pq.read_table(tmp_path / f"out{number}" / latents.TABLE).to_pandas() for number in range(3)
    )
    pd.testing.assert_frame_equal(unsharded, sharded, rtol=1e-12)


def test_contrast_of_coders_excludes_zero_only_with_planted_gap(tmp_path):
    def detectors(share):
        def fires(ids, rng):
            tokens = [ids == 3 + number for number in range(30)]
            random = [rng.random(len(ids)) < 0.05 for _ in range(30)]
            cut = round(30 * share)
            return np.stack(tokens[:cut] + random[cut:], axis=1) & (ids >= 3)[:, None]

        return fires

    values = {}
    for name, share in (("a", 0.8), ("b", 0.2), ("c", 0.8)):
        measure(tmp_path / name, detectors(share))
        values[name] = reading.values_of(tmp_path / name / "out", "token_share")
    gap, none = (
        resampling.compare(values["a"], values[name], resamples=500, seed=0, paired=False)
        for name in "bc"
    )
    assert gap.ci_excludes_zero and gap.estimate == pytest.approx(0.6)
    assert not none.ci_excludes_zero


def test_row_and_section_state_metrics(tmp_path):
    facts, metrics, _ = measure(tmp_path, planted)
    payload = SimpleNamespace(folder=lambda: tmp_path / "out", facts=facts)
    row = RowPlan("latents-sae-k8-s0", "latents", "results/latents/sae-k8-s0.json", {})
    finding = rows.read(row, payload)
    assert finding.main["name"] == "token_entropy"
    assert finding.null == facts["corpus_entropy"]  # what latents without a preference would have
    assert "(n=4 latents; the corpus has 5.3" in finding.key_results
    assert "token detectors 75.0% of live latents" in finding.key_results
    assert "4 live, 1 rare, 1 dead latents" in finding.key_results
    values = {"model": "a model"}
    section = rows.section([SimpleNamespace(**vars(row), metrics=finding.metrics, values=values)])
    assert "| `sae-k8-s0` |" in section and "0.750 [" in section and "4 latents" in section
    assert rows.section([]) == ""


def test_codes_of_other_length_or_without_firings_are_refused(tmp_path):
    tokens, ids = token_set(tmp_path / "tokens", 20)
    short = codes_of(tmp_path / "short", np.ones((len(ids) - 1, 2)))
    with pytest.raises(LedgerError, match="encode again"):
        latents.produce(SETTINGS, tokens, short, tmp_path)
    silent = codes_of(tmp_path / "silent", np.zeros((len(ids), 2)))
    with pytest.raises(LedgerError, match="lower evaluations.latents.min_firings"):
        latents.produce(SETTINGS, tokens, silent, tmp_path)
