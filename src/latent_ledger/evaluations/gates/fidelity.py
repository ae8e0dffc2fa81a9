"""Encode and decode fidelity: two implementations of one coder are the same function.

For every row of activations the two give latents ``a`` (ours) and ``b`` (theirs), and each decodes
``b`` into an output, skip included:

=============  ================================================================  ==============
agreement      per row                                                           must hold
=============  ================================================================  ==============
active sets    Jaccard |A and B| / |A or B|; 1 where both are empty              1 on every row
direction      cosine of a and b                                                 >= 1 - 1e-6
values         max |a - b| / max(max b, median over rows of max b)               <= 1e-4
output         |y_a - y_b|_2 / max(|y_b|_2, median over rows of |y_b|_2)         <= 1e-4
=============  ================================================================  ==============

A BOS row can be a hundred times the others, hence the row's own scale; the median keeps rows near
zero from being judged by rounding alone.

*Ties.* Two correct implementations sum in different orders, so the order of two latents with equal
pre-activations is arbitrary. A latent in one set only counts as agreed if *our* pre-activation of
it lies within :data:`TIE` (1e-5 of the row's scale) of the boundary
(:meth:`~latent_ledger.coders.sparse_coder.SparseCoder.boundary`), and where it is in their set,
their value equals our pre-activation within the same bound. Rows with such a latent are counted.
The output is compared on one side's latents, so a tie does not affect it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latent_ledger.coders.csr import Csr, from_dense, to_dense
from latent_ledger.coders.sparse_coder import SparseCoder
from latent_ledger.lib.errors import GateError, LedgerError
from latent_ledger.lib.files import write_json
from latent_ledger.models.shards import ActivationShards

GATE = "encode fidelity"
RELATIVE_ERROR = 1e-4
"""Largest difference of a latent, and of an output, relative to its row's scale."""
COSINE_ERROR = 1e-6
TIE = 1e-5
BLOCK_ROWS = 512
"""Rows compared at a time: dense latents of 512 x 16k take 32 MiB a side."""

Implementation = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Another implementation: activations [n, d] on the CPU -> dense latents [n, width], output."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of two implementations over some rows; errors are 0 and the Jaccard 1 if equal."""

    rows: int
    equal_sets: int
    tied_rows: int
    jaccard: float
    """Mean over rows: 1 exactly if every row's sets are equal."""
    cosine_error: float
    value_error: float
    output_error: float

    @property
    def failure(self) -> str | None:
        """A description of the first agreement that does not hold; None if all do."""
        if self.equal_sets < self.rows:
            equal = f"equal active sets on {self.equal_sets:,} of {self.rows:,} rows; all must be"
            return f"Jaccard {below_one(self.jaccard)} ({equal})"
        for name, error, bound in (
            ("cosine of latents", self.cosine_error, COSINE_ERROR),
            ("values", self.value_error, RELATIVE_ERROR),
            ("output", self.output_error, RELATIVE_ERROR),
        ):
            if not error <= bound:
                return f"{name} off by {error:.1e} (at most {bound:.0e} over {self.rows:,} rows)"
        return None


def below_one(jaccard: float) -> str:
    """Two decimals, or as many as keep a Jaccard below 1 from reading 1."""
    digits = 2 if jaccard < 0.995 else 6
    return f"{math.floor(jaccard * 10**digits) / 10**digits:.{digits}f}"


@torch.no_grad()
def compare(coder: SparseCoder, other: Implementation, x: Tensor, device: str = "cpu") -> Agreement:
    """Compare our `coder`, which lives on `device`, with `other` on activations `x` [n, d] fp32."""
    blocks = [_rows(coder, other, block, device) for block in x.split(BLOCK_ROWS)]
    row = {name: torch.cat([block[name] for block in blocks]).numpy() for name in blocks[0]}
    return Agreement(
        rows=len(x),
        equal_sets=int((row["jaccard"] == 1).sum()),
        tied_rows=int(row["tied"].sum()),
        jaccard=float(row["jaccard"].mean()),
        cosine_error=_rounded(1 - row["cosine"].min()),
        value_error=_rounded(_relative(row["difference"], row["largest"])),
        output_error=_rounded(_relative(row["output_difference"], row["output_norm"])),
    )


def compare_kinds(
    coder: SparseCoder, other: Implementation, rows: dict[str, Tensor], device: str
) -> dict[str, Agreement]:
    """The outcome of :func:`compare` on each kind of rows."""
    return {kind: compare(coder, other, x, device) for kind, x in rows.items()}


def _rows(coder: SparseCoder, other: Implementation, x: Tensor, device: str) -> dict[str, Tensor]:
    """The quantities of :func:`compare` per row of one block; [n] each."""
    ours = dense(coder.encode(x.to(device)), coder.width)
    theirs, output = (tensor.cpu() for tensor in other(x))
    largest = theirs.amax(1, keepdim=True)
    ties = _ties(coder, ours, theirs, x.to(device))
    ours, theirs_untied = ours.masked_fill(ties, 0), theirs.masked_fill(ties, 0)
    both = ((ours > 0) & (theirs_untied > 0)).sum(1).double()
    either = ((ours > 0) | (theirs_untied > 0)).sum(1).double()
    indptr, indices, values = (array.to(device) for array in from_dense(theirs))
    decoded = coder.decode(indptr, indices, values, x.to(device)).cpu().double()
    return {
        "jaccard": torch.where(either == 0, 1.0, both / either),
        "tied": ties.any(1),
        "cosine": _cosine(ours.double(), theirs_untied.double()),
        "difference": (ours - theirs_untied).abs().amax(1).double(),
        "largest": largest[:, 0].double(),
        "output_difference": (decoded - output.double()).norm(dim=1),
        "output_norm": output.double().norm(dim=1),
    }


