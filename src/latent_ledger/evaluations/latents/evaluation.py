"""Latent statistics: firing frequency, token entropy and context dependence of each latent.

::

    codes + token ids --count--> firings [latent, token] --> entropy, top token, context dependence

*Token entropy* of a latent is the entropy, in bits, of the token at a position where it fires: 0
for a latent of one token, that of the corpus for one that fires anywhere. The estimator of Chao,
Wang & Jost (2013) infers the unseen tokens from those seen once and twice: of 50 draws from a Zipf
law of 6 bits the plug-in lacks 1.5 bits, Miller & Madow's correction 1.1, and this one 0.2.
A latent below ``token_like_bits`` is a token detector.

*Context dependence* tells a detector that always fires at its token from one that waits for the
right context. It is (1 - r) / (1 - q): r is the chance that a latent which fires at one occurrence
of a token fires at another one too (over the pairs of the corpus, which leaves no bias for rare
tokens), q the share of all positions at which it fires. 0: the token alone decides, 1: it says
nothing.

BOS, EOS and padding are left out. A latent without a firing is ``dead``, one below ``min_firings``
``rare``; neither enters a mean, and both have their rows in ``latents.parquet``.

Source: Chao, Wang & Jost 2013 (Methods in Ecology and Evolution 4), eq. 5-7.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from scipy.sparse import csr_matrix
from scipy.special import digamma

from latent_ledger.coders.codes import CodeShards
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import read_json
from latent_ledger.lib.progress import Progress
from latent_ledger.statistics.records import Records

TABLE = "latents.parquet"
SAFE = 16.0
"""exp(-16) = 1e-7: what either way of summing :func:`unseen` may lose, relatively."""

MEANS = (
    ("token_entropy", "entropy", "Token entropy in bits (Chao, Wang & Jost); {mean}."),
    ("normalised_entropy", "normalised_entropy", "Token entropy over that of the corpus; {mean}."),
    ("token_share", "token_like", "Share of live latents with a token entropy below {bits} bits."),
    (
        "top_token_share",
        "top_share",
        "Share of a latent's firings that are on its commonest token; {mean}.",
    ),
    ("top_token_mass", "top_mass", "Share of a latent's activation that is on that token; {mean}."),
    (
        "context_dependence",
        "context_dependence",
        "0: the token decides whether a latent fires, 1: it says nothing; {mean} for which it is "
        "defined.",
    ),
)
"""Metric, column of ``latents.parquet``, description."""


def produce(settings: Mapping[str, Any], tokens: Path, codes: Path, out: Path) -> dict[str, Any]:
    """Measure every latent of one coder over one token set; write metrics and table into `out`.

    `settings`: min_firings, token_like_bits, resamples, seed. Table: ``latents.parquet``, one row
    per latent, dead ones included. Returns facts: counts and the corpus' token entropy. Raises
    :class:`LedgerError` if codes and tokens do not belong together, or no latent is live.
    """
    arrays = load_file(tokens / "tokens.safetensors")
    inside = np.arange(arrays["input_ids"].shape[1]) < arrays["lengths"][:, None]
    ids, is_text = arrays["input_ids"][inside], (arrays["doc_ids"] >= 0)[inside]
    vocabulary = int(read_json(tokens / "meta.json")["vocab_size"])
    latents = CodeShards(codes)
    if len(latents) != len(ids):
        raise LedgerError(
            f"The codes have {len(latents)} rows and the token set {len(ids)}: encode again."
        )
    firings, mass = count(latents, ids, is_text, vocabulary)
    occurrences = np.bincount(ids[is_text], minlength=vocabulary)
    columns = describe(firings, mass, occurrences, settings)
    live = columns["is_live"]
    if not live.any():
        raise LedgerError(
            f"No latent fires {settings['min_firings']} times on these {int(is_text.sum()):,} "
            "tokens: lower evaluations.latents.min_firings or raise tokens.budget.evaluation."
        )
    records = Records(out, resamples=settings["resamples"], seed=settings["seed"])
    records.table(TABLE, columns)
    record(records, columns, settings["token_like_bits"])
    facts = {
        "tokens": int(is_text.sum()),
        "width": latents.width,
        **{status: int((columns["status"] == status).sum()) for status in ("live", "rare", "dead")},
        "token_like": int(columns["token_like"][live].sum()),
        "corpus_entropy": corpus_entropy(occurrences),
    }
    records.write(facts)
    return facts


def count(
    codes: CodeShards, ids: np.ndarray, is_text: np.ndarray, vocabulary: int
) -> tuple[csr_matrix, csr_matrix]:
    """Firings and summed activation of every latent on every token: [width, vocabulary] each.

    `ids` [rows]: token ids of the codes' rows; `is_text` [rows]: whether they are no special ones.
    Both matrices have the same sparsity pattern.
    """
    shape = (codes.width, vocabulary)
    firings, mass = csr_matrix(shape), csr_matrix(shape)
    rows = slice(0, 0)
    with Progress("count firings", total=len(codes), unit="token") as progress:
        for shard in codes.shards():
            rows = slice(rows.stop, rows.stop + shard.shape[0])
            kept = shard[is_text[rows]].tocoo()
            at = (kept.col, ids[rows][is_text[rows]][kept.row])
            firings = firings + csr_matrix((np.ones(kept.nnz), at), shape)
            mass = mass + csr_matrix((kept.data.astype(np.float64), at), shape)
            progress.update(shard.shape[0])
    for matrix in (firings, mass):
        matrix.sort_indices()
    return firings, mass


def entropy(counts: csr_matrix) -> np.ndarray:
    """Entropy in bits of each row of `counts` [n, outcomes]: [n], NaN for an empty row.

    Chao, Wang & Jost: sum over seen outcomes of share x (psi(total) - psi(count)), psi the digamma
    function, plus what :func:`unseen` adds.
    """
    total = _per_row(counts, counts.data)
    totals = np.repeat(total, np.diff(counts.indptr))
    seen = counts.data * (digamma(totals) - digamma(counts.data))
    once, twice = (_per_row(counts, counts.data == times) for times in (1, 2))
    hidden = [unseen(*row) for row in zip(total.tolist(), once, twice, strict=True)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return (_per_row(counts, seen) / total + hidden) / np.log(2)


def unseen(total: float, once: float, twice: float) -> float:
    """Nats of entropy in the outcomes that `total` draws, `once` and `twice` singletons, missed.

    ``once / total x (1 - A)^(1 - total) x (-log A - sum_{r < total} (1 - A)^r / r)``, where A is
    the mean chance of an outcome seen once to be drawn. The two last factors are the series
    ``sum_{j >= 1} (1 - A)^j / (total - 1 + j)``, which is summed itself where they would cancel.
    """
    if once == 0 or (once == 1 and twice == 0):
        return 0.0
    if twice > 0:
        a = 2 * twice / ((total - 1) * once + 2 * twice)
    else:
        a = 2 / ((total - 1) * (once - 1) + 2)
    if a * total > SAFE:
        j = np.arange(1, int(np.ceil(SAFE / a)) + 1)
        return float(once / total * ((1 - a) ** j / (total - 1 + j)).sum())
    r = np.arange(1, int(total))
    rest = -np.log(a) - ((1 - a) ** r / r).sum()
    return float(once / total * (1 - a) ** (1 - total) * rest)


def corpus_entropy(occurrences: np.ndarray) -> float:
    """Token entropy in bits of a text with these counts per token."""
    return float(entropy(csr_matrix(occurrences[None].astype(np.float64)))[0])


def context_dependence(firings: csr_matrix, occurrences: np.ndarray) -> np.ndarray:
    """(1 - r) / (1 - q) per latent [width], as above; NaN if no token of it occurs twice or q is 1.

    `firings` [width, vocabulary], `occurrences` [vocabulary].
    """
    others = occurrences[firings.indices] - 1.0
    repeats = others > 0
    again = np.where(repeats, firings.data * (firings.data - 1) / np.maximum(others, 1), 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = _per_row(firings, again) / _per_row(firings, np.where(repeats, firings.data, 0))
        q = _per_row(firings, firings.data) / occurrences.sum()
        return np.where(q < 1, (1 - r) / (1 - q), np.nan)


def describe(
    firings: csr_matrix, mass: csr_matrix, occurrences: np.ndarray, settings: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """The columns of ``latents.parquet``, one entry per latent; -1 and NaN where nothing fired."""
    fired = _per_row(firings, firings.data)
    total = _per_row(mass, mass.data)
    top = np.asarray(firings.argmax(axis=1)).ravel()  # ties: the lowest token id
    place = (np.arange(len(fired)), top)
    top_fired, top_mass = (
        np.where(fired > 0, np.asarray(matrix[place]).ravel(), np.nan) for matrix in (firings, mass)
    )
    bits, context = entropy(firings), context_dependence(firings, occurrences)
    status = np.where(fired == 0, "dead", np.where(fired < settings["min_firings"], "rare", "live"))
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "latent": np.arange(len(fired)),
            "status": status,
            "is_live": status == "live",
            "firings": fired.astype(np.int64),
            "frequency": fired / occurrences.sum(),
            "mean_activation": total / fired,
            "entropy": bits,
            "normalised_entropy": bits / corpus_entropy(occurrences),
            "token_like": (bits < settings["token_like_bits"]).astype(np.float64),
            "top_token": np.where(fired > 0, top, -1).astype(np.int64),
            "top_share": top_fired / fired,
            "top_mass": top_mass / total,
            "context_dependence": context,
            "context_defined": np.isfinite(context),
        }


def record(records: Records, columns: dict[str, np.ndarray], bits: float) -> None:
    """Record the means over live latents, the live share, and quantiles of their frequency."""
    live = columns["is_live"]
    for name, column, description in MEANS:
        where: dict[str, Any] = {"status": "live"}
        if name == "context_dependence":
            where["context_defined"] = True
            if not (live & columns["context_defined"]).any():
                continue
        records.measure(
            name,
            "mean",
            TABLE,
            unit="latent",
            higher_is_better=None,
            description=description.format(bits=f"{bits:g}", mean="mean over live latents"),
            where=where,
            unit_id="latent",
            value=column,
        )
    records.share(
        "live_share",
        TABLE,
        unit="latent",
        higher_is_better=None,
        description="Share of latents that fire often enough to be described",
        unit_id="latent",
        value="is_live",
    )
    for quantile in (0.1, 0.5, 0.9):
        records.add(
            f"frequency_p{100 * quantile:.0f}",
            np.quantile(columns["frequency"][live], quantile),
            unit="latent",
            n=int(live.sum()),
            higher_is_better=None,
            description=f"Share of tokens fired on: quantile {quantile:g} over live latents.",
        )


def _per_row(matrix: csr_matrix, values: np.ndarray) -> np.ndarray:
    """Sum of `values`, one per stored entry of `matrix`, over each of its rows."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return np.bincount(rows, np.asarray(values, dtype=np.float64), minlength=matrix.shape[0])
