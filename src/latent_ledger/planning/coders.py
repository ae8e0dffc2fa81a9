"""Planning of sparse coders: trained here, all with one recipe, or fetched; and of their codes."""

from latent_ledger.artifacts.store import Payload
from latent_ledger.coders.formats.recognition import entry
from latent_ledger.config.coder_specs import CoderSpec, coder_specs, coders_measured_by
from latent_ledger.config.sources import listing
from latent_ledger.planning import paths
from latent_ledger.planning.stage import (
    Config,
    Context,
    Finding,
    Jobs,
    PlannedJob,
    RowPlan,
    Stage,
    coder_columns,
    dataset,
)
from latent_ledger.planning.text import budget
from latent_ledger.resources.memory import GIB, PROCESS
from latent_ledger.resources.work import DOWNLOAD, MB, Cost, Planned, Work

TRAINED_ON = "coder"
"""Token set that coders are trained on."""
CHECKED_ON = "evaluation"
"""Token set on whose activations loaders and adapters of coders are checked."""
FIDELITY = {"random_rows": 512, "real_rows": 2048, "seed": 0}
"""Settings of these checks."""


def train_job(spec: CoderSpec) -> PlannedJob:
    """The training of one coder on the activations of its site."""
    hooks = {"input_hook": spec.site.input_hook, "output_hook": spec.site.output_hook}
    inputs = {name: paths.Activations(TRAINED_ON, hook, spec.model) for name, hook in hooks.items()}
    return PlannedJob("train_coder", spec.settings, inputs, TRAINED_ON, spec.model, (spec,))


def fetch_job(spec: CoderSpec) -> PlannedJob:
    """The fetching of one published coder."""
    assert spec.source is not None, f"{spec.name} is trained here"
    settings = spec.settings | listing("coders", spec.source)
    return PlannedJob("pretrained_coder", settings, model=spec.model, coders=(spec,))


def jobs(config: Config) -> Jobs:
    """One job per coder: it is trained, or fetched."""
    return {
        paths.coder(spec.name): fetch_job(spec) if spec.pretrained else train_job(spec)
        for spec in coder_specs(config)
    }


def encode_job(context: Context, name: paths.Codes) -> PlannedJob:
    """A coder's codes of a token set, behind the gate of its loader."""
    spec = context.coders[name.coder]
    inputs = {
        "activations": paths.Activations(name.token_set, spec.site.input_hook, spec.model),
        "coder": paths.coder(spec.name),
        "gate": paths.ReaderGate(spec.name),
    }
    return PlannedJob("encode", {}, inputs, name.token_set, spec.model, (spec,))


def made_by(config: Config, rule: str) -> list[str]:
    """Names of the coders that a rule makes."""
    return [spec.name for spec in coder_specs(config) if spec.pretrained == (rule != "train_coder")]


def measured(
    config: Config, evaluation: str, token_set: str, prefix: str, label: str = ""
) -> list[RowPlan]:
    """One row per coder that an evaluation measures, named ``<prefix>-<coder>``.

    `label`: the evaluation's name in the row, where it has another there.
    """
    return [
        RowPlan(
            f"{prefix}-{spec.name}",
            evaluation,
            paths.evaluation(evaluation, spec.name),
            coder_columns(config, spec, label or evaluation)
            | {"dataset": dataset(config, token_set)},
        )
        for spec in coders_measured_by(config, evaluation)
    ]


def rows(config: Config, jobs: Jobs) -> list[RowPlan]:
    """One row per coder, trained or fetched."""
    planned = []
    for spec in coder_specs(config):
        path, columns = paths.coder(spec.name), coder_columns(config, spec)
        if spec.source is not None:
            columns |= {"coder_type": f"{spec.architecture} (pretrained)", "dataset": spec.source}
            planned.append(RowPlan(f"pretrained-{spec.name}", "pretrained", path, columns))
            continue
        columns |= {
            "dataset": dataset(config, TRAINED_ON),
            "tokens": f"{budget(config, TRAINED_ON, spec.base):,}",
        }
        planned.append(RowPlan(f"train-{spec.name}", "train", path, columns))
    return planned


def read(row: RowPlan, payload: Payload) -> Finding:
    """Training FVU, the share of silent latents and, for a control, the weights that learnt."""
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
    """Format, file and width of a fetched coder, and its k, or its activation where it has none."""
    facts = payload.facts
    text = f"{facts['format']}, {facts['file']}: {facts['width']:,} latents of {facts['d_in']:,}"
    sparsity = f"k={facts['k']}" if "k" in facts else entry(facts["format"]).activation
    return Finding(text, columns={"width": str(facts["width"]), "sparsity": sparsity})


def _train_coder(job: Planned) -> Work:
    recipe = job.settings
    steps = job.tokens / recipe["batch_tokens"]
    hook_points = 1 if job.coders[0].site.autoencodes else 2
    latents = 4.0 * recipe["batch_tokens"] * job.width
    return Work(
        exact=3 * job.encoded(job.tokens),
        disk=hook_points * job.activations,
        seconds=5 + 0.02 * steps,
        gpu_gib=PROCESS + (3 * job.coder_bytes + 4 * latents) / GIB,
        host_mb=3 * job.coder_bytes / MB,
    )


def _pretrained_coder(job: Planned) -> Work:
    return Work(disk=job.coder_bytes, seconds=5 + job.coder_bytes / DOWNLOAD)


def _encode(job: Planned) -> Work:
    return Work(
        exact=job.encoded(job.tokens),
        disk=job.activations + job.tokens * job.k * 8,
        seconds=2 + job.tokens * job.k / 1e7,
        gpu_gib=PROCESS + job.coder_bytes / GIB + 2,
        host_mb=job.coder_bytes / MB,
    )


STAGE = Stage(
    name="coders",
    costs={
        "train_coder": Cost(_train_coder, gpu=True, mem_mb=4_000),
        "pretrained_coder": Cost(_pretrained_coder, mem_mb=4_000),
        "encode": Cost(_encode, gpu=True, mem_mb=3_000),
    },
    jobs=jobs,
    makes={paths.Codes: encode_job},
    rows=rows,
    readers={"train": read, "pretrained": read_pretrained},
    undecided=frozenset({"pretrained"}),
)
