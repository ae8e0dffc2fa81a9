"""The sae_probes stage: the primary probing benchmark, by its own code on cached activations.

    texts      examples of its data sets on which neither model nor coder was trained
    upstream   the package's access to those examples and their activations
    baselines  its logistic regression on the raw last-token activations, once per input hook
    probes     its sparse probes on a coder's latents of the same activations

Source: Kantamneni et al. 2025 (arXiv 2502.16681); https://github.com/sae-probes/sae-probes.
"""

from latent_ledger.evaluations.sae_probes import plan, rows
from latent_ledger.evaluations.sae_probes.checks import CHECKS
from latent_ledger.planning import paths
from latent_ledger.planning.stage import Evaluation
from latent_ledger.resources.work import MB, PROBE, Cost, Planned, Work, resampling, takes


def _sae_probes_sets(job: Planned) -> tuple[float, float]:
    """Examples of all data sets, and the number of fits over them."""
    block = job.block("sae_probes")
    return len(block["datasets"]) * block["examples"], len(block["seeds"])


def _sae_probes_baseline(job: Planned) -> Work:
    texts, seeds = _sae_probes_sets(job)
    return Work(disk=job.activations, seconds=5 + texts * seeds * job.d / PROBE, host_mb=2_000)


def _sae_probes(job: Planned) -> Work:
    texts, seeds = _sae_probes_sets(job)
    features = sum(job.settings["top_k"])
    seconds = resampling(job) + texts * seeds * (features + job.d / 10) / PROBE
    held = 4.0 * texts / len(job.block("sae_probes")["datasets"]) * job.width
    return Work(
        exact=job.encoded(texts), seconds=seconds, host_mb=(job.coder_bytes + 4 * held) / MB
    )


EVALUATION = Evaluation(
    name=plan.NAME,
    token_set=plan.TOKEN_SET,
    gates=(paths.SaelensGate,),
    costs={
        "probe_texts": Cost(takes(20), mem_mb=3_000),
        "sae_probes_baseline": Cost(_sae_probes_baseline, mem_mb=3_000),
        "sae_probes": Cost(_sae_probes, mem_mb=3_000),
    },
    checks=CHECKS,
    jobs=plan.jobs,
    rows=plan.rows,
    readers={plan.NAME: rows.read},
    section=rows.section,
    token_sets=plan.token_sets,
)
