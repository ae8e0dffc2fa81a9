"""Trace the graph of one group of coders on minimal pairs, and ablate its edges."""

from latent_ledger.job import Job, fill


def compute(job, out):
    from latent_ledger.evals import edges

    folders = {
        name.partition("/")[2]: job.input(name).folder()
        for name in job.inputs
        if name.startswith("coders/")
    }
    return edges.produce(job.settings, job.input("model").folder(), folders, out)


Job.from_snakemake(snakemake).run(fill(compute))
