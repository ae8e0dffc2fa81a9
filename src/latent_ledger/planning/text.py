"""Planning of text and tokens: the corpus in disjoint parts, the labelled concepts, token sets."""

from latent_ledger.config.coder_specs import ORIGINAL
from latent_ledger.config.sources import listing
from latent_ledger.planning import paths
from latent_ledger.planning.stage import Config, Context, Jobs, PlannedJob, Settings, Stage, without
from latent_ledger.resources.work import Cost, Work, takes
from latent_ledger.text.concept_sets import OCCUPATIONS
from latent_ledger.text.corpora.registry import source_of

CORPUS_TOKEN_SETS = ("coder", "evaluation", "scoring")
"""Token sets that are parts of the corpus; others hold labelled examples, one per row."""


def corpus_settings(config: Config) -> Settings:
    """Parts as intervals of the documents' hash, so that the last part grows without moving any."""
    corpus = without(config["corpus"], "slices") | listing("corpus", config["corpus"]["source"])
    splits, low = {}, 0.0
    for name, fraction in corpus.pop("parts").items():
        splits[name] = {"part": name, "interval": [round(low, 10), round(low + fraction, 10)]}
        low += fraction
    return {**corpus, "exclude_concepts": _held_out_concepts(config), "parts": splits}


def slice_settings(config: Config, name: str) -> Settings:
    """The first documents of the corpus' source, whatever part they belong to."""
    corpus = without(config["corpus"], "parts", "seed", "slices")
    size = config["corpus"]["slices"][name]["documents"]
    return corpus | listing("corpus", corpus["source"]) | {"slice": name, "documents": size}


def _held_out_concepts(config: Config) -> bool | list[str]:
    """Concepts whose texts no model or coder may see: the occupations, and any other probed one.

    All occupations are held out, so that probing for one more of them retrains nothing.
    """
    probing = config["evaluations"].get("probing", {})
    if "source" not in probing or not source_of(probing["source"]).named_concepts:
        return True
    others = sorted(name for name in probing["concepts"] if name not in OCCUPATIONS)
    return sorted([*OCCUPATIONS, *others]) if others else True


def concepts_settings(config: Config) -> Settings:
    """Which labelled examples are drawn."""
    probing = config["evaluations"]["probing"]
    required = ("source", "concepts", "examples", "seed")
    optional = ("revision", "split", "text_field", "label_field")
    settings = {name: probing[name] for name in (*required, *optional) if name in probing}
    return {**settings, **listing("evaluations.probing", probing["source"])}


def budget(config: Config, token_set: str, base: str = ORIGINAL) -> int:
    """Tokens taken from a part of the corpus for the coders of a published model."""
    budgets, others = config["tokens"]["budget"], config["model"]["others"]
    return budgets[token_set] if base == ORIGINAL else others[base]["tokens"][token_set]


def jobs(config: Config) -> Jobs:
    """The corpus' parts, all by one job, and the concepts where there is probing."""
    settings, planned = corpus_settings(config), {}
    for name, fields in settings.pop("parts").items():
        planned[paths.corpus(name)] = PlannedJob(
            "corpus", {**settings, **fields}, record="corpus.json"
        )
    if "probing" in config["evaluations"]:
        planned[paths.CONCEPTS] = PlannedJob(
            "concepts", concepts_settings(config), record="concepts.json"
        )
    return planned


def tokens_job(context: Context, name: paths.Tokens) -> PlannedJob:
    """A token set cut by a published model's tokenizer: its own text, or a part of the corpus."""
    config = context.config
    if name.token_set in context.token_sets:
        token_set = context.token_sets[name.token_set]
        text, settings = token_set.text, token_set.settings
    else:
        text = paths.corpus(name.token_set)
        settings = {
            "layout": "packed",
            "context": config["tokens"]["context"],
            "budget": budget(config, name.token_set, name.base),
            "part": name.token_set,
        }
    inputs = {"model": paths.model(name.base), "text": text}
    return PlannedJob("tokens", settings, inputs, name.token_set, name.base)


def token_set_size(context: Context, token_set: str, base: str = ORIGINAL) -> float:
    """Tokens of a token set, at most: texts shorter than the context have fewer."""
    if token_set in context.token_sets:
        return context.token_sets[token_set].size
    if token_set in CORPUS_TOKEN_SETS:
        return budget(context.config, token_set, base)
    return 0.0


STAGE = Stage(
    name="text",
    costs={
        "corpus": Cost(takes(40)),
        "corpus_slice": Cost(takes(40)),
        "concepts": Cost(takes(20)),
        "tokens": Cost(lambda job: Work(seconds=5 + job.tokens / 2e5)),
    },
    jobs=jobs,
    makes={paths.Tokens: tokens_job},
)
