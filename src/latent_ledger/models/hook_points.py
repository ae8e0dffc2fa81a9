"""Where a sparse coder reads and writes, as a type.

A transformer block of layer ``L`` is tapped at one of these points::

    resid_pre --+--> [norm] --> attention --> ... --+--> resid_post
                |                                   |
                +--> [norm] --mlp_in--> MLP --mlp_out--> [post-norm] --mlp_out_normed--> (+)

* ``mlp_in`` is the input of the MLP *module*: after the pre-norm and its gain.
* ``mlp_out`` is the output of the MLP *module*: before any post-norm.
* ``mlp_out_normed`` is what is added to the residual stream. It differs from ``mlp_out`` only in
  models with a post-feedforward norm (Gemma-2), where confusing the two is a different target.
* ``resid_post`` is the output of the whole block: ``hidden_states[L + 1]`` for every block but the
  last, whose entry in ``hidden_states`` is already behind the final norm.

A :class:`Tap` is one such tensor. A :class:`HookSite` is the pair a coder lives at: an SAE reads
and writes the same tap; a transcoder reads the MLP's input and writes its output.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from latent_ledger.lib.errors import LedgerError


class Point(StrEnum):
    """A named tensor inside a transformer block."""

    RESID_PRE = "resid_pre"
    RESID_POST = "resid_post"
    MLP_IN = "mlp_in"
    MLP_OUT = "mlp_out"
    MLP_OUT_NORMED = "mlp_out_normed"


@dataclass(frozen=True, order=True)
class Tap:
    """One tensor of one block, shape [batch, position, d_model]. ``str(tap)`` names artifacts."""

    layer: int
    point: Point

    def __post_init__(self) -> None:
        if self.layer < 0:
            raise LedgerError(f"A tap's layer counts from 0; {self.layer} is below it.")
        object.__setattr__(self, "point", Point(self.point))

    def __str__(self) -> str:
        return f"layers.{self.layer}.{self.point}"

    @classmethod
    def parse(cls, name: str) -> Tap:
        """Read ``layers.<L>.<point>`` back. Raises :class:`LedgerError` for anything else."""
        head, _, rest = name.partition(".")
        layer, _, point = rest.partition(".")
        if head != "layers" or not layer.isdigit() or point not in set(Point):
            points = ", ".join(Point)
            raise LedgerError(
                f"{name!r} is no tap: write layers.<number>.<point>, with a point of {points}."
            )
        return cls(int(layer), Point(point))


@dataclass(frozen=True, order=True)
class HookSite:
    """Where a coder reads its input and where its output belongs."""

    reads: Tap
    writes: Tap

    @classmethod
    def at(cls, layer: int, reads: str, writes: str | None = None) -> HookSite:
        """The site of one layer; `writes` defaults to `reads` (an autoencoder)."""
        return cls(Tap(layer, Point(reads)), Tap(layer, Point(writes or reads)))

    @property
    def autoencodes(self) -> bool:
        """True for an SAE: it reconstructs the very tensor it reads."""
        return self.reads == self.writes

    @property
    def taps(self) -> tuple[Tap, ...]:
        """The distinct taps whose activations training and evaluation need."""
        return (self.reads,) if self.autoencodes else (self.reads, self.writes)

    def __str__(self) -> str:
        return str(self.reads) if self.autoencodes else f"{self.reads} -> {self.writes.point}"

    def as_dict(self) -> dict[str, int | str]:
        """JSON form, as stored beside every coder in ``site.json``."""
        return {
            "layer": self.reads.layer,
            "reads": self.reads.point.value,
            "writes": self.writes.point.value,
        }

    @classmethod
    def from_dict(cls, record: dict) -> HookSite:
        """Inverse of :meth:`as_dict`."""
        return cls.at(int(record["layer"]), record["reads"], record["writes"])
