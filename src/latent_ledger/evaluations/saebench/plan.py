"""Planning of SAEBench: its own sparse probing and core metrics, through a checked adapter."""

from latent_ledger.config.coder_specs import CoderSpec, coders_measured_by
from latent_ledger.models.hook_points import HookPoint
from latent_ledger.planning import paths
from latent_ledger.planning.stage import (
    Config,
    Jobs,
    PlannedJob,
    RowPlan,
    Settings,
    TokenSet,
    coder_columns,
    dataset,
)

NAME = "saebench"
CORE = "saebench_core"
TEXTS, ARTIFACTS = "saebench_texts", "saebench_artifacts"
TOKEN_SET = "probing"
"""Token set of sparse probing where no data set of SAEBench is configured."""
CORE_TOKEN_SET = "evaluation"
"""Token set of the core metrics."""
CONCEPTS = "occupations"
"""Name of the probing concepts among data sets."""

SETTINGS = ("sizes", "top_k", "batch", "resamples", "seed")
"""Settings of sparse probing itself; the artifacts have those of the draw and the baselines."""
CLASSES = 5
"""Most classes of a data set of SAEBench."""


def datasets(config: Config) -> dict[str, str]:
    """Short name of a probed data set -> its token set."""
    names = config["evaluations"][NAME]["datasets"]
    if not names:
        return {CONCEPTS: TOKEN_SET}
    return {name.rpartition("/")[2]: f"saebench-{name.rpartition('/')[2]}" for name in names}


def texts(dataset: str) -> str:
    """The drawn texts of one of SAEBench's data sets."""
    return f"{TEXTS}/{dataset}.json"


def text_count(config: Config, size: str) -> float:
    """Texts of all classes of one data set at one size.

    A probe takes half of its examples from its class.
    """
    datasets = config["evaluations"]["saebench"]["datasets"]
    classes = CLASSES if datasets else len(config["evaluations"]["probing"]["concepts"])
    return classes * sum(map(int, size.split("-"))) / 2


def text_context(config: Config) -> int:
    """Tokens of a text in SAEBench's sparse probing."""
    block = config["evaluations"]["saebench"]
    return (block if block["datasets"] else config["evaluations"]["probing"])["context"]


def token_sets(config: Config) -> dict[str, TokenSet]:
    """The token sets of drawn texts: one per row, the beginning of a long one, as in SAEBench."""
    block = config["evaluations"].get(NAME)
    if block is None or not block["datasets"] or not coders_measured_by(config, NAME):
        return {}
    settings = {"layout": "examples", "keep": "beginning", "context": block["context"]}
    largest = max(text_count(config, size) for size in block["sizes"])  # one draw serves every size
    return {
        token_set: TokenSet(texts(name), settings, largest * block["context"])
        for name, token_set in datasets(config).items()
    }


def artifact(dataset_key: str, hook_point: HookPoint | str, size: str) -> str:
    """The prefilled activations of one hook point at one size."""
    return f"{ARTIFACTS}/{dataset_key}/{hook_point}/{size}.json"


def artifacts(config: Config, spec: CoderSpec) -> dict[str, str]:
    """The artifacts of a coder's sparse probing: manifests by data set and size."""
    return {
        f"artifact/{name}/{size}": artifact(
            paths.on_model(token_set, spec.model), spec.site.input_hook, size
        )
        for name, token_set in datasets(config).items()
        for size in config["evaluations"][NAME]["sizes"]
    }


def jobs(config: Config) -> Jobs:
    """Texts per data set, artifacts per hook point and size; sparse probing and core per coder."""
    planned: Jobs = {}
    for spec in coders_measured_by(config, NAME):
        block = config["evaluations"][NAME]
        drawn = dict(zip(datasets(config), block["datasets"], strict=False))
        for short, name in drawn.items():
            settings = {"dataset": name, "sizes": block["sizes"], "seed": block["seed"]}
            planned[texts(short)] = PlannedJob(TEXTS, settings)
        for short, token_set in datasets(config).items():
            raw = paths.Activations(token_set, spec.site.input_hook, spec.model)
            for size in block["sizes"]:
                path = artifact(paths.on_model(token_set, spec.model), spec.site.input_hook, size)
                planned[path] = PlannedJob(
                    ARTIFACTS,
                    _artifact_settings(config, short, size),
                    {"tokens": paths.Tokens(token_set), "raw": raw},
                    token_set,
                    spec.model,
                )
        checked = {"coder": paths.coder(spec.name), "gate": paths.SaelensGate(spec.name)}
        planned[paths.evaluation(NAME, spec.name)] = PlannedJob(
            NAME,
            {"datasets": list(datasets(config)), **{key: block[key] for key in SETTINGS}},
            {**artifacts(config, spec), **checked},
            TOKEN_SET,
            spec.model,
            (spec,),
        )
        planned[paths.evaluation(CORE, spec.name)] = PlannedJob(
            CORE,
            dict(block["core"]),
            {
                "model": paths.model(spec.model),
                "tokens": paths.Tokens(CORE_TOKEN_SET),
                "input_hook": paths.Activations(CORE_TOKEN_SET, spec.site.input_hook, spec.model),
                "codes": paths.Codes(CORE_TOKEN_SET, spec.name),
                **checked,
            },
            CORE_TOKEN_SET,
            spec.model,
            (spec,),
        )
    return planned


def _artifact_settings(config: Config, dataset: str, size: str) -> Settings:
    """Settings of the artifacts of one data set at one size, written ``<train>-<test>``."""
    block = config["evaluations"][NAME]
    train, _, test = size.partition("-")
    concepts = None if block["datasets"] else config["evaluations"]["probing"]["concepts"]
    return {
        "dataset": dataset,
        "concepts": concepts,
        "train": int(train),
        "test": int(test),
        "top_k": block["top_k"],
        "seed": block["seed"],
    }


def rows(config: Config, jobs: Jobs) -> list[RowPlan]:
    """Two rows per coder: sparse probing, and the cross-check of our metrics."""
    planned = []
    for spec in coders_measured_by(config, NAME):
        drawn = ", ".join(config["evaluations"][NAME]["datasets"])
        columns = {
            **coder_columns(config, spec, NAME),
            "dataset": drawn or dataset(config, TOKEN_SET),
            "tokens": "probe " + ", ".join(config["evaluations"][NAME]["sizes"]),
        }
        path = paths.evaluation(NAME, spec.name)
        planned.append(RowPlan(f"saebench-{spec.name}", NAME, path, columns))
        columns = {
            **coder_columns(config, spec, "core cross-check"),
            "dataset": dataset(config, CORE_TOKEN_SET),
        }
        path = paths.evaluation(CORE, spec.name)
        planned.append(RowPlan(f"core-{spec.name}", CORE, path, columns))
    return planned
