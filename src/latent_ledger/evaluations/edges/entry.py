"""Causal edges: a graph of latents across layers, and ablations that test its edges.

    templates --> minimal pairs, two halves                                          `task`
    model + one coder per layer --> a chain of sites: latents and an error each      `network`
    attribution half: integrated gradients --> node effects --> top nodes            `nodes`
                      stop-gradient products --> edge weights, bootstrap over pairs  `graph`
    evaluation half:  ablations of nodes and of edges                                `graph`
                      faithfulness, completeness over size; CPR, CMD                 `faithfulness`
    --> metrics and tables                                           `metrics`, `edge_metrics`
    --> labels, and JSON in circuit-tracer's form                          `summary`, `export`

The metric m is logit(right answer) - logit(wrong answer) at the last position; every effect is
m(clean) minus m with the thing set to its value in the corrupted prompt.

Marks et al. 2024 (arXiv 2403.19647) drew such graphs and evaluated their nodes. Here the edges
themselves are ablated, on prompts that the attribution did not see. The pre-declared main number is
``edge_gap``: the mean |effect| of ablating the attributed top edges minus that of random edges of
the same graph. Attribution without truth gives 0. It measures whether the drawn edges are real and
does not rank coders: a few coarse nodes each carry more than many fine ones.

Limits: one coder per layer; nodes are sums over positions; the graph starts at the first coder and
does not trace attention; edges join the top nodes only.
"""

from latent_ledger.evaluations.edges import plan, rows
from latent_ledger.evaluations.edges.checks import CHECKS
from latent_ledger.planning.stage import Evaluation
from latent_ledger.resources.memory import GIB, resident
from latent_ledger.resources.work import MB, Cost, Planned, Work


def _edges(job: Planned) -> Work:
    settings = job.settings
    batches = settings["pairs"] / settings["batch"]
    backward = batches * (settings["steps"] + settings["edge_steps"] * settings["top_nodes"])
    ablated = batches * (settings["top_edges"] + settings["random_edges"] + settings["top_nodes"])
    circuits = batches * len(settings["sizes"]) * (2 + settings["draws"]) * 2
    passes = (3 * backward + ablated + circuits) * len(job.coders)
    tokens = 12 * settings["batch"]  # a minimal pair is a short sentence
    coders = sum(8.0 * job.d * (spec.width or 16_384) for spec in job.coders)
    return Work(
        exact=passes * tokens * job.model.operations(),
        disk=2 * job.weights + coders,
        steps=passes,
        weights=4.0 * job.model.parameters,
        seconds=10,
        gpu_gib=resident(job.model, "float32") + (2 * coders) / GIB + 2,
        host_mb=4.0 * job.model.parameters / MB,
    )


EVALUATION = Evaluation(
    name=plan.NAME,
    token_set=None,  # its prompts are made from templates
    gates=(),
    costs={"edges": Cost(_edges, gpu=True, mem_mb=4_000)},
    checks=CHECKS,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read},
    section=rows.section,
)
