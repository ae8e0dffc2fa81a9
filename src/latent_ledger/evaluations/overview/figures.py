"""Figures of the overview: SVG for the page, PNG for slides, equal bytes for equal numbers.

One hue per coder throughout; controls are grey and hollow, and each has a shape.
A further seed is a point like any other, without a label.
Whiskers are the 95% intervals of the metrics' own bootstrap.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's palette: distinct for colour-blind readers too."""

GREY = "#8A8A8A"
SHAPES = "os^Dv<>"
"""Markers of the controls; contenders are round."""

STYLE: dict[RcKeyType, Any] = {
    "svg.hashsalt": "latent-ledger",  # else element ids differ from run to run
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
}


def pareto(rows: Sequence[Mapping[str, Any]], labels: Mapping[str, str], out: Path) -> None:
    """``pareto.svg`` and ``pareto.png``: one point per coder, the front as a stepped line."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
        hues = _hues(row["coder"] for row in rows if not row["control"])
        controls = dict.fromkeys(row["coder"] for row in rows if row["control"])
        shapes = dict(zip(controls, itertools.cycle(SHAPES), strict=False))
        annotated = set()
        for row in rows:
            colour, k = hues.get(row["coder"], GREY), None if row["control"] else row["k"]
            axes.errorbar(
                row["x"],
                row["y"],
                xerr=_whisker(row, "x", "x_"),
                yerr=_whisker(row, "y", "y_"),
                fmt=shapes.get(row["coder"], "o"),
                markersize=5 + (k or 0) ** 0.5 / 2,
                color=colour,
                markerfacecolor="white" if row["control"] else colour,
                elinewidth=1,
                capsize=0,
                alpha=0.9,
            )
            if k is not None and (row["coder"], k) not in annotated:
                axes.annotate(
                    f"k={k}",
                    (row["x"], row["y"]),
                    xytext=(6, 5),
                    textcoords="offset points",
                    color=colour,
                    fontsize=7,
                )
            annotated.add((row["coder"], k))
        chain = sorted((row["x"], row["y"]) for row in rows if row["on_front"])
        if len(chain) > 1:
            axes.step(*zip(*chain, strict=True), where="pre", color="#BBBBBB", lw=1, zorder=0)
        for coder, hue in hues.items():
            axes.plot([], [], "o", color=hue, label=coder)
        for coder, shape in shapes.items():
            axes.plot([], [], shape, color=GREY, markerfacecolor="white", label=coder)
        if rows:
            figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
        axes.margins(x=0.08)  # room for the labels
        axes.set_xlabel(_label(labels["x"]))
        axes.set_ylabel(_label(labels["y"]))
        axes.set_title("Fidelity against interpretability", loc="left", fontsize=10)
        _save(figure, out, "pareto")


def sweep(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """``sweep.svg`` and ``sweep.png``: one panel per metric, one line per coder, seeds as dots."""
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    hues, columns = _hues(row["coder"] for row in rows), max(1, len(metrics))
    with plt.rc_context(STYLE):
        size = (3.2 * columns, 3.2)
        figure, panels = plt.subplots(1, columns, figsize=size, layout="constrained", squeeze=False)
        for axes, metric in zip(panels[0], metrics, strict=False):
            _sweep_panel(axes, [row for row in rows if row["metric"] == metric], hues)
            axes.set_title(_label(metric), loc="left", fontsize=9)
        handles, names = panels[0][0].get_legend_handles_labels()
        if handles:
            figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
        _save(figure, out, "sweep")


def _sweep_panel(axes: Axes, rows: Sequence[Mapping[str, Any]], hues: Mapping[str, str]) -> None:
    ks = sorted({row["k"] for row in rows})
    for shift, (coder, hue) in enumerate(hues.items()):
        points = [row for row in rows if row["coder"] == coder]
        if not points:
            continue
        # Points of different coders at one k have an offset each, or whiskers would hide them.
        offset = {k: ks.index(k) + (shift - len(hues) / 2) * 0.06 for k in ks}
        for row in points:
            axes.errorbar(
                offset[row["k"]],
                row["estimate"],
                yerr=_whisker(row, "estimate", ""),
                fmt="o",
                color=hue,
                markersize=4,
                elinewidth=1,
                alpha=0.8,
            )
        means = {k: [r["estimate"] for r in points if r["k"] == k] for k in ks}
        line = [(offset[k], sum(v) / len(v)) for k, v in means.items() if v]
        axes.plot(*zip(*line, strict=True), color=hue, lw=1.2, label=coder)
    axes.set_xticks(range(len(ks)), [str(k) for k in ks])
    axes.set_xlim(-0.5, len(ks) - 0.5)
    axes.set_xlabel("k, active latents per token")


def _hues(coders: Iterable[str]) -> dict[str, str]:
    return dict(zip(dict.fromkeys(coders), itertools.cycle(HUES), strict=False))


def _whisker(row: Mapping[str, Any], estimate: str, axis: str) -> list[list[float]]:
    return [[row[estimate] - row[f"{axis}low"]], [row[f"{axis}high"] - row[estimate]]]


def _label(metric: str) -> str:
    evaluation, _, name = metric.partition(".")
    return f"{name.replace('_', ' ')} ({evaluation})"


def _save(figure: Figure, out: Path, name: str) -> None:
    """Save both formats, without the date and version that change bytes of equal figures."""
    figure.savefig(Path(out) / f"{name}.svg", metadata={"Date": None, "Creator": None})
    figure.savefig(Path(out) / f"{name}.png", dpi=160, metadata={"Software": None})
    plt.close(figure)
