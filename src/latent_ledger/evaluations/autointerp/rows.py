"""Rows of auto-interp, read from their payloads, and their section of the ledger."""

from collections.abc import Mapping, Sequence
from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.evaluations.autointerp.plan import NAME
from latent_ledger.evaluations.autointerp.protocol import INTRUDER, SCORABLE, SCORED, SCORES
from latent_ledger.evaluations.formatting import count, interval, share, table
from latent_ledger.planning.stage import Finding, RowPlan, metrics_of, named


def read_sample(row: RowPlan, payload: Payload) -> Finding:
    """The share of drawn latents with examples, and the reasons of the others."""
    facts = payload.facts
    requested, statuses = facts["requested"], dict(facts["statuses"])
    shares = {SCORABLE: statuses.pop(SCORABLE, 0)}
    shares |= {f"dropped/{reason.replace(' ', '_')}": number for reason, number in statuses.items()}
    metrics = [
        {"name": name, "estimate": number / requested, "ci": None, "unit": "latent", "n": requested}
        for name, number in shares.items()
    ]
    have = f"{shares[SCORABLE]} of {requested} latents drawn have examples"
    return Finding(f"{have}; dropped: {_counts(statuses)}", main=metrics[0], metrics=metrics)


def read(row: RowPlan, payload: Payload) -> Finding:
    """The main score first; then the others, the adjusted ones, and every dropped latent."""
    metrics = metrics_of(payload)
    by, facts = named(metrics), payload.facts
    assert row.metric is not None, "every row of this evaluation has a main metric"
    main = by[row.metric]
    parts, tail = [], f"_{facts['scorer_or_encoder']}"
    for name in facts["statuses"]:
        text = f"{name.removesuffix(tail).replace('_', ' ')} {interval(by[name])}"
        if f"{name}_auroc" in by:
            text += f", AUROC {by[f'{name}_auroc']['estimate']:.3f}"
        if f"{name}_adjusted" in by:
            far = ", extrapolated" if name in facts["extrapolated"] else ""
            text += f" (frequency-adjusted {by[f'{name}_adjusted']['estimate']:.3f}{far})"
        parts.append(text)
    dropped = {k: v for k, v in facts["statuses"][row.metric].items() if k != SCORED}
    unread = by[f"{row.metric}_unread"]
    text = (
        f"{'; '.join(parts)}; {count(main)} of {facts['requested']}, dropped: {_counts(dropped)}; "
        f"unread answers {share(unread)} of {unread['n']:,} prompts; "
        f"{row.columns['coder_type'].partition('auto-interp, ')[2].rpartition(',')[0]}"
    )
    return Finding(text, main=main, null=chance(main["name"], facts), metrics=metrics)


def _counts(statuses: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {status}" for status, number in statuses.items()) or "none"


def chance(name: str, facts: Mapping[str, Any]) -> float:
    """The expected score of a guess: one in the examples shown for intruders, else one half."""
    return 1 / facts["examples_shown"] if name.startswith(f"{INTRUDER}_") else 0.5


def section(current: Sequence[Any]) -> str:
    """The ledger's table of coders and scorers."""
    lines = [_cells(row) for row in current if row.row_type == NAME and row.metrics]
    scores = [score.replace("_", ", ") for score in SCORES]
    header = ("coder and scorer", *scores, "first, frequency-adjusted", "n")
    return (
        "## Can a scorer tell from a latent's examples where it fires?\n\n"
        "Mean over a random sample of latents of the balanced accuracy (intruder: share of trials "
        "won). The scorer is the last part of the name; lexical is a rule and no model. Chance is "
        "0.5, for intruders one in the number shown. In *fuzzing* wrong marks are where delphi "
        "puts them, always on the same token; in *fuzzing, matched* they are where right ones are. "
        "Frequency-adjusted: at one firing frequency for all coders.\n\n"
        + table(header, lines, range(1, len(header)))
        if lines
        else ""
    )


def _cells(row: Any) -> list[str]:
    """A row's line of the table."""
    by = named(row.metrics)
    scores = {
        score: metric
        for score in SCORES
        for name, metric in by.items()
        if name.startswith(f"{score}_") and row.run_id.endswith(f"-{name[len(score) + 1 :]}")
    }
    main = next(iter(scores.values()))
    adjusted = by.get(f"{main['name']}_adjusted")
    return [
        f"`{row.run_id.partition('-')[2]}`",
        *(interval(scores[score]) if score in scores else "" for score in SCORES),
        f"{adjusted['estimate']:.3f}" if adjusted else "",
        count(main)[2:],
    ]
