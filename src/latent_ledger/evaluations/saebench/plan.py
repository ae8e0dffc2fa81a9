"""SAEBench: its own sparse probing and core metrics, through a checked adapter."""

from __future__ import annotations

from latent_ledger.config.coder_specs import CoderSpec
from latent_ledger.models.hook_points import HookPoint
from latent_ledger.planning import paths
from latent_ledger.planning.coders import way_to, way_to_codes
from latent_ledger.planning.stage import (
    Capture,
    Config,
    Jobs,
    RowPlan,
    Settings,
    coder_columns,
    coders_measured_by,
    dataset,
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
