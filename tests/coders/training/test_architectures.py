"""The registry of architectures: what the rest of the program asks of an entry."""

from __future__ import annotations

import pytest
import torch

from latent_ledger.coders.training.architectures.registry import ARCHITECTURES
from latent_ledger.coders.training.recipe import Recipe
from latent_ledger.coders.training.sparse_backward import TrainingCoder
from latent_ledger.config.schema_file import schema
from latent_ledger.lib.errors import LedgerError
from latent_ledger.models.hook_points import HookPointName

SETTINGS = {"layer": 0, "width": 16, "k": 2, "batch_tokens": 8, "input_hook": "mlp_in"}


def recipe(name: str) -> Recipe:
    output_hook = "mlp_in" if ARCHITECTURES[name].autoencodes else "mlp_out"
    return Recipe.from_settings(SETTINGS | {"architecture": name, "output_hook": output_hook})


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_entry_names_exactly_the_parameters_of_its_coder(name):
    coder = TrainingCoder(4, recipe(name).coder_config, torch.device("cpu"), dtype=torch.float32)
    roles = ("encoder", "decoder", "biases", "skip")
    parameters = ARCHITECTURES[name].parameters.with_roles(roles)
    assert {parameter for parameter, _ in coder.named_parameters()} == parameters
    assert coder.W_dec.any() == ARCHITECTURES[name].draws_decoder


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_default_hook_points_are_a_site_of_the_architecture(name):
    entry = ARCHITECTURES[name]
    if entry.autoencodes:
        assert entry.output_hook is None
    else:
        hooks = [HookPointName(hook) for hook in (entry.input_hook, entry.output_hook)]
        assert hooks[0].depth < hooks[1].depth


def test_the_schema_takes_its_architectures_from_the_registry():
    coder = schema()["properties"]["coders"]["additionalProperties"]["properties"]
    assert coder["architecture"]["enum"] == list(ARCHITECTURES)


def test_an_unknown_architecture_is_an_error_that_names_the_known_ones():
    with pytest.raises(LedgerError, match="'gated' is none of sae, transcoder, skip-transcoder"):
        Recipe.from_settings(SETTINGS | {"architecture": "gated"})
