"""Planning of reconstruction: jobs, rows and token sets of every coder and slice."""

from latent_ledger.config.coder_specs import CoderSpec, coder_specs, coders_measured_by
from latent_ledger.planning import paths
from latent_ledger.planning.coders import measured
from latent_ledger.planning.stage import (
    Config,
    Jobs,
    PlannedJob,
    RowPlan,
    TokenSet,
    coder_columns,
    dataset,
    without,
)
from latent_ledger.planning.text import slice_settings

NAME = "reconstruction"
TOKEN_SET = "evaluation"


def coders_on_slices(config: Config) -> list[tuple[str, CoderSpec]]:
    """(slice, coder) of every reconstruction over a slice of the corpus."""
    block = config["evaluations"].get(NAME)
    if not block or not block["slices"]:
        return []
    coders = {spec.name: spec for spec in coder_specs(config)}
    return [(name, coders[coder]) for name, names in block["slices"].items() for coder in names]


def measured_on(config: Config) -> list[tuple[str, CoderSpec]]:
    """(token set, coder) of every reconstruction."""
    return [(TOKEN_SET, spec) for spec in coders_measured_by(config, NAME)] + coders_on_slices(
        config
    )


def slice_manifest(name: str, coder: str) -> str:
    """The manifest of a coder's reconstruction over a slice of the corpus."""
    return f"reconstruction_slices/{name}/{coder}.json"


def token_sets(config: Config) -> dict[str, TokenSet]:
    """Token sets of the slices: one context per document, its beginning."""
    token_sets = {}
    for name in dict.fromkeys(name for name, _ in coders_on_slices(config)):
        declared = config["corpus"]["slices"][name]
        settings = {"layout": "examples", "keep": "beginning", "context": declared["context"]}
        size = declared["documents"] * declared["context"]
        token_sets[name] = TokenSet(paths.corpus_slice(name), settings, size)
    return token_sets


def jobs(config: Config) -> Jobs:
    """The slices, and the reconstructions of every coder, behind the nulls at its output hook."""
    planned: Jobs = {
        paths.corpus_slice(name): PlannedJob("corpus_slice", slice_settings(config, name))
        for name in token_sets(config)
    }
    for token_set, spec in measured_on(config):
        settings = without(config["evaluations"][NAME], "select", "slices")
        site = spec.site
        planned[manifest(token_set, spec)] = PlannedJob(
            NAME,
            # the architecture decides what is spliced
            {**settings, "architecture": spec.architecture},
            {
                "model": paths.model(spec.model),
                "tokens": paths.Tokens(token_set, spec.base),
                "input_hook": paths.Activations(token_set, site.input_hook, spec.model),
                "output_hook": paths.Activations(token_set, site.output_hook, spec.model),
                "codes": paths.Codes(token_set, spec.name),
                "coder": paths.coder(spec.name),
                "gate": paths.NullsGate(NAME, site.output_hook, spec.base),
            },
            token_set,
            spec.model,
            (spec,),
        )
    return planned


def manifest(token_set: str, spec: CoderSpec) -> str:
    """The manifest of a coder's reconstruction over a token set."""
    if token_set == TOKEN_SET:
        return paths.evaluation(NAME, spec.name)
    return slice_manifest(token_set, spec.name)


def rows(config: Config, jobs: Jobs) -> list[RowPlan]:
    """One row per coder; then those on slices."""
    planned = measured(config, NAME, TOKEN_SET, "recon")
    for name, spec in coders_on_slices(config):
        columns = {**coder_columns(config, spec, NAME), "dataset": dataset(config, name)}
        run_id = f"recon-{spec.name}-on-{name}"
        planned.append(RowPlan(run_id, NAME, slice_manifest(name, spec.name), columns))
    return planned
