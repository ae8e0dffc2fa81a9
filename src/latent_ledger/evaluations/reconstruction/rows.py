"""Rows of reconstruction, read from their payloads, and their section of the ledger."""

from collections.abc import Sequence
from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.evaluations.formatting import count, interval, per_coder, share
from latent_ledger.evaluations.reconstruction.plan import NAME
from latent_ledger.planning.stage import Finding, RowPlan, metrics_of, named


def read(row: RowPlan, payload: Payload) -> Finding:
    """Variance explained as the main metric; the cost of the splice and latent use in the text."""
    metrics = metrics_of(payload)
    by = named(metrics)
    ve, l0, recovered = by["variance_explained"], by["l0"], by["loss_recovered"]
    text = (
        f"variance explained {interval(ve)} ({count(ve)}; "
        f"{interval(by['variance_explained_with_bos'])} with BOS); "
        f"loss recovered {interval(recovered)} ({count(recovered)}); "
        f"KL {interval(by['kl'], digits=4)} nats/token; cosine {interval(by['cosine'])}; "
        f"dead {share(by['dead_share'])}, dense "
        f"{share(by['dense_share'])} of {by['dead_share']['n']:,} latents"
    )
    columns = {
        "sparsity": f"{row.columns['sparsity']}, L0={l0['estimate']:.1f}",
        "tokens": f"{payload.facts['tokens']:,}",
    }
    return Finding(text, main=ve, null=0.0, columns=columns, metrics=metrics)


def section(current: Sequence[Any]) -> str:
    """The ledger's table of all coders."""
    return per_coder(
        current,
        NAME,
        "## How faithfully does each coder rebuild its target?\n\n"
        "Variance explained is 1 - FVU on the coder's own target without BOS; loss recovered is "
        "measured with the coder spliced into the model. Intervals: 95%, bootstrap over documents. "
        "Coders with different targets are not comparable by variance explained alone.",
        {
            "variance explained": lambda m: interval(m["variance_explained"]),
            "loss recovered": lambda m: interval(m["loss_recovered"]),
            "KL (nats/token)": lambda m: interval(m["kl"], digits=4),
            "L0": lambda m: f"{m['l0']['estimate']:.1f}",
            "dead": lambda m: share(m["dead_share"]),
            "dense": lambda m: share(m["dense_share"]),
            "n": lambda m: count(m["variance_explained"])[2:],
        },
    )
