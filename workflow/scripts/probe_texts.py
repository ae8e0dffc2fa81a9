"""Draw the texts of sae_probes' data sets that nothing here was trained on."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.sae_probes import texts

    parts = [name for name in job.inputs if name.startswith("trained_on")]
    return texts.produce(job.settings, [job.input(name).folder() for name in parts], out)


Job.from_snakemake(snakemake).run(fill(compute))
