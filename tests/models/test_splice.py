"""Splicing replaces what it is told to, where it is told to, and its effect is measured right."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from latent_ledger.models import hooks, language_model
from latent_ledger.models.hook_points import CoderSite, HookPoint, HookPointName
from latent_ledger.models.splice import at_site, forward_with, kl, token_losses


@pytest.fixture(params=["neox", "gemma2"])
def network(request: pytest.FixtureRequest):
    folder: Path = request.getfixturevalue(request.param)
    return language_model.load_model(folder)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(0, 256, (3, 12), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    return ids, mask


@torch.no_grad()
def test_the_identity_changes_nothing_and_zeros_do(network, batch):
    ids, mask = batch
    clean = network(ids, attention_mask=mask).logits
    for point in HookPointName:
        hook_point = HookPoint(1, point)
        assert torch.equal(forward_with(network, ids, mask, {hook_point: lambda x, _: x}), clean), (
            hook_point
        )
        zeroed = forward_with(network, ids, mask, {hook_point: lambda x, _: torch.zeros_like(x)})
        assert (zeroed - clean).abs().max() > 0.1, hook_point
    assert torch.equal(network(ids, attention_mask=mask).logits, clean)  # nothing is left behind


@torch.no_grad()
def test_only_the_chosen_positions_are_replaced(network, batch):
    ids, mask = batch
    hook_point = HookPoint(1, HookPointName.RESID_POST)
    replaced = mask.bool()
    replaced[:, :5] = False
    clean = network(ids, attention_mask=mask).logits
    spliced = forward_with(network, ids, mask, {hook_point: lambda x, _: x * 0}, positions=replaced)
    assert torch.equal(spliced[:, :5], clean[:, :5])  # causal: what comes before is untouched
    assert (spliced[0, 5:] - clean[0, 5:]).abs().amax(-1).min() > 0.01
    nowhere = forward_with(
        network, ids, mask, {hook_point: lambda x, _: x * 0}, positions=torch.zeros_like(replaced)
    )
    assert torch.equal(nowhere, clean)


@torch.no_grad()
def test_replacing_the_mlp_output_is_what_the_definition_says(network, batch):
    """Zeroing mlp_out_normed leaves the residual as it was before the MLP joined."""
    ids, mask = batch
    block = network.get_submodule(hooks.layout_of(network).blocks)[1]
    seen = {}
    handle = block.register_forward_hook(lambda _, __, out: seen.update(out=out))
    values = hooks.read(
        network,
        ids,
        [HookPoint(1, HookPointName.MLP_OUT_NORMED), HookPoint(1, HookPointName.RESID_POST)],
    )
    forward_with(
        network, ids, mask, {HookPoint(1, HookPointName.MLP_OUT_NORMED): lambda x, _: x * 0}
    )
    handle.remove()
    expected = (
        values[HookPoint(1, HookPointName.RESID_POST)]
        - values[HookPoint(1, HookPointName.MLP_OUT_NORMED)]
    )
    real = mask.bool()
    torch.testing.assert_close(seen["out"][real], expected[real], rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("output_hook", ["mlp_out", "resid_post"])
def test_a_site_gives_the_coder_what_it_reads(network, batch, output_hook):
    ids, mask = batch
    site = CoderSite.at(1, "mlp_in" if output_hook == "mlp_out" else "resid_post", output_hook)
    clean = network(ids, attention_mask=mask).logits
    replaced = mask.bool()
    replaced[:, 0] = False
    rows = []
    mlp = copy.deepcopy(network.get_submodule(hooks.layout_of(network).blocks)[1].mlp)

    def perfect(x: torch.Tensor) -> torch.Tensor:
        rows.append(x)
        return mlp(x) if output_hook == "mlp_out" else x

    spliced = forward_with(network, ids, mask, at_site(site, perfect), positions=replaced)
    torch.testing.assert_close(spliced, clean, rtol=1e-4, atol=1e-4)
    assert torch.equal(
        rows[0], hooks.read(network, ids, [site.input_hook])[site.input_hook][replaced]
    )
    wrong = forward_with(network, ids, mask, at_site(site, lambda x: x * 0), positions=replaced)
    assert (wrong - clean).abs().max() > 0.1
    torch.testing.assert_close(wrong[:, 0], clean[:, 0])


def test_gradients_flow_through_a_splice(network, batch):
    ids, mask = batch
    scale = torch.ones((), requires_grad=True)
    logits = forward_with(
        network, ids, mask, {HookPoint(0, HookPointName.MLP_OUT): lambda x, _: x * scale}
    )
    logits.square().mean().backward()
    assert scale.grad.abs() > 0


@torch.no_grad()
def test_a_bfloat16_model_takes_a_float32_replacement(neox, batch):
    ids, mask = batch
    network = language_model.load_model(neox, dtype="bfloat16")
    clean = network(ids, attention_mask=mask).logits
    site = CoderSite.at(1, "resid_post")
    same = forward_with(network, ids, mask, at_site(site, lambda x: x))
    assert same.dtype == torch.bfloat16
    assert torch.equal(same, clean)


def test_token_losses_by_hand():
    # Uniform over 4 tokens: every loss is log 4. Then a certain, wrong answer costs its margin.
    logits = torch.zeros(2, 4, 4)
    logits[0, 1] = torch.tensor([0.0, 100.0, 0.0, 0.0])
    ids = torch.tensor([[0, 1, 2, 1], [0, 1, 2, 3]])
    valid = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    losses = token_losses(logits, ids, valid)
    log4 = torch.tensor(4.0).log()
    torch.testing.assert_close(losses[0, :3], torch.tensor([log4, 100.0, log4]))
    torch.testing.assert_close(losses[1, 0], log4)
    assert losses.isnan().tolist() == [[False, False, False, True], [False, True, True, True]]


@torch.no_grad()
def test_token_losses_average_to_the_model_s_own_loss(network, batch):
    ids, mask = batch
    logits = network(ids, attention_mask=mask).logits
    expected = network(ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100)).loss
    torch.testing.assert_close(token_losses(logits, ids, mask).nanmean(), expected)


def test_kl_by_hand_and_against_torch():
    p = torch.tensor([0.5, 0.25, 0.25]).log()
    q = torch.tensor([0.25, 0.25, 0.5]).log()
    expected = 0.5 * torch.log(torch.tensor(2.0)) + 0.25 * torch.log(torch.tensor(0.5))
    torch.testing.assert_close(kl(p[None, None] + 3, q[None, None] - 1)[0, 0], expected)
    clean, spliced = torch.randn(2, 3, 5, 50, generator=torch.Generator().manual_seed(0))
    reference = functional.kl_div(
        spliced.log_softmax(-1), clean.log_softmax(-1), reduction="none", log_target=True
    ).sum(-1)
    torch.testing.assert_close(kl(clean, spliced), reference, rtol=1e-4, atol=1e-6)
    assert (kl(clean, clean) == 0).all()
