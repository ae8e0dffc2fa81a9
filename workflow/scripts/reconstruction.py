"""Measure how well a coder reconstructs its target, and what splicing it in costs the model."""

from latent_ledger.artifacts.job import Job, fill


def compute(job, out):
    from latent_ledger.evaluations.reconstruction import evaluation as reconstruction

    folders = {
        name: job.input(name).folder()
        for name in ("model", "tokens", "input_hook", "output_hook", "codes", "coder")
    }
    return reconstruction.produce(job.settings, **folders, out=out)


Job.from_snakemake(snakemake, "reconstruction").run(fill(compute))
