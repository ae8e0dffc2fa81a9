"""Rows of latent statistics, read from their payloads, and their section of the ledger."""

from collections.abc import Sequence
from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.evaluations.formatting import count, interval, per_coder, share
from latent_ledger.evaluations.latents.plan import NAME
from latent_ledger.planning.stage import Finding, RowPlan, metrics_of, named


def read(row: RowPlan, payload: Payload) -> Finding:
    """Token entropy as the main metric; its null is the token entropy of the corpus."""
    metrics = metrics_of(payload)
    by, facts = named(metrics), payload.facts
    bits, dependence = by["token_entropy"], by.get("context_dependence")
    context = f"context dependence {interval(dependence)}; " if dependence else ""
    text = (
        f"token entropy {interval(bits)} bits ({count(bits)}; the corpus has "
        f"{facts['corpus_entropy']:.2f}); token detectors {share(by['token_share'])} of live "
        f"latents; {context}top token {share(by['top_token_share'])} of firings; "
        f"{facts['live']:,} live, {facts['rare']:,} rare, {facts['dead']:,} dead latents"
    )
    return Finding(text, main=bits, null=facts["corpus_entropy"], metrics=metrics)


def section(current: Sequence[Any]) -> str:
    """The ledger's table of all coders."""
    return per_coder(
        current,
        NAME,
        "## What do the latents fire on?\n\n"
        "Token entropy is that of the token at a latent's firings, in bits: 0 for a latent of one "
        "token. Normalised, 1 is a latent that fires on any token as the corpus comes. Detectors "
        "are live latents of low token entropy; context dependence is 0 where the token alone "
        "decides whether they fire, and 1 where it says nothing. Means over live latents with 95% "
        "bootstrap intervals.",
        {
            "token entropy (bits)": lambda m: interval(m["token_entropy"], digits=2),
            "normalised": lambda m: interval(m["normalised_entropy"]),
            "token detectors": lambda m: interval(m["token_share"]),
            "context dependence": lambda m: (
                interval(m["context_dependence"]) if "context_dependence" in m else ""
            ),
            "median frequency": lambda m: f"{100 * m['frequency_p50']['estimate']:.2f}%",
            "live": lambda m: share(m["live_share"]),
            "n": lambda m: count(m["token_entropy"])[2:],
        },
    )
