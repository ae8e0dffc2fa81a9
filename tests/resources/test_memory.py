"""The planner against the numbers of the reference ledger's failed run and of its repair."""

import pytest

from latent_ledger.resources.architectures import published
from latent_ledger.resources.devices import gpus
from latent_ledger.resources.memory import Served, fit, gib, resident, room, smallest

L4, A100 = gpus()["L4"], gpus()["A100-40GB"]
SEVEN = Served(published()["Qwen/Qwen2.5-7B-Instruct"], "bfloat16", 5120)
THREE = Served(published()["Qwen/Qwen2.5-3B-Instruct"], "bfloat16", 5120)
GEMMA = resident(published()["google/gemma-2-2b"], "bfloat16")


def test_weights_and_cache_of_the_seven_billion_scorer():
    assert SEVEN.weights == pytest.approx(14.19, abs=0.01)
    assert SEVEN.sequence == 280 / 1024


def test_failed_attempt_of_the_reference_does_not_fit():
    """Beside Gemma-2-2B an L4 has 16.05 GiB free: 0.9 asks for 19.83, and 0.5 holds no weights."""
    assert gib(2 * 2_614_341_888) == pytest.approx(4.87, abs=0.01)
    asked = fit(SEVEN, L4, 0.9, GEMMA)
    assert not asked.fits
    assert asked.asked == pytest.approx(19.83, abs=0.01)
    assert asked.free == pytest.approx(16.05, abs=0.1)
    assert "19.83" in asked.why and "free" in asked.why
    half = fit(SEVEN, L4, 0.5, GEMMA)
    assert not half.fits and "less than" in half.why and "weights 14.2" in half.why


def test_no_share_works_beside_the_model_on_an_l4():
    any_share = fit(SEVEN, L4, None, GEMMA)
    assert not any_share.fits and "no share of L4 works" in any_share.why
    shares = [fit(SEVEN, L4, share / 1000, GEMMA).fits for share in range(1, 1001)]
    assert not any(shares)


def test_in_a_job_of_its_own_it_fits_the_l4():
    alone = fit(SEVEN, L4, 0.85)
    assert alone.fits and alone.sequences >= 10, alone.why
    assert "fits" in alone.why and "L4" in alone.why


def test_both_fit_an_a100_at_the_references_share():
    together = fit(SEVEN, A100, 0.65, GEMMA)
    assert together.fits and together.sequences > 17, together.why
    assert fit(SEVEN, A100, None, GEMMA).fits


def test_the_small_scorer_fits_beside_the_model_on_an_l4():
    """As it did: repro-004 and ai-g2-sae ran."""
    assert fit(THREE, L4, None, GEMMA).fits


def test_a_share_that_leaves_no_room_for_graphs_is_refused():
    fits = fit(SEVEN, L4, 0.99)
    assert not fits.fits and "CUDA graphs" in fits.why


def test_smallest_listed_gpu_that_fits_is_chosen_with_reasons():
    gpu, fits = smallest([L4, A100], lambda gpu: fit(SEVEN, gpu, None, GEMMA))
    assert gpu is A100 and [judged.fits for judged in fits] == [False, True]
    assert smallest([L4], lambda gpu: room(23, gpu))[0] is None
    assert smallest([L4, A100], lambda gpu: room(23, gpu))[0] is A100
    assert smallest([L4, A100], lambda gpu: room(22, gpu))[0] is L4
