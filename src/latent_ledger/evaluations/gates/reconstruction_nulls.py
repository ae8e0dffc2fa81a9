"""Gate of the reconstruction metrics: two predictors whose scores are known beforehand.

    predictor          variance explained   cosine
    the target's mean  0                    -
    the target itself  1                    1

Both go through the functions that evaluate a coder
(:mod:`latent_ledger.evaluations.reconstruction.evaluation`), on the real activations of one hook
point. With BOS rows the mean is that of these rows too. The predicted mean is computed here,
independently of the one that centres the variance. A variance that is not centred (0.935 where the
truth is 0, in a peer), or centred on other rows than are summed, misses its score by more than
:data:`TOLERANCE`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.sparse import csr_matrix

from latent_ledger.evaluations.reconstruction import evaluation as reconstruction
from latent_ledger.evaluations.reconstruction.splicing import SPLICED_SUMS
from latent_ledger.lib.errors import GateError
from latent_ledger.models.shards import ActivationShards
from latent_ledger.statistics.records import Records

GATE = "metric nulls"
TOLERANCE = 1e-6


@dataclass
class Predictor:
    """A coder without latents: it writes a constant [d], or exactly what it reads."""

    constant: np.ndarray | None
    width = 1

    def decode(
        self, indptr: torch.Tensor, indices: torch.Tensor, values: torch.Tensor, x: torch.Tensor
    ) -> torch.Tensor:
        """The output [n, d] for input `x` [n, d]."""
        if self.constant is None:
            return x
        return torch.as_tensor(self.constant).to(x).expand_as(x)


@dataclass
class NoCodes:
    """The codes of a :class:`Predictor`: no latent is active anywhere."""

    shard_rows: list[int]

    def shards(self) -> Iterator[csr_matrix]:
        """Empty codes [rows, 1], shard by shard."""
        for rows in self.shard_rows:
            yield csr_matrix((rows, Predictor.width), dtype=np.float32)


def produce(
    settings: Mapping[str, Any], tokens: Path, activations: Path, out: Path
) -> dict[str, Any]:
    """Score both predictors on one hook point; write ``metrics.json`` and tables into `out`.

    `settings`: resamples, seed. `activations`: one hook point over the packed token set `tokens`.
    Raises :class:`~latent_ledger.lib.errors.GateError` naming the first metric that misses.
    """
    targets = ActivationShards(activations)
    doc_ids = load_file(Path(tokens) / "tokens.safetensors")["doc_ids"]
    owners = [reconstruction.row_owners(shard, doc_ids) for shard in targets.shards()]
    means = reconstruction.target_means(targets, owners)
    records = Records(out, resamples=settings["resamples"], seed=settings["seed"])
    expected = {}
    mean, mean_with_bos = true_means(targets, doc_ids)
    perfect = {"variance_explained": 1.0, "variance_explained_with_bos": 1.0, "cosine": 1.0}
    bos_included = "the target's mean, BOS rows included"
    codes, documents = NoCodes(targets.shard_rows), int(doc_ids.max()) + 1
    for name, constant, output, wanted in (
        ("mean", mean, "the target's mean", {"variance_explained": 0.0}),
        ("mean_with_bos", mean_with_bos, bos_included, {"variance_explained_with_bos": 0.0}),
        ("target", None, "the target itself", perfect),
    ):
        sums, _, _ = reconstruction.reconstruction_sums(
            Predictor(constant), targets, targets, codes, owners, means, documents
        )
        unspliced = {name: np.zeros_like(sums["tokens"]) for name in SPLICED_SUMS}
        table = f"{name}.parquet"
        records.table(table, reconstruction.document_table(sums | unspliced))
        for metric, value in wanted.items():
            numerator, denominator, higher_is_better = reconstruction.RATIOS[metric]
            records.measure(
                f"{metric}_of_{name}",
                "ratio",
                table,
                unit="document",
                higher_is_better=higher_is_better,
                description=f"{metric} of a coder that writes {output}; must be {value:g}.",
                unit_id="doc_id",
                numerator=numerator,
                denominator=denominator,
            )
            expected[f"{metric}_of_{name}"] = value
    deviation = check(records, expected)
    records.add(
        "largest_deviation",
        deviation,
        unit="document",
        n=len(np.unique(doc_ids[doc_ids >= 0])),
        higher_is_better=False,
        description="Largest deviation of these metrics from what must come out.",
    )
    facts = {
        "hook_point": targets.hook_point,
        "tolerance": TOLERANCE,
        "largest_deviation": deviation,
    }
    records.write(facts)
    return facts


def true_means(targets: ActivationShards, doc_ids: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the rows that belong to a document, and of those and the BOS rows; [d] each.

    `doc_ids` [contexts, context] is the token set's; a context of no document has no BOS to count.
    """
    sums, counts = np.zeros((2, targets.d)), np.zeros(2)
    used = (doc_ids >= 0).any(1)
    for shard in targets.shards():
        inside = shard["doc_ids"] >= 0
        bos = (shard["positions"] == 0) & used[shard["contexts"].long()]
        for place, kept in enumerate((inside, inside | bos)):
            sums[place] += shard["activations"][kept].double().sum(0).numpy()
            counts[place] += int(kept.sum())
    mean, mean_with_bos = sums / counts[:, None]
    return mean, mean_with_bos


def check(records: Records, expected: Mapping[str, float]) -> float:
    """The largest deviation from `expected`. Raises :class:`GateError` beyond the tolerance."""
    deviations = []
    for name, value in expected.items():
        estimate = records.metrics[name]["estimate"]
        deviations.append(abs(estimate - value))
        if not deviations[-1] <= TOLERANCE:
            raise GateError(
                f"{GATE}, {name} is {estimate:.6g} and must be {value:g} (within "
                f"{TOLERANCE:.0e}): correct evaluations/reconstruction/evaluation.py."
            )
    return round(max(deviations), 9)  # the last bits differ between machines
