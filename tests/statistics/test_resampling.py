"""Bootstrap intervals and contrasts, against scipy, scikit-learn, hand counts and simulation."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import roc_auc_score

from latent_ledger.lib.errors import LedgerError
from latent_ledger.statistics import resampling
from latent_ledger.statistics.resampling import Values, compare, estimate, holm


def mean_of(a, ids=None) -> Values:
    return Values(np.arange(len(a)) if ids is None else ids, "mean", np.asarray(a))


def ratio_of(a, b) -> Values:
    return Values(np.arange(len(a)), "ratio", np.asarray(a), np.asarray(b))


def auroc_of(score, label, ids=None) -> Values:
    ids = np.arange(len(score)) if ids is None else ids
    return Values(ids, "auroc", np.asarray(score), np.asarray(label))


def skewed(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(size=n)


def bounds(result) -> list[float]:
    return [result.low, result.high]


def bca(result) -> list[float]:
    return [result.bca_low, result.bca_high]


def scipy_bootstrap(data, statistic, method, *, seed=0, resamples=4000, **options):
    """scipy's interval from the same stream of resample indices as ours for one sample."""
    return scipy.stats.bootstrap(
        data,
        statistic,
        n_resamples=resamples,
        confidence_level=0.9,
        method=method,
        rng=np.random.default_rng(seed),
        vectorized=True,
        **options,
    )


# -- the statistics themselves ---------------------------------------------------------------------


def test_weighted_mean_and_ratio_equal_hand_computation():
    counts = np.array([[1, 1, 1], [0, 3, 0], [2, 0, 1]])
    assert mean_of([1.0, 2.0, 6.0]).weighted(counts) == pytest.approx([3, 2, 8 / 3])
    ratio = ratio_of([1.0, 2.0, 6.0], [2.0, 2.0, 4.0])
    assert ratio.weighted(counts) == pytest.approx([9 / 8, 1, 1])
    assert ratio.per_unit() == pytest.approx([0.5, 1.0, 1.5])


def test_auroc_with_tie_equals_hand_computation():
    # positives 0.8 and 0.5 against negatives 0.5 and 0.1: wins 2 + (1/2 + 1) of 4.
    values = auroc_of([0.1, 0.5, 0.5, 0.8], [0, 0, 1, 1])
    assert values.estimate() == 3.5 / 4
    assert values.per_unit() is None


@pytest.mark.parametrize("levels", [5, 1000])
def test_weighted_auroc_equals_sklearn_with_sample_weights(levels):
    rng = np.random.default_rng(3)
    score, label = rng.integers(0, levels, 80) / levels, rng.integers(0, 2, 80)
    counts = rng.multinomial(80, np.full(80, 1 / 80), size=50)
    ours = auroc_of(score, label).weighted(counts)
    theirs = [roc_auc_score(label, score, sample_weight=row) for row in counts]
    assert ours == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize(
    "values",
    [
        mean_of(skewed(40)),
        ratio_of(skewed(40), 1 + skewed(40, 1)),
        auroc_of(np.round(skewed(40), 1), np.arange(40) % 3 == 0),
    ],
    ids=["mean", "ratio", "auroc"],
)
def test_jackknife_leaves_each_unit_out_once(values):
    left_out = values.weighted(1 - np.eye(40))
    assert values.jackknife() == pytest.approx(left_out, abs=1e-12)


def test_resamples_do_not_depend_on_chunks(monkeypatch):
    whole = estimate(mean_of(skewed(50)), resamples=1000, seed=1)
    monkeypatch.setattr(resampling, "CELLS_PER_CHUNK", 777)
    chunked = estimate(mean_of(skewed(50)), resamples=1000, seed=1)
    assert bounds(chunked) == pytest.approx(bounds(whole), rel=1e-12)
    rows = list(resampling._counts(np.random.default_rng(0), 50, 1000))
    assert sum(map(len, rows)) == 1000 and max(row.size for row in rows) <= 777
    assert all((row.sum(axis=1) == 50).all() for row in rows)


