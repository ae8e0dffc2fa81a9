"""Score every sampled latent by the answers of a scorer."""

from pathlib import Path

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.autointerp import score

    folders = {name: job.input(name).folder() for name in ("examples", "explanations")}
    # Answers are kept outside of the job, so that an interrupted one asks nothing twice.
    cache, log = job.store.root / "answers", Path(snakemake.log.server)
    return score.produce(job.settings, **folders, out=out, cache=cache, log=log)


Job.from_snakemake(snakemake).run(fill(compute))
