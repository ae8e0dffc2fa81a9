"""From a configuration to jobs: which settings each job really depends on, and which rows result.

A job's settings enter its action key, so they hold what the job needs and nothing else: changing
the number of bootstrap resamples of one evaluation must not retrain a coder. The rules take their
params from here; the ledger takes from here what *should* have been run, and compares.

Paths below ``results/`` are made here as well, so that rules and ledger cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from latent_ledger.config import CoderInstance, instances
from latent_ledger.config import pairs as met_pairs
from latent_ledger.config.sources import kind_of_source, local
from latent_ledger.files import digest_json
from latent_ledger.hooksites import Tap

Config = Mapping[str, Any]
Settings = dict[str, Any]

SPLITS = ("coder", "evaluation", "probing")
"""Token sets: two parts of the corpus, and the labelled examples of the probing concepts."""

OCCUPATIONS = ("journalist", "athlete", "actor", "politician", "singer", "researcher")
"""Concepts that are always held out, so that adding one of them retrains nothing."""

MODEL = "results/model.json"
CONCEPTS = "results/corpus/concepts.json"


def corpus_path(part: str) -> str:
    """Manifest of one part of the corpus."""
    return f"results/corpus/{part}.json"


def tokens_path(split: str) -> str:
    """Manifest of one token set."""
    return f"results/tokens/{split}.json"


def activations_path(split: str, tap: Tap | str) -> str:
    """Manifest of one tap's activations over one token set."""
    return f"results/activations/{split}/{tap}.json"


def coder_path(name: str) -> str:
    """Manifest of a trained coder."""
    return f"results/coders/{name}.json"


def codes_path(split: str, name: str) -> str:
    """Manifest of a coder's codes over one token set."""
    return f"results/codes/{split}/{name}.json"


def evaluation_path(evaluation: str, name: str) -> str:
    """Manifest of one evaluation of one coder (or of one comparison family)."""
    return f"results/{evaluation}/{name}.json"


# -- the experiment's objects --------------------------------------------------------------------


def coder(config: Config, name: str) -> CoderInstance:
    """The coder instance of this name."""
    return {instance.name: instance for instance in instances(config)}[name]


def coder_names(config: Config) -> list[str]:
    """Names of all coder instances, in the configuration's order."""
    return [instance.name for instance in instances(config)]


def taps(config: Config, split: str) -> list[Tap]:
    """Taps that must be captured over a token set; probing never looks at a coder's target."""
    found: set[Tap] = set()
    for instance in instances(config):
        found.update([instance.site.reads] if split == "probing" else instance.site.taps)
    return sorted(found)


def evaluations(config: Config) -> list[str]:
    """Names of the evaluations the configuration asks for."""
    return [name for name in ("reconstruction", "probing") if name in config["evaluations"]]


def splits(config: Config) -> list[str]:
    """Token sets that some job of this configuration reads."""
    wanted = {"coder", *(["probing"] if "probing" in config["evaluations"] else [])}
    wanted |= {"evaluation"} if "reconstruction" in config["evaluations"] else set()
    return [split for split in SPLITS if split in wanted]


def embedded(config: Config) -> bool:
    """True when the language model is trained in the graph."""
    return config["model"]["source"] == "embedded"


# -- settings, one function per rule -------------------------------------------------------------


def listing(section: str, source: str) -> Settings:
    """Names, sizes and times of a local folder's files, so that editing one is seen; else nothing.

    A touched file costs one job at most: equal content has an equal digest, which cuts off below.
    """
    if kind_of_source(section, source) != "folder":
        return {}
    root = local(source)
    files = sorted(
        path for path in ([root] if root.is_file() else root.rglob("*")) if path.is_file()
    )
    stats = [(path, path.stat()) for path in files]
    found = [[str(path.relative_to(root)), s.st_size, s.st_mtime_ns] for path, s in stats]
    return {"files": digest_json(found)}


def corpus_settings(config: Config) -> Settings:
    """Parts are intervals of the documents' hash, so the last part can grow without moving any."""
    corpus = {**config["corpus"], **listing("corpus", config["corpus"]["source"])}
    fractions, parts, low = corpus.pop("parts"), {}, 0.0
    for part, fraction in fractions.items():
        parts[part] = {"part": part, "interval": [round(low, 10), round(low + fraction, 10)]}
        low += fraction
    return {**corpus, "exclude_concepts": _held_out_concepts(config), "parts": parts}


def _held_out_concepts(config: Config) -> bool | list[str]:
    """Concepts whose texts no model or coder may see: the occupations, and any other probed one."""
    probing = config["evaluations"].get("probing", {})
    if probing.get("source") != "embedded":
        return True
    others = sorted(name for name in probing["concepts"] if name not in OCCUPATIONS)
    return sorted([*OCCUPATIONS, *others]) if others else True