# -- intervals against scipy -----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_mean_interval_equals_scipy_on_same_resamples(method):
    data = skewed(60)
    ours = estimate(mean_of(data), resamples=4000, seed=0, level=0.9)
    theirs = scipy_bootstrap((data,), np.mean, method)
    assert (bca if method == "BCa" else bounds)(ours) == pytest.approx(
        list(theirs.confidence_interval), rel=1e-9
    )
    assert ours.se == pytest.approx(theirs.standard_error, rel=1e-9)
    assert ours.estimate == pytest.approx(data.mean())


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_ratio_interval_equals_scipy_on_same_resamples(method):
    a = skewed(60)
    b = a + 1 + skewed(60, 1)
    ours = estimate(ratio_of(a, b), resamples=4000, seed=0, level=0.9)
    theirs = scipy_bootstrap(
        (a, b), lambda x, y, axis: x.sum(axis) / y.sum(axis), method, paired=True
    )
    assert (bca if method == "BCa" else bounds)(ours) == pytest.approx(
        list(theirs.confidence_interval), rel=1e-9
    )


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_paired_ratio_difference_equals_scipy_on_same_resamples(method):
    rng = np.random.default_rng(5)
    total_a, total_b = 1 + skewed(60, 1), 1 + skewed(60, 2)
    a, b = total_a * rng.uniform(0.5, 1, 60), total_b * rng.uniform(0.3, 0.9, 60)
    ours = compare(ratio_of(a, total_a), ratio_of(b, total_b), resamples=4000, seed=0, level=0.9)
    theirs = scipy_bootstrap(
        (a, total_a, b, total_b),
        lambda a, s, b, t, axis: a.sum(axis) / s.sum(axis) - b.sum(axis) / t.sum(axis),
        method,
        paired=True,
    )
    assert ours.paired and ours.n == ours.n_a == ours.n_b == 60
    assert (bca if method == "BCa" else bounds)(ours) == pytest.approx(
        list(theirs.confidence_interval), rel=1e-9
    )


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_unpaired_mean_difference_equals_scipy_within_monte_carlo_error(method):
    a, b = skewed(50), 0.5 * skewed(80, 1)
    ours = compare(mean_of(a), mean_of(b), resamples=20_000, seed=0, level=0.9)
    theirs = scipy_bootstrap(
        (a, b), lambda x, y, axis: x.mean(axis) - y.mean(axis), method, resamples=20_000, seed=9
    )
    assert not ours.paired and (ours.n, ours.n_a, ours.n_b) == (130, 50, 80)
    # Two independent 5% quantiles of 20,000 draws differ by 0.02 standard errors (one sigma).
    assert (bca if method == "BCa" else bounds)(ours) == pytest.approx(
        list(theirs.confidence_interval), abs=0.1 * theirs.standard_error
    )


def test_bca_differs_from_percentile_on_skewed_data_towards_the_tail():
    result = estimate(mean_of(skewed(40)), seed=0)
    assert result.bca_low > result.low and result.bca_high > result.high


@pytest.mark.parametrize("samples", [1, 2])
def test_acceleration_equals_scipy_on_same_distribution(samples):
    data = [skewed(20 + 7 * i, i) for i in range(samples)]
    signs = [1, -1][:samples]

    def statistic(*arms, axis):
        return sum(sign * arm.mean(axis) for sign, arm in zip(signs, arms, strict=True))

    theirs = scipy_bootstrap(data, statistic, "BCa")
    left_out = [sign * mean_of(arm).jackknife() for sign, arm in zip(signs, data, strict=True)]
    assert abs(resampling.acceleration(left_out)) > 0.01  # the case is not a trivial one
    drawn = theirs.bootstrap_distribution
    _, _, *ours, se = resampling._bounds(drawn, statistic(*data, axis=-1), left_out, 0.9)
    assert ours == pytest.approx(list(theirs.confidence_interval), rel=1e-9)
    assert se == pytest.approx(theirs.standard_error)


# -- coverage --------------------------------------------------------------------------------------


# A share p of n independent experiments has the binomial standard error sqrt(p (1 - p) / n). For a
# coverage of 95% and n = 1000 that is 0.69%; the margin of 2.5% is 3.6 of them. At p = 0.5 it is
# 1.58%, and the margin of 5.7% is 3.6 of them too.
EXPERIMENTS = 1000
MARGIN, MARGIN_AT_HALF = 0.025, 0.057


@pytest.mark.slow
def test_mean_intervals_cover_at_their_level():
    rng = np.random.default_rng(2024)
    samples = rng.normal(loc=1.0, scale=2.0, size=(EXPERIMENTS, 120))
    results = [estimate(mean_of(row), resamples=800, seed=i) for i, row in enumerate(samples)]
    for name in ("", "bca_"):
        low, high = (np.array([getattr(r, name + end) for r in results]) for end in ("low", "high"))
        assert np.mean((low <= 1.0) & (high >= 1.0)) == pytest.approx(0.95, abs=MARGIN)


