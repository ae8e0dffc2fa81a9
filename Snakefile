"""Latent Ledger: which sparse coder explains a language model best?

    corpus -> tokens -> activations -> coder -> codes -> evaluation -> comparison -> ledger row

Every rule's output is a small manifest in results/; payloads live in a content-addressed store.
Settings, code and environment enter each rule as labelled params, so a dry run names the reason.
"""

from pathlib import Path

from latent_ledger import experiment
from latent_ledger.config.reading import read_yaml
from latent_ledger.planning import graph
from latent_ledger.planning.registry import STAGES
from latent_ledger.lib.errors import LedgerError
from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.27.1")  # rules/common.smk and rules/resources.smk read what it does not promise


report: "workflow/report/workflow.rst"


if "experiment" not in config:

    configfile: "config/config.yaml"


try:
    for file in workflow.configfiles:
        read_yaml(Path(file))  # names a repeated key, which Snakemake would swallow
    CONFIG = experiment.validate(config)
except LedgerError as error:
    raise WorkflowError(str(error))


include: "rules/common.smk"
include: "rules/resources.smk"


# One file per stage, with the stage's name.
for stage in STAGES:

    include: f"rules/{stage.name}.smk"


include: "rules/ledger.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        LEDGER,


onstart:
    keep_within_budget()
    check_volume()


onerror:
    render_ledger_of_a_failed_run()
