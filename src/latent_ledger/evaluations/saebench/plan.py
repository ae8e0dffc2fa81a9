"""SAEBench: its own sparse probing and core metrics, through a checked adapter."""

from __future__ import annotations

from latent_ledger.artifacts.store import Payload
from latent_ledger.config.coder_specs import CoderSpec
from latent_ledger.evaluations.formatting import count, interval, per_coder, table
from latent_ledger.models.hook_points import HookPoint, HookPointName
from latent_ledger.planning import paths
from latent_ledger.planning.coders import way_to, way_to_codes
from latent_ledger.planning.stage import (
    Capture,
    Config,
    Finding,
    Jobs,
    RowPlan,
    Settings,
    Stage,
    coder_columns,
    coders_measured_by,
    dataset,
    metrics_of,
    named,
)

NAME = "saebench"
CORE = "saebench_core"
TEXTS, ARTIFACTS = "saebench_texts", "saebench_artifacts"
SPLIT = "probing"
"""Token set of sparse probing without data sets of SAEBench's own; core is measured on the
evaluation part of the corpus."""
CONCEPTS = "occupations"
"""What the probing concepts are called among data sets."""

OWN = ("sizes", "top_k", "batch", "resamples", "seed")
"""Settings of sparse probing itself; the artifacts have those of the draw and the baselines."""

CORE_TOLERANCE = 1e-4
"""Largest relative difference from SAEBench's core that counts as the same."""


def datasets(config: Config) -> dict[str, str]:
    """Short name -> token set, of everything that is probed."""
    names = config["evaluations"][NAME]["datasets"]
    if not names:
        return {CONCEPTS: SPLIT}
    return {name.rpartition("/")[2]: f"saebench-{name.rpartition('/')[2]}" for name in names}


def texts(dataset: str) -> str:
    """The drawn texts of one of SAEBench's data sets."""
    return f"results/saebench_texts/{dataset}.json"


def token_sets(config: Config) -> dict[str, tuple[str, Settings]]:
    """One text per row, the beginning of a long one, as SAEBench reads it."""
    block = config["evaluations"].get(NAME)
    if block is None or not block["datasets"] or not coders_measured_by(config, NAME):
        return {}
    how = {"layout": "examples", "keep": "beginning", "context": block["context"]}
    return {split: (texts(name), how) for name, split in datasets(config).items()}


def artifact(
    size: str, hook_point: HookPoint | str, model: str = paths.ORIGINAL, split: str = SPLIT
) -> str:
    """The prefilled activations of one hook point at one size."""
    return f"results/{ARTIFACTS}/{paths.over(split, model)}/{hook_point}/{size}.json"


def artifacts(config: Config, one: CoderSpec) -> list[str]:
    """What a coder's sparse probing reads: one manifest per data set and size."""
    return [
        artifact(size, one.site.input_hook, one.model, split)
        for split in datasets(config).values()
        for size in config["evaluations"][NAME]["sizes"]
    ]


def inputs(config: Config, one: CoderSpec) -> dict[str, str]:
    """The same under the names of the job's inputs."""
    return {f"artifact{i}": path for i, path in enumerate(artifacts(config, one))}


def gate(one: CoderSpec) -> str:
    """The adapter's fidelity gate, which blocks everything here."""
    return paths.gate("saelens", one.name)


def captures(config: Config) -> set[Capture]:
    """What the coders read, over the labelled texts and over the evaluation part."""
    return {
        Capture(split, one.model, one.site.input_hook)
        for one in coders_measured_by(config, NAME)
        for split in (*datasets(config).values(), "evaluation")
    }


def codes(config: Config) -> set[tuple[str, str]]:
    """Our codes of the evaluation part, for the cross-check; sparse probing encodes by itself."""
    return {("evaluation", one.name) for one in coders_measured_by(config, NAME)}


