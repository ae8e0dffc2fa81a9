"""The sparse coders: trained, one job per instance and all with one recipe, or fetched."""

from __future__ import annotations

from collections.abc import Callable

from latent_ledger.artifacts.store import Payload
from latent_ledger.config.coder_specs import CoderSpec, coder_specs, coders_measured_by
from latent_ledger.planning import paths
from latent_ledger.planning.stage import (
    Capture,
    Config,
    Finding,
    Jobs,
    RowPlan,
    Stage,
    coder_columns,
    dataset,
)
from latent_ledger.planning.text import budget, listing


def captures(config: Config) -> set[Capture]:
    """Both hook points of every coder's site, over the coders' part of the corpus."""
    return {
        Capture("coder", spec.model, hook_point)
        for spec in coder_specs(config)
        if not spec.pretrained
        for hook_point in spec.site.hook_points
    }


def jobs(config: Config) -> Jobs:
    """One job per coder: it is trained, or fetched."""
    found: Jobs = {}
    for one in coder_specs(config):
        rule, settings = "train_coder", one.settings
        if one.pretrained:
            rule, settings = "pretrained_coder", settings | listing("coders", one.source)
        found[paths.coder(one.name)] = (rule, settings)
    return found


def made_by(config: Config, rule: str) -> list[str]:
    """Names of the coders that a rule makes."""
    return [one.name for one in coder_specs(config) if one.pretrained == (rule != "train_coder")]


def way_to(spec) -> list[str]:
    """Manifests on the way to a coder, in order."""
    if spec.pretrained:
        return [paths.coder(spec.name)]
    return [
        paths.model(spec.model),
        paths.tokens("coder", spec.base),
        *(
            paths.activations("coder", hook_point, spec.model)
            for hook_point in spec.site.hook_points
        ),
        paths.coder(spec.name),
    ]


def way_to_codes(spec, split: str) -> list[str]:
    """Manifests on the way to a coder's codes over a token set, in order.

    The gate of the coder's reader, on the evaluation part, comes before any of its codes.
    """
    input_hook, gate = spec.site.input_hook, paths.gate("reader", spec.name)
    way = [*way_to(spec)]
    for part, ends in (("evaluation", gate), (split, paths.codes(split, spec.name))):
        tokens = paths.tokens(part, spec.base)
        way += [tokens, paths.activations(part, input_hook, spec.model), ends]
    return list(dict.fromkeys(way))


def measured(
    config: Config,
    evaluation: str,
    split: str,
    prefix: str,
    gates: Callable[[CoderSpec], list[str]] = lambda _: [],
) -> list[RowPlan]:
    """One row per coder that an evaluation measures on its codes, named ``<prefix>-<coder>``.

    `gates` gives the manifests, besides the codes, without which there is no number.
    """
    return [
        RowPlan(
            f"{prefix}-{one.name}",
            evaluation,
            paths.evaluation(evaluation, one.name),
            {**coder_columns(config, one, evaluation), "dataset": dataset(config, split)},
            needs=[
                *way_to_codes(one, split),
                *gates(one),
                paths.evaluation(evaluation, one.name),
            ],
        )
        for one in coders_measured_by(config, evaluation)
    ]


def rows(config: Config) -> list[RowPlan]:
    """One row per coder, trained or fetched."""
    found = []
    for one in coder_specs(config):
        path, columns = paths.coder(one.name), coder_columns(config, one)
        if one.pretrained:
            columns |= {"coder_type": f"{one.architecture} (pretrained)", "dataset": one.source}
            found.append(RowPlan(f"pretrained-{one.name}", "pretrained", path, columns))
            found[-1].needs.append(path)
            continue
        columns |= {
            "dataset": dataset(config, "coder"),
            "tokens": f"{budget(config, 'coder', one.base):,}",
        }
        found.append(RowPlan(f"train-{one.name}", "train", path, columns, needs=way_to(one)))
    return found


def read(row: RowPlan, payload: Payload) -> Finding:
    """Training FVU, the share of silent latents and, for a control, what it was kept from."""
    facts = payload.facts
    text = (
        f"training FVU {facts['fvu']:.3f} over the last tenth of {facts['steps']:,} steps; "
        f"{100 * facts['dead_share']:.1f}% of latents silent (n={facts['tokens']:,} tokens)"
    )
    notes = ""
    if "decoder_cosine" in facts:
        least, mean = (facts["decoder_cosine"][name] for name in ("least", "mean"))
        notes = (
            f"Control: learnt {', '.join(facts['learnt'])}; cosine of the decoder's rows with "
            f"themselves as drawn {mean:.3f} on average, {least:.3f} at least."
        )
    if "units" in facts:
        notes = (
            f"Control: trained on activations divided by {facts['units']['input_hook']:g} (read) "
            "and "
            f"{facts['units']['output_hook']:g} (written), the sizes they have in this model."
        )
    counted = [
        {"name": name, "estimate": facts[name], "ci": None, "unit": "token", "n": facts["tokens"]}
        for name in ("tokens", "fvu", "dead_share")
    ]
    columns = {"tokens": f"{facts['tokens']:,}"}
    return Finding(text, main=counted[0], notes=notes, columns=columns, metrics=counted)


def read_pretrained(row: RowPlan, payload: Payload) -> Finding:
    """What was fetched: format, file, width, and k where it has one."""
    facts = payload.facts
    text = f"{facts['format']}, {facts['file']}: {facts['width']:,} latents of {facts['d_in']:,}"
    sparsity = f"k={facts['k']}" if "k" in facts else "JumpReLU"
    return Finding(text, columns={"width": str(facts["width"]), "sparsity": sparsity})


STAGE = Stage(
    "coders",
    jobs=jobs,
    rows=rows,
    readers={"train": read, "pretrained": read_pretrained},
    captures=captures,
)
