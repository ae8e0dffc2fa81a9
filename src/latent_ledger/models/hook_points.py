"""Hook points as a type: where a sparse coder reads and writes.

A transformer block of layer ``L`` is read at one of these points::

    resid_pre --+--> [norm] --> attention --> ... --+--> resid_post
                |                                   |
                +--> [norm] --mlp_in--> MLP --mlp_out--> [post-norm] --mlp_out_normed--> (+)

* ``mlp_in`` is the input of the MLP *module*: after the pre-norm and its gain.
* ``mlp_out`` is the output of the MLP *module*: before any post-norm.
* ``mlp_out_normed`` is what is added to the residual stream. It differs from ``mlp_out`` only in
  models with a post-feedforward norm (Gemma-2), where confusing the two is a different target.
* ``resid_post`` is the output of the whole block: ``hidden_states[L + 1]`` for every block but the
  last, whose entry in ``hidden_states`` is already behind the final norm.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from latent_ledger.lib.errors import LedgerError


class HookPointName(StrEnum):
    """A named tensor inside a transformer block, in the order in which a forward pass makes it."""

    RESID_PRE = "resid_pre"
    MLP_IN = "mlp_in"
    MLP_OUT = "mlp_out"
    MLP_OUT_NORMED = "mlp_out_normed"
    RESID_POST = "resid_post"

    @property
    def depth(self) -> int:
        """How many named tensors of the block a forward pass makes before this one."""
        return list(type(self)).index(self)


@dataclass(frozen=True, order=True)
class HookPoint:
    """One tensor of one block, [batch, position, d_model]; its string names artifacts."""

    layer: int
    point: HookPointName

    def __post_init__(self) -> None:
        if self.layer < 0:
            raise LedgerError(f"A hook point's layer counts from 0; {self.layer} is below it.")
        object.__setattr__(self, "point", HookPointName(self.point))

    def __str__(self) -> str:
        return f"layers.{self.layer}.{self.point}"

    @classmethod
    def parse(cls, name: str) -> HookPoint:
        """Read ``layers.<L>.<point>`` back. Raises :class:`LedgerError` for anything else."""
        match name.split("."):
            case ["layers", layer, point] if layer.isdigit() and point in set(HookPointName):
                return cls(int(layer), HookPointName(point))
        raise LedgerError(
            f"{name!r} is no hook point: write layers.<number>.<point>, with a point of "
            f"{', '.join(HookPointName)}."
        )


@dataclass(frozen=True, order=True)
class CoderSite:
    """Where a coder reads and writes: an SAE at one hook point, a transcoder around the MLP."""

    input_hook: HookPoint
    output_hook: HookPoint

    @classmethod
    def at(cls, layer: int, input_hook: str, output_hook: str | None = None) -> CoderSite:
        """The site of one layer; `output_hook` defaults to `input_hook` (an autoencoder)."""
        return cls(
            HookPoint(layer, HookPointName(input_hook)),
            HookPoint(layer, HookPointName(output_hook or input_hook)),
        )

    @property
    def autoencodes(self) -> bool:
        """True for an SAE: it reconstructs the very tensor it reads."""
        return self.input_hook == self.output_hook

    @property
    def hook_points(self) -> tuple[HookPoint, ...]:
        """The distinct hook points whose activations training and evaluation need."""
        return (self.input_hook,) if self.autoencodes else (self.input_hook, self.output_hook)

    def __str__(self) -> str:
        return f"{self.input_hook}" + ("" if self.autoencodes else f" -> {self.output_hook.point}")

    def as_dict(self) -> dict[str, int | str]:
        """JSON form, the content of a coder's ``site.json``."""
        return {
            "layer": self.input_hook.layer,
            "input_hook": self.input_hook.point.value,
            "output_hook": self.output_hook.point.value,
        }

    @classmethod
    def from_dict(cls, record: dict) -> CoderSite:
        """Inverse of :meth:`as_dict`."""
        return cls.at(int(record["layer"]), record["input_hook"], record["output_hook"])
