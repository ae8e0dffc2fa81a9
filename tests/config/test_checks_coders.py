"""Every coder can be trained at its site, and every comparison be made, and made fairly."""

from __future__ import annotations

import pytest

from latent_ledger.config.checks_coders import metrics
from latent_ledger.experiment import validate
from tests.config.experiments import REMOVED, lines, put

FAMILY = "comparisons.families.probing"
ALONE = {"comparisons": {}}

CASES = [
    ({"training.k": [16, 2048]}, ["training.k[1]: 2048 active latents exceed the width, 1024"]),
    (
        {"coders.sae-mlp.k": [2048], "comparisons": {}},
        ["coders.sae-mlp.k[0]: 2048 active latents exceed the width, 1024"],
    ),
    (
        {"coders.sae-mlp.width": 24, "comparisons": {}},
        ["training.k[1]: 32 active latents exceed the width of sae-mlp, 24"],
    ),
    (
        {"evaluations.probing.top_k": [1, 5000]},
        ["evaluations.probing.top_k[1]: 5000 latents exceed the width of sae-resid, 1024"],
    ),
    (
        {"coders.sae-mlp.layer": 4},
        ["coders.sae-mlp.layer: 4 is beyond the model, whose layers are 0 to 3"],
    ),
    (
        {"training.batch_tokens": 1000},
        ["training.batch_tokens: 1000 is not a multiple of tokens.context, 64; 1024 would be"],
    ),
    (
        {"coders.sae-mlp.input_hook": REMOVED},
        [
            "coders.sae-mlp.input_hook: missing; an sae names one of resid_pre, mlp_in, mlp_out, "
            "mlp_out_normed, resid_post"
        ],
    ),
    (
        {"coders.sae-mlp.output_hook": "resid_post"},
        [
            "coders.sae-mlp.output_hook: an sae writes what it reads, mlp_out; remove this key, or "
            "make the coder a transcoder"
        ],
    ),
    (
        {"coders.transcoder.output_hook": "mlp_in"},
        [
            "coders.transcoder.output_hook: a transcoder that reads mlp_in must write one of "
            "mlp_out, "
            "mlp_out_normed, resid_post, not mlp_in"
        ],
    ),
    (
        {"coders.skip-transcoder.input_hook": "resid_post"},
        [
            "coders.skip-transcoder.input_hook: a skip-transcoder cannot read resid_post: nothing "
            "comes after it"
        ],
    ),
    (
        {"coders.sae-k16-s0": {"architecture": "sae", "layer": 1, "input_hook": "resid_post"}},
        [
            'coders.sae-k16-s0: a name may not end in "-k16-s0", which would collide with the '
            "names of coders"
        ],
    ),
    (
        {f"{FAMILY}.metrics": ["reconstruction.variance_explaned"]},
        [
            f'{FAMILY}.metrics[0]: unknown metric "reconstruction.variance_explaned"; did you '
            'mean "reconstruction.variance_explained"?'
        ],
    ),
    (
        {f"{FAMILY}.metrics": ["probing.accuracy_top3"]},
        [
            f'{FAMILY}.metrics[0]: unknown metric "probing.accuracy_top3"; did you mean '
            '"probing.accuracy_top5"?'
        ],
    ),
    (
        {"evaluations.probing": REMOVED},
        [f'{FAMILY}.metrics[0]: "probing.accuracy_all": the evaluation probing is not configured'],
    ),
    (
        {f"{FAMILY}.pairs": [["sae-resid", "trnscoder"]]},
        [f'{FAMILY}.pairs[0][1]: unknown coder "trnscoder"; did you mean "transcoder"?'],
    ),
    (
        {f"{FAMILY}.pairs": [["sae-mlp", "sae-mlp"]]},
        [f"{FAMILY}.pairs[0]: sae-mlp is compared with itself"],
    ),
    (
        {f"{FAMILY}.pairs": [["sae-mlp", "transcoder"], ["transcoder", "sae-mlp"]]},
        [f"{FAMILY}.pairs[1]: transcoder and sae-mlp are compared twice"],
    ),
    (
        {f"{FAMILY}.select": {"k": [32, 24]}},
        [f"{FAMILY}.select.k[1]: no coder is trained at 24; known: 16, 32"],
    ),
    (
        {"coders.sae-resid.k": [8], "comparisons.families.reconstruction": REMOVED},
        [f"{FAMILY}.pairs[2]: sae-resid and skip-transcoder have no k in common"],
    ),
    (
        {
            "coders.sae-resid.seeds": [1, 2],
            f"{FAMILY}.select": {"seeds": [0]},
            "comparisons.families.reconstruction": REMOVED,
        },
        [f"{FAMILY}.pairs[2]: sae-resid and skip-transcoder have no seed in common among 0"],
    ),
    (
        {"coders.sae-resid.width": 2048, "comparisons.families.reconstruction": REMOVED},
        [
            f"{FAMILY}.pairs[2]: sae-resid and skip-transcoder differ in width (2048, 1024); make "
            "them equal or add width to allow_unfair"
        ],
    ),
    # controls
    (
        {"model.randomised": {"rerandomised": {}}, "coders.sae-mlp.model": "rerandomized"} | ALONE,
        ['coders.sae-mlp.model: unknown model "rerandomized"; did you mean "rerandomised"?'],
    ),
    (
        {"coders.sae-mlp.model": "noise"} | ALONE,
        ['coders.sae-mlp.model: unknown model "noise"; known: original'],
    ),
    (
        {"model.randomised": {"original": {}}},
        ["model.randomised.original: this name is taken by the model itself; choose another"],
    ),
    (
        {"model.randomised": {"noise": {}}, "coders.transcoder.model": "noise"}
        | {"comparisons.families.reconstruction": REMOVED},
        [
            f'{FAMILY}.pairs[0]: skip-transcoder and transcoder differ in model ("original", '
            '"noise"); make them equal or add model to allow_unfair'
        ],
    ),
    # who is measured
    (
        {"evaluations.probing.select": {"coders": ["sae-resid", "sea-mlp"]}} | ALONE,
        ['evaluations.probing.select.coders[1]: unknown coder "sea-mlp"; did you mean "sae-mlp"?'],
    ),
    (
        {"evaluations.probing.select": {"coders": ["sae-mlp"], "seeds": [3]}} | ALONE,
        [
            "evaluations.probing.select: no trained coder fits; give it a coder, k or seed that "
            "exists"
        ],
    ),
    (
        {"evaluations.probing.select": {"coders": ["skip-transcoder", "transcoder", "sae-resid"]}},
        [
            f"{FAMILY}: sae-mlp-k16-s0 is not measured by probing; add it to "
            "evaluations.probing.select, or limit the family by its own select"
        ],
    ),
    ({"evaluations.probing.select": {"k": [32]}, f"{FAMILY}.at": {"k": [32]}}, []),
]


@pytest.mark.parametrize(("changes", "expected"), CASES, ids=lambda value: ",".join(value)[:60])
def test_contradiction_of_coders_is_one_line(tiny, changes, expected):
    for path, value in changes.items():
        put(tiny, path, value)
    assert lines(tiny) == expected


def test_the_metrics_offered_are_those_the_evaluations_record(tiny):
    from latent_ledger.evaluations.probing.evaluation import measurements
    from latent_ledger.evaluations.reconstruction.evaluation import RATIOS

    probes = ["raw", "bag_of_tokens", "all", "top1", "top2", "top5"]
    recorded = {f"reconstruction.{name}" for name in (*RATIOS, "dead_share", "dense_share")}
    recorded |= {f"probing.{name}" for name, *_ in measurements(probes, None)}
    for concept in tiny["evaluations"]["probing"]["concepts"]:
        recorded |= {f"probing.{name}/{concept}" for name, *_ in measurements(probes, concept)}
    offered = set(metrics(validate(tiny)))
    assert offered <= recorded
    assert {"probing.accuracy_top5", "probing.accuracy_all/actor"} <= offered
