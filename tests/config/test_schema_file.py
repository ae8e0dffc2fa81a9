"""The closed schema: what it refuses, in which words, and what its defaults make of the rest."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from latent_ledger.config.coder_specs import FAIR, coder_specs
from latent_ledger.config.problems import dotted
from latent_ledger.config.reading import read_yaml
from latent_ledger.config.schema_file import complete, problems, resolve, schema
from latent_ledger.experiment import validate
from tests.config.experiments import REMOVED, TINY, lines, put


def test_defaults_are_filled():
    config = validate(
        {
            "experiment": "small",
            "model": {"source": "embedded"},
            "corpus": {
                "source": "embedded",
                "parts": {"model": 0.7, "coder": 0.1, "evaluation": 0.1, "scoring": 0.1},
            },
            "tokens": {"context": 64, "budget": {"coder": 64, "evaluation": 64, "scoring": 64}},
            "coders": {
                "sae": {"architecture": "sae", "layer": 0, "input_hook": "resid_post"},
                "tc": {"architecture": "transcoder", "layer": 3},
            },
            "training": {"width": 256, "k": [8]},
            "evaluations": {"probing": {"concepts": ["actor"], "context": 64}},
        }
    )
    assert config["store"] == ".store"
    assert config["model"] == {
        "source": "embedded",
        "dtype": "float32",
        "training": {
            "vocabulary": 2048,
            "layers": 4,
            "width": 128,
            "heads": 4,
            "context": 64,
            "batch": 16,
            "steps": 1500,
            "seed": 0,
        },
        "randomised": {},
        "others": {},
    }
    assert config["corpus"]["families"] == ["news", "reviews", "biographies", "headlines"]
    assert config["activations"] == {
        "dtype": "float16",
        "batch": 64,
        "shard_tokens": 65_536,
        "parity_tolerance": 1e-4,
    }
    assert config["coders"]["sae"]["output_hook"] == "resid_post"
    assert (config["coders"]["tc"]["input_hook"], config["coders"]["tc"]["output_hook"]) == (
        "mlp_in",
        "mlp_out",
    )
    assert config["coders"]["sae"]["model"] == "original"
    assert config["coders"]["sae"]["weights"] == "trained"
    # A recipe key that a coder leaves out means the common one, whatever that one's default.
    assert not {"width", "k", "seeds", "optimizer", "auxk_alpha"} & set(config["coders"]["sae"])
    assert config["training"]["seeds"] == [0]
    assert config["evaluations"] == {
        "probing": {
            "select": {},
            "source": "embedded",
            "concepts": ["actor"],
            "examples": {"train": 600, "test": 300},
            "context": 64,
            "top_k": [1, 2, 5],
            "resamples": 10_000,
            "seed": 0,
        }
    }
    assert config["comparisons"] == {"resamples": 10_000, "level": 0.95, "seed": 0, "families": {}}
    assert config["ledger"] == {"alpha": 0.05}
    assert config["references"] == {}


def test_the_schemas_defaults_and_examples_are_valid_and_nothing_is_undescribed():
    def walk(part, path=()):
        full = resolve(part)
        assert len(full.get("description", "")) > 10 or not path, path
        checked = list(full.get("examples", []))
        checked += [part["default"]] if "default" in part and part["default"] != {} else []
        for value in checked:
            slips = list(Draft202012Validator(schema()).evolve(schema=full).iter_errors(value))
            assert not slips, (path, value, slips)
        if full.get("type") != "object":
            assert full.get("examples"), f"{path} has no example"
            return
        free = full.get("additionalProperties")
        assert free is False or "propertyNames" in full, f"{path} is open"
        for key, below in full.get("properties", {}).items():
            walk(below, (*path, key))
        if isinstance(free, dict):
            walk(free, (*path, "<name>"))

    Draft202012Validator.check_schema(schema())
    walk(schema())


def test_a_family_may_allow_differences_in_the_fields_that_fairness_compares():
    comparisons = schema()["properties"]["comparisons"]["properties"]
    family = comparisons["families"]["additionalProperties"]["properties"]
    allowed = set(family["allow_unfair"]["items"]["enum"])
    assert allowed <= set(FAIR)
    # All coders share these two: a single coder cannot have another value.
    assert set(FAIR) - allowed == {"dead_feature_threshold", "checkpoint_steps"}


def test_numbers_have_one_form(tiny):
    tiny["training"]["width"] = 1024.0
    tiny["training"]["auxk_alpha"] = 0
    tiny["training"]["k"] = [16.0, 32]
    tiny["training"]["learning_rate"] = 1
    config = validate(tiny)
    assert coder_specs(config)[0].name == "sae-resid-k16-s0"
    forms = [config["training"][key] for key in ("width", "auxk_alpha", "learning_rate")]
    assert json.dumps(forms) == "[1024, 0.0, 1.0]"


WRONG = [
    (
        "coders.sae-resid",
        {"architecture": "sae", "lyaer": 2, "input_hook": "resid_post"},
        ['coders.sae-resid.lyaer: unknown key; did you mean "layer"?'],
    ),
    ("evaluatoins", {}, ['evaluatoins: unknown key; did you mean "evaluations"?']),
    ("ledger.zzz", 1, ["ledger.zzz: unknown key; known: alpha"]),
    (
        "training.width",
        "1024",
        ['training.width: "1024" is not a whole number; write 1024 without quotes'],
    ),
    ("training.width", 10.5, ["training.width: 10.5 is not a whole number"]),
    ("training.width", True, ["training.width: true is not a whole number"]),
    ("training.width", 0, ["training.width: 0 is below the least value 1"]),
    ("training.k", 16, ["training.k: 16 is not a list"]),
    ("training.k", [], ["training.k: [] needs at least 1 entry"]),
    ("training.k", [16, 16], ["training.k: [16, 16] has an entry twice"]),
    (
        "training.k",
        [16, "3e1"],
        ['training.k[1]: "3e1" is not a whole number; write 30 without quotes'],
    ),
    (
        "training.learning_rate",
        "1e-3",
        ['training.learning_rate: "1e-3" is not a number or null; write 1.0e-3 without quotes'],
    ),
    ("training.learning_rate", 0, ["training.learning_rate: 0 must be greater than 0"]),
    ("training", None, ["training: null is not a mapping"]),
    (
        "training.width",
        REMOVED,
        ["training.width: missing; this key is required, for example 1024"],
    ),
    ("coders", {}, ["coders: empty; name at least one"]),
    ("tokens", REMOVED, ["tokens: missing; this key is required"]),
    (
        "model.dtype",
        "float23",
        [
            'model.dtype: "float23" is not one of float32, bfloat16, float16; '
            'did you mean "float32"?'
        ],
    ),
    ("training.optimizer", "lion", ['training.optimizer: "lion" is not one of signum, adam, muon']),
    ("comparisons.level", 1.0, ["comparisons.level: 1.0 must be less than 1"]),
    ("corpus.parts.model", 1.5, ["corpus.parts.model: 1.5 is above the greatest value 1"]),
    (
        "experiment",
        "My Run",
        [
            'experiment: "My Run": a name is made of small letters, digits and dashes, and does '
            "not start with a dash"
        ],
    ),
    (
        "coders.SAE",
        {"architecture": "sae", "layer": 1, "input_hook": "resid_post"},
        [
            "coders.SAE: a name is made of small letters, digits and dashes, and does not start "
            "with a dash"
        ],
    ),
    ("store", "", ["store: empty text is not allowed"]),
    (
        "evaluations.probing.examples.train",
        301,
        ["evaluations.probing.examples.train: 301 is not a multiple of 2"],
    ),
    (
        "comparisons.families.probing.pairs",
        [["sae-resid"]],
        ['comparisons.families.probing.pairs[0]: ["sae-resid"] needs at least 2 entries'],
    ),
]


@pytest.mark.parametrize(("path", "value", "expected"), WRONG, ids=lambda value: str(value)[:40])
def test_value_outside_the_schema_is_one_line(tiny, path, value, expected):
    put(tiny, path, value)
    assert lines(tiny) == expected


def named_keys(value, part, path=(), parent=(), seen=None):
    """Paths of all keys that the schema names. Free names (coders, families) are passed over, and
    a key that several of them have is given once; `parent` is the path with such names left out."""
    part, seen = resolve(part), set() if seen is None else seen
    if not isinstance(value, dict):
        return
    for key, below in value.items():
        known = part.get("properties", {})
        place = (*parent, key if key in known else "*")
        if key in known and place not in seen:
            seen.add(place)
            yield (*path, key)
        inner = known.get(key) or part["additionalProperties"]
        yield from named_keys(below, inner, (*path, key), place, seen)


def typos(word: str) -> set[str]:
    """One-letter slips: a letter doubled, and in words that stay words, dropped or swapped."""
    middle = len(word) // 2
    slips = {word[:middle] + word[middle] + word[middle:]}
    if len(word) > 2:
        slips.add(word[:middle] + word[middle + 1 :])
        slips.add(word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :])
        slips.add(word[:middle] + "x" + word[middle + 1 :])
    return slips - {word}


def filled() -> dict:
    """The shipped tiny experiment with every default, and limits where it has none of its own."""
    raw = read_yaml(TINY)
    raw["comparisons"]["families"]["probing"]["select"] = {"k": [16], "seeds": [0]}
    raw["evaluations"]["probing"]["select"] = {"coders": ["sae-resid"], "k": [16], "seeds": [0]}
    raw["coders"]["sae-resid"] |= {"width": 1024, "optimizer": "signum"}
    return complete(raw)[0]


EVERY = list(named_keys(filled(), schema()))


@pytest.mark.parametrize("path", EVERY, ids=dotted)
def test_a_misspelt_key_is_named_with_the_right_one(path):
    for typo in sorted(typos(path[-1])):
        config = filled()
        holder = config
        for key in path[:-1]:
            holder = holder[key]
        holder[typo] = holder.pop(path[-1])
        expected = f'{dotted((*path[:-1], typo))}: unknown key; did you mean "{path[-1]}"?'
        assert [str(problem) for problem in problems(config)] == [expected]


def test_every_key_of_the_tiny_experiment_is_covered():
    assert len(EVERY) > 100
    assert {path[0] for path in EVERY} == set(schema()["properties"])
    evaluations = {path[1] for path in EVERY if path[0] == "evaluations" and len(path) > 2}
    assert evaluations == set(schema()["properties"]["evaluations"]["properties"])