def jobs(config: Config) -> Jobs:
    """Texts per data set, artifacts per hook point and size, then sparse probing and core per
    coder.
    """
    found: Jobs = {}
    for one in coders_measured_by(config, NAME):
        block = config["evaluations"][NAME]
        drawn = dict(zip(datasets(config), block["datasets"], strict=False))
        concepts = None if drawn else config["evaluations"]["probing"]["concepts"]
        for short, name in drawn.items():
            settings = {"dataset": name, "sizes": block["sizes"], "seed": block["seed"]}
            found[texts(short)] = (TEXTS, settings)
        for short, split in datasets(config).items():
            for size in block["sizes"]:
                train, _, test = size.partition("-")
                found[artifact(size, one.site.input_hook, one.model, split)] = (
                    ARTIFACTS,
                    {
                        "dataset": short,
                        "concepts": concepts,
                        "train": int(train),
                        "test": int(test),
                        "top_k": block["top_k"],
                        "seed": block["seed"],
                    },
                )
        own = {"datasets": list(datasets(config)), **{key: block[key] for key in OWN}}
        found[paths.evaluation(NAME, one.name)] = (NAME, own)
        found[paths.evaluation(CORE, one.name)] = (CORE, dict(block["core"]))
    return found


def rows(config: Config) -> list[RowPlan]:
    """Two rows per coder: sparse probing, and the cross-check of our metrics."""
    found = []
    for one in coders_measured_by(config, NAME):
        read = []
        for split in datasets(config).values():
            read += [paths.tokens(split), paths.activations(split, one.site.input_hook, one.model)]
        read += artifacts(config, one)
        path = paths.evaluation(NAME, one.name)
        drawn = ", ".join(config["evaluations"][NAME]["datasets"])
        columns = {
            **coder_columns(config, one, NAME),
            "dataset": drawn or dataset(config, SPLIT),
            "tokens": "probe " + ", ".join(config["evaluations"][NAME]["sizes"]),
        }
        needs = [*way_to(one), gate(one), *read, path]
        found.append(RowPlan(f"saebench-{one.name}", NAME, path, columns, needs=needs))
        path = paths.evaluation(CORE, one.name)
        columns = {
            **coder_columns(config, one, "core cross-check"),
            "dataset": dataset(config, "evaluation"),
        }
        needs = [*way_to_codes(one, "evaluation"), gate(one), path]
        found.append(RowPlan(f"core-{one.name}", CORE, path, columns, needs=needs))
    return found


def read_probing(row: RowPlan, payload: Payload) -> Finding:
    """Accuracy of the probe on the best latent at the first size; the rest beside it."""
    metrics = metrics_of(payload)
    by = named(metrics)
    first, *others = payload.facts["sizes"]
    ks = [name.removeprefix("top_") for name in by if name.startswith("top_") and "/" not in name]
    parts = [
        f"k={k} {interval(by[f'top_{k}'])}, hook point itself "
        f"{by[f'llm_top_{k}']['estimate']:.3f}, "
        f"gap {interval(by[f'gap_{k}'], signed=True)}"
        for k in ks
    ]
    text = f"accuracy at {first} examples ({count(by[f'top_{ks[0]}'])}): " + "; ".join(parts)
    for size in others:
        listed = ", ".join(
            f"k={k} {by[f'top_{k}/{size}']['estimate']:.3f} "
            f"(hook point {by[f'llm_top_{k}/{size}']['estimate']:.3f})"
            for k in ks
        )
        text += f"; at {size}: {listed}"
    over = payload.facts["datasets"]
    if len(over) > 1:
        each = ", ".join(f"{name} {by[f'top_{ks[0]}/{name}']['estimate']:.3f}" for name in over)
        text += f"; k={ks[0]} by data set: {each}"
    units = "data sets" if len(over) > 1 else "classes"
    notes = [f"SAEBench gives no values per example; the interval is over {units}."]
    hook_point = HookPoint.parse(payload.facts["hook_point"])
    if hook_point.point != HookPointName.RESID_POST:
        notes.append(f"Input hook {hook_point.point}; not comparable with SAEs on the residual.")
    return Finding(text, main=by[f"top_{ks[0]}"], null=0.5, notes=" ".join(notes), metrics=metrics)


