"""What latents fire on: planted detectors and random ones, and entropies known by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file
from scipy.sparse import csr_matrix

from latent_ledger.evaluations.headtohead import evaluation as headtohead
from latent_ledger.evaluations.latents import evaluation as latents
from latent_ledger.evaluations.latents import rows
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json, write_json
from latent_ledger.planning.stage import RowPlan
from latent_ledger.statistics import resampling
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
def found(tmp_path_factory):
    return measure(tmp_path_factory.mktemp("planted"), planted)


def test_a_latent_of_one_token_has_entropy_zero_and_is_token_like(found):
    _, _, table = found
    row = table.loc[0]
    assert (row.status, row.entropy, row.token_like, row.top_token) == ("live", 0.0, 1.0, 7)
    assert (row.top_share, row.top_mass) == (1.0, pytest.approx(1.0))
    assert row.context_dependence == 0.0  # it never misses its token
    assert row.firings == round(row.frequency * found[0]["tokens"])
    assert 1 < row.mean_activation < 2


def test_a_latent_of_two_tokens_has_nearly_one_bit(found):
    row = found[2].loc[1]
    p = row.top_share
    assert row.entropy == pytest.approx(-p * np.log2(p) - (1 - p) * np.log2(1 - p), abs=0.01)
    assert row.token_like == 1.0 and row.context_dependence == pytest.approx(0, abs=1e-9)


def test_a_latent_that_fires_anywhere_has_the_corpus_entropy_and_depends_on_no_token(found):
    facts, _, table = found
    row = table.loc[2]
    assert row.entropy == pytest.approx(facts["corpus_entropy"], abs=0.15)
    assert row.normalised_entropy == pytest.approx(1, abs=0.03)
    assert row.token_like == 0.0
    assert row.context_dependence == pytest.approx(1, abs=0.03)


def test_a_latent_that_waits_for_a_context_depends_on_it(found):
    row = found[2].loc[3]
    assert row.entropy == 0.0 and row.token_like == 1.0
    q = row.frequency
    assert row.context_dependence == pytest.approx(0.5 / (1 - q), abs=0.1)


def test_dead_and_rare_latents_are_reported_and_enter_no_mean(found):
    facts, metrics, table = found
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


def test_special_tokens_and_padding_are_left_out(found):
    facts, _, table = found
    assert facts["tokens"] == 499 * 14 + 7
    assert table.frequency[2] == pytest.approx(0.1, abs=0.01)
    assert not table.top_token.isin([BOS, EOS, PAD]).any()


def test_shuffled_latents_all_have_the_corpus_entropy(tmp_path):
    def shuffled(ids, rng):
        own = np.flatnonzero(ids >= 3)
        dense = np.zeros((len(ids), 20))
        for latent in range(20):
            dense[rng.permutation(own)[: 100 + 40 * latent], latent] = 1
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
def test_the_entropy_of_few_draws_is_far_less_biased_than_the_plug_in(n, bias):
    counts = np.random.default_rng(0).multinomial(n, ZIPF, size=400).astype(float)
    plug_in = np.mean([bits(row / n) for row in counts]) - bits(ZIPF)
    error = latents.entropy(csr_matrix(counts)).mean() - bits(ZIPF)
    assert abs(error) < bias and abs(error) < 0.2 * abs(plug_in)


def test_entropies_by_hand():
    counts = csr_matrix(
        np.array([[0, 0, 0], [5, 0, 0], [1, 0, 0], [4, 4, 0], [3, 1, 0], [2, 1, 1]])
    )
    found = latents.entropy(counts.astype(float)) * np.log(2)
    assert np.isnan(found[0]) and found[1:3].tolist() == [0, 0]
    # psi(n) - psi(x) = 1/x + ... + 1/(n - 1)
    assert found[3] == pytest.approx(1 / 4 + 1 / 5 + 1 / 6 + 1 / 7)
    seen = 3 / 4 * (1 / 3) + 1 / 4 * (1 + 1 / 2 + 1 / 3)
    assert found[4] == pytest.approx(seen)  # A = 1: one singleton alone promises nothing more
    a = 2 / (3 * 2 + 2)
    rest = -np.log(a) - sum((1 - a) ** r / r for r in (1, 2, 3))
    seen = 1 / 2 * (1 / 2 + 1 / 3) + 2 * 1 / 4 * (1 + 1 / 2 + 1 / 3)
    assert found[5] == pytest.approx(seen + 2 / 4 * (1 - a) ** -3 * rest)
    assert latents.corpus_entropy(np.full(256, 1000)) == pytest.approx(8, abs=1e-3)


@pytest.mark.parametrize(("total", "once", "twice"), [(40, 1, 8), (300, 5, 40), (400, 90, 9)])
def test_both_ways_of_summing_the_unseen_agree(total, once, twice):
    found = latents.unseen(total, once, twice)
    a = 2 * twice / ((total - 1) * once + 2 * twice)
    j = np.arange(1, int(60 / a))
    assert found == pytest.approx(once / total * ((1 - a) ** j / (total - 1 + j)).sum(), rel=1e-5)


def test_context_dependence_by_hand():
    occurrences = np.array([4, 4, 2, 1])
    firings = csr_matrix(np.array([[4.0, 0, 0, 0], [2, 0, 1, 0], [0, 0, 0, 1], [4, 4, 2, 1]]))
    found = latents.context_dependence(firings, occurrences)
    assert found[0] == 0
    r = (2 * 1 / 3 + 1 * 0) / 3  # 2 of 4, so 1 of the other 3; 1 of 2, so 0 of the other
    assert found[1] == pytest.approx((1 - r) / (1 - 3 / 11))
    assert np.isnan(found[2]) and np.isnan(found[3])  # no repeat; fires everywhere


def test_equal_inputs_give_equal_bytes_whatever_the_shards(tmp_path):
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
    one, _, four = (
        pq.read_table(tmp_path / f"out{number}" / latents.TABLE).to_pandas() for number in range(3)
    )
    pd.testing.assert_frame_equal(one, four, rtol=1e-12)


def test_a_gap_between_two_coders_is_found_and_no_gap_is_not(tmp_path):
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
        values[name] = headtohead.values_of(tmp_path / name / "out", "token_share")
    gap, none = (
        resampling.compare(values["a"], values[name], resamples=500, seed=0, paired=False)
        for name in "bc"
    )
    assert gap.ci_excludes_zero and gap.estimate == pytest.approx(0.6)
    assert not none.ci_excludes_zero


def test_the_row_and_the_section_tell_what_was_found(tmp_path):
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
    told = rows.section([SimpleNamespace(**vars(row), metrics=finding.metrics, values=values)])
    assert "| `sae-k8-s0` |" in told and "0.750 [" in told and "4 latents" in told
    assert rows.section([]) == ""


def test_what_does_not_belong_together_or_is_too_little_is_one_line(tmp_path):
    tokens, ids = token_set(tmp_path / "tokens", 20)
    short = codes_of(tmp_path / "short", np.ones((len(ids) - 1, 2)))
    with pytest.raises(LedgerError, match="encode again"):
        latents.produce(SETTINGS, tokens, short, tmp_path)
    silent = codes_of(tmp_path / "silent", np.zeros((len(ids), 2)))
    with pytest.raises(LedgerError, match="lower evaluations.latents.min_firings"):
        latents.produce(SETTINGS, tokens, silent, tmp_path)
