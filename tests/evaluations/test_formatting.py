"""Tables of coders, some of another model."""

from types import SimpleNamespace

from latent_ledger.evaluations.formatting import per_coder


def row(coder: str, model: str) -> SimpleNamespace:
    metric = {"name": "fvu", "estimate": 0.25, "ci": None}
    return SimpleNamespace(
        run_id=f"recon-{coder}",
        row_type="reconstruction",
        metrics=[metric],
        values={"model": model},
    )


def test_per_coder_of_another_model_names_the_model():
    rows = [row("sae-k32-s0", "gemma"), row("smoke-k32-s0", "pythia"), row("tc-k32-s0", "gemma")]
    text = per_coder(
        rows, "reconstruction", "## Title", {"FVU": lambda by: f"{by['fvu']['estimate']:.2f}"}
    )
    assert text.splitlines()[-3:] == [
        "| `sae-k32-s0` | 0.25 |",
        "| `smoke-k32-s0` (of pythia) | 0.25 |",
        "| `tc-k32-s0` | 0.25 |",
    ]
    assert per_coder(rows, "probing", "## Title", {}) == ""
