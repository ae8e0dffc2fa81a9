"""Trace the graph of one group of coders on minimal pairs, and ablate its edges."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.edges import evaluation

    folders = {
        name.partition("/")[2]: job.input(name).folder()
        for name in job.inputs
        if name.startswith("coders/")
    }
    return evaluation.produce(job.settings, job.input("model").folder(), folders, out)


Job.from_snakemake(snakemake).run(fill(compute))
