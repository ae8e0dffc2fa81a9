"""What jobs ask for (GPU, memory, minutes), what that costs, and the budget that stops a run."""

import logging

from latent_ledger.resources import bill
from latent_ledger.planning.estimates import ASSUMED, Planner
from latent_ledger.resources.prices import prices
from snakemake_interface_logger_plugins.common import LogEvent

PLANNER = Planner(CONFIG, JOBS)
PRICED = bool(CONFIG["hardware"]["gpus"])


def resources_of(rule_name, pattern):
    """The resources of a rule's jobs, and whether a person asked for them again.

    mem_mb and runtime grow with every attempt, so that `--retries` asks for more each time.
    """

    def estimate(wildcards):
        return PLANNER.job(name_of(pattern.format(**wildcards)))

    def gpu_model(wildcards):
        gpu = estimate(wildcards).gpu
        return CONFIG["hardware"]["names"].get(gpu, gpu)

    gpu = {
        "gpu": lambda wildcards: 1 if estimate(wildcards).gpu else None,
        "gpu_model": gpu_model,
    }
    return {
        "mem_mb": lambda wildcards, attempt: estimate(wildcards).mem_mb * attempt,
        "runtime": lambda wildcards, attempt: estimate(wildcards).minutes * attempt,
        "expected_seconds": lambda wildcards: estimate(wildcards).seconds,
        "recompute": recompute(rule_name),
        **(gpu if PRICED else {}),
    }


def billed():
    """The jobs that this run will execute, with what they ask for, in the order of the rules."""
    gpus = {gpu_model: gpu for gpu, gpu_model in CONFIG["hardware"]["names"].items()}
    order = {rule.name: index for index, rule in enumerate(workflow.rules)}
    items = []
    for job in workflow.dag.needrun_jobs(exclude_finished=False):
        if not job.output:
            continue  # the target `all`, which does nothing
        name = name_of(job.output[0])
        estimate = PLANNER.job(name)
        # Where nothing is priced, no job's resources are looked at: Snakemake takes .4 ms for each.
        asked = job.resources if PRICED else {"mem_mb": estimate.mem_mb}
        gpu_model = asked.get("gpu_model")
        gpu = gpus.get(gpu_model, gpu_model) if gpu_model else estimate.gpu
        items.append(
            bill.Item(
                job.rule.name,
                name.removesuffix(".json"),
                asked.get("expected_seconds", estimate.seconds),
                gpu=gpu if asked.get("gpu") else None,
                gpus=asked.get("gpu", 0),
                cores=job.threads if PRICED else 1,
                mem_mb=asked.get("mem_mb"),
            )
        )
    return sorted(items, key=lambda item: (order[item.rule], item.name))


class Bill(logging.Handler):
    """Prints what a dry run would cost, behind Snakemake's own account of its jobs.

    Snakemake logs the event RUN_INFO with its count of jobs: before and, unless it is quiet, behind
    the list of jobs of a dry run. The bill comes with the last one and must agree with that count.
    """

    def __init__(self):
        super().__init__()
        self.seen = 0

    def emit(self, record):
        if getattr(record, "event", None) != LogEvent.RUN_INFO or not hasattr(record, "stats"):
            return
        self.seen += 1
        quiet = {part.name.lower() for part in workflow.output_settings.quiet or ()}
        if not workflow.dryrun or (self.seen == 1 and not {"rules", "progress"} <= quiet):
            return
        try:
            items = billed()
            table = prices() if PRICED else None
        except LedgerError as error:
            raise WorkflowError(str(error)) from None
        counted = record.stats["total"] - record.stats.get("all", 0)
        if len(items) != counted:
            raise WorkflowError(f"The bill has {len(items)} jobs and Snakemake counts {counted}.")
        if "rules" not in quiet:
            logger.info(f"Expected of each job:\n{bill.by_job(items, table)}\n")
        logger.info(f"Expected in all:\n{bill.by_rule(items, table)}\n")
        logger.info(bill.summary(items, table))
        for model in PLANNER.unknown:
            logger.info(
                f"The size of {model} is not known before its config.json is in the hub's cache: "
                f"it is taken as {ASSUMED}'s."
            )


def keep_within_budget():
    """Say what the run will cost, and refuse to start one above `budget_usd`."""
    if not (workflow.is_main_process and PRICED):
        return
    items = billed()
    logger.info(bill.summary(items, prices()))
    limit = CONFIG["budget_usd"]
    if limit is not None and not workflow.local_exec:
        refused = bill.refusal(items, prices(), limit)
        if refused:
            raise WorkflowError(refused)


if workflow.is_main_process:
    logger.addHandler(Bill())
