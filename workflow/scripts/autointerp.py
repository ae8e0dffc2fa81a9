"""Put a coder's latents, explanations and scores into one table, and measure over latents."""

from latent_ledger.job import Job, fill


def compute(job, out):
    from latent_ledger.evals.autointerp import collect

    readers = {
        kind: {
            name.partition("/")[2]: job.input(name).folder()
            for name in job.inputs
            if name.startswith(f"{kind}/")
        }
        for kind in ("explanations", "scores", "embeddings")
    }
    return collect.produce(job.settings, job.input("examples").folder(), **readers, out=out)


Job.from_snakemake(snakemake).run(fill(compute))