def _ties(coder: SparseCoder, ours: Tensor, theirs: Tensor, x: Tensor) -> Tensor:
    """Mask [n, width] of latents in one set only because of a tie, as defined above."""
    alone = (ours > 0) ^ (theirs > 0)
    if not alone.any():
        return alone
    boundary = coder.boundary(ours).cpu()
    positive = coder.pre_activations(x).cpu()  # every latent that could be active
    near = TIE * ours.amax(1, keepdim=True)
    as_ours = (theirs == 0) | ((theirs - positive).abs() <= near)
    return alone & ((positive - boundary).abs() <= near) & as_ours


def dense(latents: Csr, width: int) -> Tensor:
    """CSR latents as a dense matrix [n, width] on the CPU."""
    indptr, indices, values = latents
    return to_dense((indptr.cpu(), indices.cpu(), values.cpu()), width)


def _cosine(left: Tensor, right: Tensor) -> Tensor:
    """Cosine of matching rows; rows that are zero on both sides agree, on one side do not."""
    norms = left.norm(dim=1) * right.norm(dim=1)
    silent = (left == 0).all(1) & (right == 0).all(1)
    cosine = torch.where(norms > 0, (left * right).sum(1) / norms, 0.0)
    return torch.where(silent, 1.0, cosine)


def _relative(differences: np.ndarray, scales: np.ndarray) -> float:
    """Largest difference over rows, each relative to its own scale or, if larger, the median."""
    floor = np.maximum(scales, np.median(scales))
    # 0/0 is a row without latents on both sides, hence equal; any other NaN must fail.
    equal = differences == 0
    return float(np.where(equal, 0.0, differences / np.where(equal, 1.0, floor)).max())


def _rounded(error: float) -> float:
    """An error in two digits, and 0 below 1e-9: the last bits differ between machines."""
    return float(f"{error:.1e}") if not abs(error) < 1e-9 else 0.0


def rows_by_kind(
    settings: Mapping[str, Any], activations: Path, coder: SparseCoder
) -> dict[str, Tensor]:
    """The rows that a gate compares on, "random" and "real"; settings: *_rows and seed."""
    real = real_rows(activations, coder, settings["real_rows"])
    return {"random": random_rows(real, settings["random_rows"], settings["seed"]), "real": real}


def real_rows(activations: Path, coder: SparseCoder, rows: int) -> Tensor:
    """`rows` activations [rows, d] in fp32, evenly spaced over a token set, BOS and EOS included.

    Raises :class:`LedgerError` for activations of another hook point than the coder reads.
    """
    shards = ActivationShards(activations)
    if shards.hook_point != str(coder.site.input_hook):
        raise LedgerError(
            f"The coder reads {coder.site.input_hook}; {activations} holds {shards.hook_point}."
        )
    selected = np.unique(np.linspace(0, len(shards) - 1, min(rows, len(shards))).astype(np.int64))
    rows_by_shard = []
    for number, shard in enumerate(shards.shards()):
        low, high = shards.starts[number : number + 2]
        local = selected[(selected >= low) & (selected < high)] - low
        rows_by_shard.append(shard["activations"][torch.from_numpy(local)].float())
    return torch.cat(rows_by_shard)


def random_rows(real: Tensor, rows: int, seed: int) -> Tensor:
    """Normal activations [rows, d] with the mean and spread of each channel of `real` [n, d]."""
    generator = torch.Generator().manual_seed(seed)
    return real.mean(0) + real.std(0) * torch.randn(rows, real.shape[1], generator=generator)


def require(agreements: dict[str, Agreement], subject: str) -> None:
    """Raise :class:`GateError` naming the disagreements, if any, by kind of rows."""
    failures = [
        f"{agreement.failure} on {kind} activations"
        for kind, agreement in agreements.items()
        if agreement.failure
    ]
    if failures:
        raise GateError(f"{GATE}, {'; '.join(failures)}: {subject}")


def write(agreements: dict[str, Agreement], facts: dict[str, Any], out: Path) -> dict[str, Any]:
    """Write ``metrics.json``, the agreements by kind of rows and overall; return the facts.

    :mod:`latent_ledger.statistics.records`, whose form it has, is not imported: all codes rest on
    this gate, and an edit of the statistics must not recompute them.
    """
    rows = sum(agreement.rows for agreement in agreements.values())
    matched = sum(agreement.jaccard * agreement.rows for agreement in agreements.values())
    sets = "Mean Jaccard of the active sets"
    metrics = [_metric("jaccard", matched / rows, rows, f"{sets}, all rows.")]
    for kind, agreement in agreements.items():
        for name, text in (
            ("jaccard", sets),
            ("cosine_error", "1 - the smallest cosine of latents"),
            ("value_error", "Largest relative difference of a latent"),
            ("output_error", "Largest relative difference of an output"),
        ):
            text, estimate = f"{text}, {kind} activations.", getattr(agreement, name)
            metrics.append(_metric(f"{name}_{kind}", estimate, agreement.rows, text))
    facts = facts | {
        "rows": {kind: agreement.rows for kind, agreement in agreements.items()},
        "tied_rows": sum(agreement.tied_rows for agreement in agreements.values()),
    }
    write_json(Path(out) / "metrics.json", {"metrics": metrics, "facts": facts})
    return facts


def _metric(name: str, estimate: float, n: int, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "estimate": estimate,
        "ci": None,
        "unit": "row",
        "n": n,
        "version": 1,
        "higher_is_better": name.startswith("jaccard"),
        "description": description,
    }
