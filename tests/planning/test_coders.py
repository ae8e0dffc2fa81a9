"""Rows of coders, read from their payloads."""

from types import SimpleNamespace

import pytest

from latent_ledger.planning.coders import read_pretrained

FACTS = {"file": "layer_2/params.npz", "d_in": 128, "width": 1024}


@pytest.mark.parametrize(
    ("facts", "sparsity"),
    [
        ({"format": "gemma_scope"}, "JumpReLU"),
        ({"format": "sparsify", "k": 32}, "k=32"),
        ({"format": "sparsify"}, "TopK"),
    ],
)
def test_row_of_a_fetched_coder_has_its_k_or_the_activation_of_its_format(facts, sparsity):
    finding = read_pretrained(None, SimpleNamespace(facts=FACTS | facts))
    assert finding.columns == {"width": "1024", "sparsity": sparsity}
    assert finding.key_results == f"{facts['format']}, {FACTS['file']}: 1,024 latents of 128"