@pytest.mark.slow
def test_paired_intervals_cover_and_reject_null_at_their_level(monkeypatch):
    # Only the bootstrap is on trial; a thousand Mann-Whitney tests would take most of the time.
    monkeypatch.setattr(resampling, "_classical", lambda a, b: (None, None, None))
    rng = np.random.default_rng(2025)
    shared = rng.normal(size=(EXPERIMENTS, 120))
    first = shared + rng.normal(size=shared.shape)
    second = shared + rng.normal(size=shared.shape)
    results = [
        compare(mean_of(a), mean_of(b), resamples=800, seed=i)
        for i, (a, b) in enumerate(zip(first, second, strict=True))
    ]
    assert all(r.paired for r in results)
    for name in ("", "bca_"):
        low, high = (np.array([getattr(r, name + end) for r in results]) for end in ("low", "high"))
        assert np.mean((low <= 0) & (high >= 0)) == pytest.approx(0.95, abs=MARGIN)
    assert np.mean([r.p <= 0.05 for r in results]) == pytest.approx(0.05, abs=MARGIN)
    assert np.mean([r.p <= 0.5 for r in results]) == pytest.approx(0.5, abs=MARGIN_AT_HALF)


# -- contrasts -------------------------------------------------------------------------------------


@pytest.fixture
def correlated() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    shared = rng.normal(size=200)
    return shared + 0.1 * rng.normal(size=200) + 0.1, shared + 0.1 * rng.normal(size=200)


def test_pairing_of_correlated_arms_narrows_interval(correlated):
    a, b = map(mean_of, correlated)
    paired = compare(a, b, seed=0, resamples=2000)
    unpaired = compare(a, b, seed=0, resamples=2000, paired=False)
    assert paired.paired and not unpaired.paired
    assert paired.high - paired.low < 0.3 * (unpaired.high - unpaired.low)
    assert paired.ci_excludes_zero and paired.low < 0.1 < paired.high
    assert paired.p == pytest.approx(2 / 2001)
    assert not unpaired.ci_excludes_zero and unpaired.p > 0.1
    assert paired.estimate == unpaired.estimate == pytest.approx(np.mean(a.a - b.a))


def test_constant_paired_difference_has_interval_of_width_zero():
    a = skewed(100)
    result = compare(mean_of(a + 0.25), mean_of(a), seed=0, resamples=500)
    assert [*bounds(result), *bca(result)] == pytest.approx([0.25] * 4)


@pytest.mark.parametrize("statistic", ["mean", "ratio", "auroc"])
def test_identical_arms_have_difference_zero(statistic):
    b = {"mean": None, "ratio": 1 + skewed(50), "auroc": np.arange(50) % 2}[statistic]
    values = Values(np.arange(50), statistic, skewed(50, 1), b)
    result = compare(values, values, seed=0, resamples=500)
    assert result.estimate == 0 and bounds(result) == bca(result) == [0, 0]
    assert result.p == 1 and not result.ci_excludes_zero


def test_swapping_paired_arms_mirrors_the_contrast(correlated):
    a, b = map(mean_of, correlated)
    forward, mirrored = compare(a, b, seed=3), compare(b, a, seed=3)
    assert bounds(forward) == pytest.approx([-mirrored.high, -mirrored.low], abs=1e-12)
    assert bca(forward) == pytest.approx([-mirrored.bca_high, -mirrored.bca_low], abs=1e-9)
    assert forward.p == mirrored.p


def test_p_value_equals_documented_formula(correlated):
    a, b = correlated[0][:15], correlated[1][:15] + 0.05
    result = compare(mean_of(a), mean_of(b), seed=11, resamples=999)
    units = np.random.default_rng(11).integers(0, 15, size=(999, 15))
    drawn = (a - b)[units].mean(axis=1)
    expected = 2 * (1 + min((drawn <= 0).sum(), (drawn >= 0).sum())) / 1000
    assert 0.002 < expected < 1  # the planted case is neither certain nor void
    assert result.p == pytest.approx(expected)


def test_classical_tests_equal_scipy(correlated):
    a, b = correlated
    result = compare(mean_of(a), mean_of(b[:150]), seed=0, resamples=100)
    assert result.p_welch == scipy.stats.ttest_ind(a, b[:150], equal_var=False).pvalue
    assert result.p_mannwhitney == scipy.stats.mannwhitneyu(a, b[:150]).pvalue
    assert result.tests_note is None


def test_undefined_classical_tests_have_a_note():
    auroc = auroc_of(skewed(20), np.arange(20) % 2)
    result = compare(auroc, auroc, seed=0, resamples=50)
    assert result.p_welch is result.p_mannwhitney is None and "AUROC" in result.tests_note
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        flat = compare(mean_of(np.ones(9)), mean_of(np.ones(8)), seed=0, resamples=50)
    assert flat.p_welch is None and "varies" in flat.tests_note
    holed = compare(
        ratio_of([1.0, 2, 0], [2.0, 3, 0]), ratio_of([1.0, 1, 1], [2.0, 3, 4]), seed=0, resamples=50
    )
    assert holed.p_welch is not None and holed.tests_note.startswith("1 units")


