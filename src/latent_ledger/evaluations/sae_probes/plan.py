"""sae_probes: the primary probing benchmark, over many labelled data sets."""

from __future__ import annotations

from latent_ledger.artifacts.store import Payload
from latent_ledger.config.coder_specs import CoderSpec
from latent_ledger.evaluations.formatting import count, interval, per_coder, share
from latent_ledger.models.hook_points import HookPoint, HookPointName
from latent_ledger.planning import paths
from latent_ledger.planning.coders import way_to
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
    embedded,
    metrics_of,
    named,
)

NAME = "sae_probes"
TEXTS = "probe_texts"
BASELINE = "sae_probes_baseline"
SPLIT = "sae-probes"
"""Token set of the drawn texts, one per row."""

TEXTS_PATH = "results/probe_texts.json"
OWN = ("top_k", "penalty", "seeds", "resamples", "seed")
"""Settings of the probes; the draw of texts and the baselines have theirs."""


def token_sets(config: Config) -> dict[str, tuple[str, Settings]]:
    """One labelled text per row, the end of a long one."""
    if NAME not in config["evaluations"]:
        return {}
    context = config["evaluations"][NAME]["context"]
    return {SPLIT: (TEXTS_PATH, {"layout": "examples", "context": context})}


def captures(config: Config) -> set[Capture]:
    """What the coders read."""
    return {
        Capture(SPLIT, one.model, one.site.input_hook) for one in coders_measured_by(config, NAME)
    }


def trained_on(config: Config) -> list[str]:
    """Manifests of the corpus parts whose texts no probe may be asked about."""
    return [paths.corpus(part) for part in (["model"] if embedded(config) else []) + ["coder"]]


def baseline(hook_point: HookPoint | str, model: str = paths.ORIGINAL) -> str:
    """The prefilled activations and the logistic regression on them, of one hook point."""
    return f"results/{BASELINE}/{paths.over(SPLIT, model)}/{hook_point}.json"


def gate(one: CoderSpec) -> str:
    """The adapter's fidelity gate, which blocks the probes."""
    return paths.gate("saelens", one.name)


def jobs(config: Config) -> Jobs:
    """The draw of texts, a baseline per hook point, and the probes per coder."""
    block = config["evaluations"].get(NAME)
    if block is None:
        return {}
    draw = {key: block[key] for key in ("datasets", "examples", "seed")}
    found: Jobs = {TEXTS_PATH: (TEXTS, draw)}
    for one in coders_measured_by(config, NAME):
        hook_point = baseline(one.site.input_hook, one.model)
        found[hook_point] = (BASELINE, {"seeds": block["seeds"]})
        found[paths.evaluation(NAME, one.name)] = (NAME, {key: block[key] for key in OWN})
    return found


def rows(config: Config) -> list[RowPlan]:
    """One row per coder."""
    found = []
    for one in coders_measured_by(config, NAME):
        sets = len(config["evaluations"][NAME]["datasets"])
        columns = {
            **coder_columns(config, one, "sae_probes"),
            "dataset": f"sae_probes ({sets} data sets)",
        }
        path = paths.evaluation(NAME, one.name)
        needs = [
            *way_to(one),
            gate(one),
            TEXTS_PATH,
            paths.tokens(SPLIT),
            paths.activations(SPLIT, one.site.input_hook, one.model),
            baseline(one.site.input_hook, one.model),
            path,
        ]
        found.append(RowPlan(f"saeprobes-{one.name}", NAME, path, columns, needs=needs))
    return found


def sizes(names) -> list[int]:
    """The numbers of latents that were probed, ascending."""
    return sorted(int(name.removeprefix("auroc_k")) for name in names if name.startswith("auroc_k"))


def read(row: RowPlan, payload: Payload) -> Finding:
    """Mean AUROC of the largest sparse probe; beside it the smaller ones and the gap to raw."""
    metrics = metrics_of(payload)
    by = named(metrics)
    *smaller, k = sizes(by)
    main, gap, win = by[f"auroc_k{k}"], by[f"gap_raw_k{k}"], by[f"win_rate_k{k}"]
    listed = "".join(f"k={one} {interval(by[f'auroc_k{one}'])}; " for one in smaller)
    seeds = payload.facts["seeds"]
    text = (
        f"AUROC k={k} {interval(main)} ({count(main)}, mean of {len(seeds)} seeds); {listed}"
        f"logistic regression on raw {interval(by['auroc_raw'])}; k={k} - raw "
        f"{interval(gap, signed=True)}, better on {share(win)} of the data sets"
    )
    notes = "Texts that trained the model or a coder, or share a passage with one, are left out."
    hook_point = HookPoint.parse(payload.facts["hook_point"])
    if hook_point.point != HookPointName.RESID_POST:
        notes += f" Input hook {hook_point.point}; not comparable with SAEs on the residual."
    if len(seeds) > 1:
        notes += f" Seed sd {by[f'seed_sd_k{k}']['estimate']:.4f}."
    return Finding(text, main=main, null=0.5, notes=notes, metrics=metrics)


def section(current) -> str:
    """The ledger's table of all coders."""
    found = [row for row in current if row.row_type == NAME and row.metrics]
    if not found:
        return ""
    columns = {}
    for k in sizes(named(found[0].metrics)):
        columns[f"k={k}"] = lambda m, k=k: interval(m[f"auroc_k{k}"])
        columns[f"k={k} - raw"] = lambda m, k=k: interval(m[f"gap_raw_k{k}"], signed=True)
        columns[f"k={k} wins"] = lambda m, k=k: share(m[f"win_rate_k{k}"])
    columns["raw"] = lambda m: interval(m["auroc_raw"])
    columns["n"] = lambda m: count(m["auroc_raw"])[2:]
    return per_coder(
        current,
        NAME,
        "## sae_probes\n\n"
        "Test AUROC of sae_probes' own sparse probes, mean over its data sets and seeds; chance is "
        "0.5. Raw is its logistic regression on the activations that the coder reads: a negative "
        "gap means that the coder's latents lose what a plain probe finds. Intervals are over data "
        "sets.",
        columns,
    )


STAGE = Stage(
    NAME,
    jobs=jobs,
    rows=rows,
    readers={NAME: read},
    section=section,
    captures=captures,
    token_sets=token_sets,
)
