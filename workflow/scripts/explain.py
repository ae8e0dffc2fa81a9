"""Have a scorer explain every sampled latent from its training examples."""

from pathlib import Path

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.autointerp import explain

    # Answers are kept outside of the job, so that an interrupted one asks nothing twice.
    cache, log = job.store.root / "answers", Path(snakemake.log.server)
    return explain.produce(job.settings, job.input("examples").folder(), out, cache, log)


Job.from_snakemake(snakemake).run(fill(compute))