def test_intervals_do_not_depend_on_order_of_units():
    rng = np.random.default_rng(1)
    ids = np.array([f"doc-{i}" for i in range(70)], dtype=object)
    shuffle = rng.permutation(70)
    a, b, total = skewed(70), skewed(70, 1), 1 + skewed(70, 2)
    straight = Values(ids, "ratio", a, total), Values(ids, "ratio", b, total)
    mixed = Values(ids[shuffle], "ratio", a[shuffle], total[shuffle])
    options = {"resamples": 300, "seed": 5}
    assert estimate(straight[0], **options) == estimate(mixed, **options)
    assert compare(*straight, **options) == compare(mixed, straight[1], **options)
    assert compare(mixed, straight[1], **options).n == 70


def test_arms_that_share_only_some_units_are_unpaired():
    result = compare(mean_of(skewed(30)), mean_of(skewed(30), np.arange(1, 31)), seed=0)
    assert not result.paired
    with pytest.raises(LedgerError, match="unit ids differ"):
        compare(mean_of(skewed(30)), mean_of(skewed(29)), seed=0, paired=True)


def test_seed_decides_the_resamples():
    values = mean_of(skewed(30))
    assert estimate(values, seed=1, resamples=99) == estimate(values, seed=1, resamples=99)
    assert bounds(estimate(values, seed=1, resamples=99)) != bounds(
        estimate(values, seed=2, resamples=99)
    )


# -- edges -----------------------------------------------------------------------------------------


def test_resamples_of_one_class_are_left_out_and_counted():
    values = auroc_of([0.1, 0.6, 0.3, 0.9], [0, 0, 1, 1])
    result = estimate(values, seed=0, resamples=4000)
    # Both classes are missed with probability 2 * (1/2)^4 = 1/8 (standard error 0.5%).
    assert result.excluded / 4000 == pytest.approx(1 / 8, abs=0.025)
    assert 0 <= result.low <= result.estimate <= result.high <= 1


def test_degenerate_distributions_have_a_defined_interval():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constant = estimate(mean_of(np.full(20, 0.5)), seed=0, resamples=200)
        perfect = estimate(auroc_of([0.0, 1.0], [0, 1]), seed=0, resamples=200)
        single = estimate(mean_of([3.0]), seed=0, resamples=200)
    assert constant.ci == bca(constant) == [0.5, 0.5] and constant.se == 0
    assert bounds(perfect) == bca(perfect) == [1, 1]
    assert single.estimate == 3 and single.ci is None and single.n == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mean_of([]), "at least one unit"),
        (lambda: mean_of([1.0, np.nan]), "Unit 1 has no finite value"),
        (lambda: mean_of([1.0, 2.0], np.array([4, 4])), "occurs twice"),
        (lambda: auroc_of([1.0, 2.0], [1, 1]), "labels 0 and 1"),
        (lambda: auroc_of([1.0, 2.0, 3.0], [0, 1, 2]), "labels 0 and 1"),
        (lambda: ratio_of([1.0, 2.0], [1.0, -1.0]), "sum to zero"),
        (lambda: Values(np.arange(2), "median", np.ones(2)), "Unknown statistic"),
        (lambda: Values(np.arange(2), "ratio", np.ones(2)), "two columns"),
        (lambda: Values(np.arange(2), "mean", np.ones(2), np.ones(2)), "one column"),
        (lambda: Values(np.arange(2), "mean", np.ones(3)), "2"),
        (lambda: estimate(mean_of([1.0, 2.0]), seed=0, level=95), "level"),
        (lambda: compare(mean_of([1.0]), mean_of([1.0]), seed=0), "two units"),
        (lambda: compare(mean_of([1.0, 2]), ratio_of([1.0, 1], [1, 1]), seed=0), "compared"),
        (
            lambda: compare(auroc_of([1, 2], [0, 1]), auroc_of([1, 2], [1, 0]), seed=0),
            "disagree on labels",
        ),
        (lambda: holm([0.1, np.nan]), "p-values"),
    ],
)
def test_undefined_input_is_refused(make, message):
    with pytest.raises(LedgerError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_holm_equals_hand_computation():
    # Ascending 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, then the running maximum.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.6]) == pytest.approx([1, 1])
    assert holm([]).size == 0


def test_holm_equals_statsmodels():
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(0)
    for size in (1, 2, 7, 40):
        p = rng.uniform(size=size) ** 3
        p[size // 2] = p[0]  # a tie
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-15)