def read_core(row: RowPlan, payload: Payload) -> Finding:
    """The largest difference from SAEBench's correct metrics; where it is wrong, both numbers."""
    metrics = metrics_of(payload)
    by = named(metrics)
    main = by["largest_difference"]
    ours = {name.partition("/")[0]: by[name]["estimate"] for name in by if name.endswith("/ours")}
    theirs = {name: by[f"{name}/theirs"]["estimate"] for name in ours}
    wrong = [name for name in payload.facts["wrong"] if name in ours]
    listed = ", ".join(f"{name} {ours[name]:.4g}" for name in ours if name not in wrong)
    text = (
        f"largest relative difference {main['estimate']:.1e} over {main['n']} metrics "
        f"(n={payload.facts['tokens']:,} tokens): {listed}"
    )
    if wrong:
        text += "; SAEBench is wrong in " + ", ".join(
            f"{name} (it says {theirs[name]:.4g}, true {ours[name]:.4g})" for name in wrong
        )
    notes = "" if wrong else "SAEBench decodes a transcoder against its input: latents only."
    reference = {"value": 0.0, "tolerance": CORE_TOLERANCE}
    return Finding(text, main=main, notes=notes, metrics=metrics, reference=reference)


def section(current) -> str:
    """The ledger's tables: sparse probing, then the cross-check."""
    probed = per_coder(
        current,
        NAME,
        "## SAEBench\n\n"
        "Test accuracy of SAEBench's own sparse probes, mean over classes (or data sets) at the "
        "first of its sizes; chance is 0.5. The gap is to the same probe on the best dimensions of "
        "the hook point that the coder reads, so coders at different sites compare by their gaps "
        "only.",
        {
            "top 1": lambda m: interval(m["top_1"]) if "top_1" in m else "",
            "top 5": lambda m: interval(m["top_5"]) if "top_5" in m else "",
            "gap, top 1": lambda m: interval(m["gap_1"], signed=True) if "gap_1" in m else "",
            "gap, top 5": lambda m: interval(m["gap_5"], signed=True) if "gap_5" in m else "",
            "n": lambda m: count(next(iter(m.values())))[2:],
        },
    )
    checked = [row for row in current if row.row_type == CORE and row.metrics]
    if not checked:
        return probed
    lines = []
    for row in checked:
        by = named(row.metrics)
        cells = (_beside(by, name) for name in ("l0", "cossim", "ce_loss_score", "kl_div_with_sae"))
        wrong = (_beside(by, name) for name in ("explained_variance", "mse"))
        worst = f"{by['largest_difference']['estimate']:.1e}"
        lines.append((f"`{row.run_id.partition('-')[2]}`", worst, *cells, *wrong))
    header = ("coder", "largest difference", "L0", "cosine", "CE score", "KL")
    header += ("explained variance (wrong there)", "MSE (wrong there)")
    text = (
        "### Our metrics and SAEBench's core\n\n"
        "Ours / SAEBench's, on the same activations. The largest relative difference is over the "
        "metrics in which SAEBench is right; its explained variance is nearly uncentred and its "
        "MSE divides by the batch's tokens twice.\n\n"
    )
    return "\n\n".join(part for part in (probed, text + table(header, lines, range(1, 8))) if part)


def _beside(by: dict, name: str) -> str:
    """Ours / theirs, empty where the metric was not compared."""
    sides = [by.get(f"{name}/{side}") for side in ("ours", "theirs")]
    return " / ".join(f"{side['estimate']:.4g}" for side in sides if side)


STAGE = Stage(
    NAME,
    jobs=jobs,
    rows=rows,
    readers={NAME: read_probing, CORE: read_core},
    section=section,
    captures=captures,
    codes=codes,
    token_sets=token_sets,
)