def concepts_settings(config: Config) -> Settings:
    """Which labelled examples are drawn."""
    probing = config["evaluations"]["probing"]
    wanted = ("source", "concepts", "examples", "seed")
    optional = ("revision", "split", "text_field", "label_field")
    found = {name: probing[name] for name in (*wanted, *optional) if name in probing}
    return {**found, **listing("evaluations.probing", probing["source"])}


def model_settings(config: Config) -> Settings:
    """A training recipe for the embedded model, else the pinned source of a published one."""
    model = config["model"]
    if embedded(config):
        return {**model["training"], "source": "embedded"}
    source = model["source"]
    return {"source": source, "revision": model.get("revision"), **listing("model", source)}


def tokens_settings(config: Config, split: str) -> Settings:
    """Packed contexts of a corpus part up to a budget, or one example per row."""
    if split == "probing":
        return {"layout": "examples", "context": config["evaluations"]["probing"]["context"]}
    tokens = config["tokens"]
    return {
        "layout": "packed",
        "context": tokens["context"],
        "budget": tokens["budget"][split],
        "part": split,
    }


def capture_settings(config: Config, split: str) -> Settings:
    """One part per tap: a new layer or coder forwards only for the taps the store lacks."""
    return {
        **config["activations"],
        "model_dtype": config["model"]["dtype"],
        "parts": {str(tap): {"tap": str(tap)} for tap in taps(config, split)},
    }


def train_settings(config: Config, name: str) -> Settings:
    """One coder's recipe, site and seed."""
    return coder(config, name).settings


def encode_settings(_config: Config) -> Settings:
    """Codes depend on nothing but the coder and the activations."""
    return {}


def reconstruction_settings(config: Config, name: str) -> Settings:
    """The evaluation's own block and the kind of coder, which decides what is spliced."""
    return {**config["evaluations"]["reconstruction"], "kind": coder(config, name).kind}


def probing_settings(config: Config) -> Settings:
    """The evaluation's own block, without what only the draw of examples needs."""
    block = config["evaluations"]["probing"]
    return {name: block[name] for name in ("concepts", "top_k", "resamples", "seed")}


def pairs(config: Config, family: str) -> list[tuple[str, str]]:
    """Names of the coder instances a family compares: declared pairs at equal k and seed."""
    return [(one.name, other.name) for one, other in met_pairs(config, family)]


def compared(config: Config, family: str, evaluation: str) -> list[str]:
    """Coder instances whose `evaluation` a family reads; none if no metric of it is compared."""
    metrics = config["comparisons"]["families"][family]["metrics"]
    if not any(metric.startswith(f"{evaluation}.") for metric in metrics):
        return []
    return sorted({name for pair in pairs(config, family) for name in pair})


def headtohead_settings(config: Config, family: str) -> Settings:
    """The declared contrasts, and the recipe fields in which fair opponents must agree."""
    comparisons = config["comparisons"]
    declared = comparisons["families"][family]
    chosen = pairs(config, family)
    return {
        "metrics": declared["metrics"],
        "pairs": [list(pair) for pair in chosen],
        "allow_unfair": declared.get("allow_unfair") or [],
        "resamples": comparisons["resamples"],
        "level": comparisons["level"],
        "seed": comparisons["seed"],
        "recipes": {
            name: fairness(config, name) for name in sorted({n for pair in chosen for n in pair})
        },
    }


def fairness(config: Config, name: str) -> Settings:
    """Everything two coders must share for their difference to mean anything."""
    instance = coder(config, name)
    return {
        "corpus": config["corpus"]["source"],
        "token budget": config["tokens"]["budget"]["coder"],
        **{name: getattr(instance, name) for name in ("width", "k", "seed")},
        **instance.recipe,
    }


def jobs(config: Config) -> dict[str, tuple[str, Settings]]:
    """Every manifest the configuration asks for: path -> (rule, settings of that part)."""

    def part(settings: Settings, name: str) -> Settings:
        return {**{k: v for k, v in settings.items() if k != "parts"}, **settings["parts"][name]}

    corpus = corpus_settings(config)
    found: dict[str, tuple[str, Settings]] = {MODEL: ("language_model", model_settings(config))}
    for name in config["corpus"]["parts"]:
        found[corpus_path(name)] = ("corpus", part(corpus, name))
    if "probing" in config["evaluations"]:
        found[CONCEPTS] = ("concepts", concepts_settings(config))
    for split in splits(config):
        found[tokens_path(split)] = ("tokens", tokens_settings(config, split))
        capture = capture_settings(config, split)
        for tap in capture["parts"]:
            found[activations_path(split, tap)] = ("capture", part(capture, tap))
    for name in coder_names(config):
        found[coder_path(name)] = ("train_coder", train_settings(config, name))
        for evaluation, split in (("reconstruction", "evaluation"), ("probing", "probing")):
            if evaluation in config["evaluations"]:
                found[codes_path(split, name)] = ("encode", encode_settings(config))
        if "reconstruction" in config["evaluations"]:
            path = evaluation_path("reconstruction", name)
            found[path] = ("reconstruction", reconstruction_settings(config, name))
        if "probing" in config["evaluations"]:
            found[evaluation_path("probing", name)] = ("probing", probing_settings(config))
    for family in config["comparisons"]["families"]:
        path = evaluation_path("headtohead", family)
        found[path] = ("headtohead", headtohead_settings(config, family))
    return found


