"""The description of an architecture of sparse coders.

Checks of a configuration read it, so it imports no tensor library.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Parameters:
    """Names of a coder's parameters in training, by role; the defaults are sparsify's."""

    encoder: tuple[str, ...] = ("encoder.weight",)
    decoder: tuple[str, ...] = ("W_dec",)
    biases: tuple[str, ...] = ("encoder.bias", "b_dec")
    skip: tuple[str, ...] = ()

    def with_roles(self, roles: tuple[str, ...]) -> frozenset[str]:
        """The parameters of some of the four roles."""
        return frozenset(name for role in roles for name in getattr(self, role))


@dataclass(frozen=True)
class Architecture:
    """One architecture: where its coders stand, which weights they have, and what trains them.

    `name` is its name in a configuration, `label` the same with its article. An architecture that
    `autoencodes` writes the hook point it reads; any other writes a later one of the same block.
    `input_hook` and `output_hook` are those of a coder that names none; without an `input_hook`
    every coder must name its own. `trainer` is the family of :mod:`latent_ledger.coders.training`
    that trains it, and `options` are that family's settings of this architecture. `draws_decoder`
    says whether the family draws the decoder at the start; else it starts at zero.
    """

    name: str
    label: str
    autoencodes: bool
    options: Mapping[str, Any] = field(hash=False)
    parameters: Parameters = Parameters()
    trainer: str = "sparsify"
    draws_decoder: bool = True
    input_hook: str | None = None
    output_hook: str | None = None
