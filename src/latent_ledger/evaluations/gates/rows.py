"""Rows of the gates, read from their payloads, and their section of the ledger."""

from collections.abc import Callable, Sequence
from typing import Any

from latent_ledger.artifacts.store import Payload
from latent_ledger.evaluations.formatting import titled_table
from latent_ledger.planning.stage import Finding, RowPlan, metrics_of, named


def read(row: RowPlan, payload: Payload) -> Finding:
    """The finding of a gate, by the rule that made its payload."""
    return READERS[payload.manifest.rule](payload)


def read_fidelity(payload: Payload) -> Finding:
    """Jaccard first; then the errors of values and outputs, and the result of the wrong variant."""
    facts, metrics = payload.facts, metrics_of(payload)
    by = named(metrics)
    value_error, output_error = (
        max(metric["estimate"] for metric in metrics if metric["name"].startswith(name))
        for name in ("value_error", "output_error")
    )
    rows = " and ".join(f"{count:,} {name}" for name, count in facts["rows"].items())
    text = (
        f"Jaccard {by['jaccard']['estimate']:.3f} against {facts['against']} on {rows} rows "
        f"(n={by['jaccard']['n']:,} rows); largest relative error of a value {value_error:.1e}, "
        f"of an output {output_error:.1e} (bound 1e-04); {facts['tied_rows']:,} rows with a tie "
        "at the boundary"
    )
    wrong, notes = facts.get("wrong_variant"), ""
    if wrong and wrong["fails"]:
        jaccards = " and ".join(f"{jaccard:.2f}" for jaccard in wrong["jaccard"].values())
        notes = f"With {wrong['option']} the same check fails: Jaccard {jaccards}."
    elif wrong:
        notes = (
            f"With {wrong['option']} the same check passes too: b_dec is only "
            f"{wrong['b_dec_norm']:g} of a row's norm, so the two are one function."
        )
    reference = {"value": 1.0, "tolerance": 0.0}
    return Finding(text, main=by["jaccard"], notes=notes, metrics=metrics, reference=reference)


def read_reconstruction_nulls(payload: Payload) -> Finding:
    """Variance explained of the mean and of the target itself, and the largest deviation."""
    metrics = metrics_of(payload)
    by = named(metrics)
    main = by["largest_deviation"]
    text = (
        f"variance explained {abs(by['variance_explained_of_mean']['estimate']):.6f} for the mean, "
        f"{by['variance_explained_of_target']['estimate']:.6f} for the target itself, with and "
        f"without BOS within {main['estimate']:.0e} (n={main['n']:,} documents)"
    )
    reference = {"value": 0.0, "tolerance": payload.facts["tolerance"]}
    return Finding(text, main=main, metrics=metrics, reference=reference)


def read_probing_nulls(payload: Payload) -> Finding:
    """The AUROC farthest from chance, and its bound."""
    facts, metrics = payload.facts, metrics_of(payload)
    main = named(metrics)["largest_deviation"]
    text = (
        f"AUROC after shuffling labels or latents at most {main['estimate']:.3f} from 0.5 over "
        f"{facts['checks']} means (bound {facts['bound']:g}, which a correct evaluation exceeds "
        f"with probability {facts['false_alarm']:g}; n={main['n']:,} shuffles); with the true "
        f"labels {facts['true_auroc']:.3f}"
    )
    reference = {"value": 0.0, "tolerance": facts["bound"]}
    return Finding(text, main=main, metrics=metrics, reference=reference)


READERS: dict[str, Callable[[Payload], Finding]] = {
    "reader_fidelity": read_fidelity,
    "saelens_fidelity": read_fidelity,
    "reconstruction_nulls": read_reconstruction_nulls,
    "probing_nulls": read_probing_nulls,
}
"""Rule of a gate -> reader of its payload."""

GATES = {
    "parity-": ("hook-point parity", "every captured row is TransformerLens' value"),
    "gate-reader-": ("encode fidelity, reader", "our reader is the library's coder: Jaccard 1"),
    "gate-saelens-": ("encode fidelity, SAELens", "the adapted coder is ours: Jaccard 1"),
    "gate-nulls-reconstruction-": (
        "metric nulls, reconstruction",
        "variance explained 0 for the mean, 1 for the target",
    ),
    "gate-nulls-probing-": ("metric nulls, probing", "AUROC 0.5 after a shuffle"),
}
"""Beginning of a run id -> name of the gate, and its condition."""


def section(current: Sequence[Any]) -> str:
    """The ledger's table of gates: how many there are, and how many hold."""
    lines = []
    for start, (name, must) in GATES.items():
        rows = [row for row in current if row.run_id.startswith(start)]
        held = sum(row.label == "reproduced" for row in rows)
        if rows:
            lines.append((name, must, f"{held} of {len(rows)}", _worst_held(rows)))
    return titled_table(
        "## Gates\n\n"
        "What must hold before a number is measured. A gate that fails blocks what depends on it: "
        "those rows say so and carry no number.",
        ("gate", "what must hold", "held", "worst of these"),
        lines,
        (2, 3),
    )


def _worst_held(rows: Sequence[Any]) -> str:
    """The worst main number among the gates that were measured."""
    jaccards, deviations = (
        [metric["estimate"] for row in rows for metric in row.metrics if metric["name"] == name]
        for name in ("jaccard", "largest_deviation")
    )
    if jaccards:
        return f"Jaccard {min(jaccards):.3f}"
    return f"{max(deviations):.2g} off" if deviations else ""