# -- the ledger's rows ---------------------------------------------------------------------------


def fingerprint(config: Config) -> str:
    """Digest of everything the ledger is planned from; it changes when a row or a job does."""
    planned = [asdict(row) for row in rows(config)]
    return digest_json([planned, jobs(config), config["ledger"], config.get("references")])


@dataclass(frozen=True)
class RowPlan:
    """One row the ledger must have, whether or not its job succeeded.

    `needs` lists the manifests on the way to it in order; the first one missing or failed is the
    reason when there is no number.
    """

    run_id: str
    kind: str
    manifest: str
    columns: dict[str, str]
    metric: str | None = None
    needs: list[str] = field(default_factory=list)


def rows(config: Config) -> list[RowPlan]:
    """Every row of the ledger, in reading order."""
    return [
        *_model_rows(config),
        *_coder_rows(config),
        *_comparison_rows(config),
    ]


def _common(config: Config) -> dict[str, str]:
    model = config["model"]
    name = model["source"]
    if embedded(config):
        shape = model["training"]
        name = f"embedded GPT-NeoX {shape['layers']}x{shape['width']}"
    return {"model": name, "seed": str(model.get("training", {}).get("seed", ""))}


def _model_rows(config: Config) -> list[RowPlan]:
    common, corpus = _common(config), config["corpus"]
    found = []
    if embedded(config):
        columns = {**common, "coder_type": "language model", "dataset": f"{corpus['source']}/model"}
        found.append(RowPlan("model", "language_model", MODEL, columns, needs=[MODEL]))
    for split in splits(config):
        for tap in taps(config, split):
            path = activations_path(split, tap)
            columns = {
                **common,
                "hookpoint": str(tap),
                "coder_type": "gate (hook-site parity)",
                "dataset": _dataset(config, split),
            }
            needs = [MODEL, tokens_path(split), path]
            found.append(RowPlan(f"parity-{split}-{tap}", "parity", path, columns, needs=needs))
    return found


def _coder_rows(config: Config) -> list[RowPlan]:
    found = []
    budget = f"{config['tokens']['budget']['coder']:,}"
    for kind in ("train", *evaluations(config)):
        for instance in instances(config):
            name, site = instance.name, instance.site
            split = {"train": "coder", "reconstruction": "evaluation"}.get(kind, "probing")
            captured = [activations_path("coder", tap) for tap in site.taps]
            needs = [MODEL, tokens_path("coder"), *captured, coder_path(name)]
            path = coder_path(name)
            if kind != "train":
                path = evaluation_path(kind, name)
                needs += [tokens_path(split), activations_path(split, site.reads)]
                needs += [codes_path(split, name), path]
            columns = {
                **_common(config),
                "hookpoint": str(site),
                "coder_type": instance.kind
                if kind == "train"
                else f"eval ({kind}, {instance.kind})",
                "width": str(instance.width),
                "sparsity": f"k={instance.k}",
                "dataset": _dataset(config, split),
                "tokens": budget if kind == "train" else "",
                "seed": str(instance.seed),
            }
            prefix = {"train": "train", "reconstruction": "recon", "probing": "probe"}[kind]
            found.append(RowPlan(f"{prefix}-{name}", kind, path, columns, needs=needs))
    return found


def _comparison_rows(config: Config) -> list[RowPlan]:
    found = []
    for family, declared in config["comparisons"]["families"].items():
        path = evaluation_path("headtohead", family)
        for metric in declared["metrics"]:
            evaluation, _, short = metric.partition(".")
            for a, b in pairs(config, family):
                left, right = coder(config, a), coder(config, b)
                columns = {
                    **_common(config),
                    "hookpoint": f"{left.site} vs {right.site}",
                    "coder_type": f"head-to-head ({family})",
                    "width": str(left.width),
                    "sparsity": f"k={left.k}",
                    "dataset": _dataset(
                        config, "evaluation" if evaluation == "reconstruction" else "probing"
                    ),
                    "seed": str(left.seed),
                }
                needs = [evaluation_path(evaluation, name) for name in (a, b)] + [path]
                run_id = f"h2h-{short.replace('_', '-')}-{left.coder}-vs-{b}"
                found.append(
                    RowPlan(
                        run_id,
                        "headtohead",
                        path,
                        columns,
                        metric=f"{metric}: {a} - {b}",
                        needs=needs,
                    )
                )
    return found


def _dataset(config: Config, split: str) -> str:
    if split == "probing":
        probing = config["evaluations"]["probing"]
        return f"{probing['source']}/occupations ({len(probing['concepts'])} concepts)"
    return f"{config['corpus']['source']}/{split}"
