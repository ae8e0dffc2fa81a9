"""What all rules share: labelled params, and who asked for a recomputation."""

from latent_ledger.ledger import ledger
from latent_ledger.artifacts import remote, staleness, fork_server
from latent_ledger.config.coder_specs import base
from latent_ledger.evaluations.overview import plan as overview
from latent_ledger.planning import paths
from latent_ledger.planning.stage import coder, embedded
from latent_ledger.planning.text import corpus_settings
from latent_ledger.evaluations.headtohead.plan import compared
from latent_ledger.planning.models import capture_settings
from latent_ledger.artifacts.provenance import Project, lock_of
from latent_ledger.artifacts.store import Store, default_root
from snakemake.settings.types import SharedFSUsage

PROJECT = Project(Path(workflow.basedir))
STORE = Store(default_root(CONFIG["store"]))
# Without a shared file system (profiles/modal) the payloads are elsewhere, on a Volume.
STORE_IS_HERE = SharedFSUsage.INPUT_OUTPUT in workflow.storage_settings.shared_fs_usage
JOBS = graph.jobs(CONFIG)
TOKEN_SETS = graph.token_sets(CONFIG)
LEDGER = ["results/ledger.md", "results/ledger.json"]

# Snakemake compares params as a set of values and prints them without names: hence the labels.
ENV = f"env:{PROJECT.environment({})}"
# As configured, so that a moved checkout stays current; each job looks for it where it runs.
STORE_PARAM = f"store:{CONFIG['store']}"


def code(rule_name):
    """The digest of the code that a rule's script reaches, as a labelled param."""
    return f"code:{PROJECT.code_digest(rule_name)}"


def planned(pattern):
    """The settings of a rule's job, by its manifest: a params function of the wildcards."""
    return lambda wildcards: JOBS[pattern.format(**wildcards)][1]


def image(pattern):
    """Name of the container image that a rule's job needs, or None for the common one."""

    def of(wildcards):
        lock = lock_of(JOBS[pattern.format(**wildcards)][1])
        return None if lock == "ledger" else lock

    return of


def only(names):
    """Constraint of a wildcard to some names; with none of them it matches nothing."""
    return "|".join(names) or "(?!)"


def environment(pattern):
    """The digest of the environment that a rule's job runs in: a params function of wildcards."""
    return lambda wildcards: f"env:{PROJECT.environment(JOBS[pattern.format(**wildcards)][1])}"


def instance(wildcards):
    """The coder instance that a rule with the wildcard `coder` is about."""
    return coder(CONFIG, wildcards.coder)


def reads(split):
    """The activations that the rule's coder reads, over a token set: an input function."""
    return lambda wildcards: paths.activations(
        split, instance(wildcards).site.input_hook, instance(wildcards).model
    )


def writes(split):
    """The activations that the rule's coder should reconstruct, over a token set."""
    return lambda wildcards: paths.activations(
        split, instance(wildcards).site.output_hook, instance(wildcards).model
    )


def tokens_of(split):
    """The token set that the rule's coder is measured on, cut by its own model's tokenizer."""
    return lambda wildcards: paths.tokens(split.format(**wildcards), instance(wildcards).base)


def model_of(wildcards):
    """The model that the rule's coder was trained on."""
    return paths.model(instance(wildcards).model)


def recompute(rule_name):
    """1 when a person forced it (-R, -F), so that its job computes although the store has it.

    A function of the wildcards, because Snakemake parses its forcing options after the rules.
    """

    def forced(wildcards):
        names = workflow.dag_settings.forcerun
        rules = {JOBS[name][0] if name in JOBS else name for name in names}
        return int(workflow.dag_settings.forceall or rule_name in rules)

    return forced


def look_for_payloads():
    """Where the store is a Volume: find manifests that were made with another store."""
    if STORE_IS_HERE:
        return
    digests = remote.digests_on_volume(workflow.executor_settings.volume)
    gone = remote.check(JOBS, digests)
    if gone:
        staleness.age(LEDGER)
        raise WorkflowError(
            f"{len(gone)} results were made with another store ({gone[0]}, ...) and the Volume "
            "lacks their payloads. They were removed: start the same command again."
        )


def render_ledger_of_a_failed_run():
    """Write the ledger although jobs failed: their rows carry the reasons."""
    if STORE_IS_HERE:
        rows = ledger.write_ledger(CONFIG, STORE, PROJECT.code_digest, PROJECT.environment)
        failed = sum(row.label == "failed" for row in rows)
    else:
        records = {f"results/records/{graph.record_name(path)}" for path in JOBS}
        remote.forget_corrupt(records)
        try:
            failed = remote.render_failed(CONFIG)
        except LedgerError as error:
            logger.error(f"The ledger is not written: {error}")
            return
    staleness.age(LEDGER)  # the next run has to finish it
    logger.error(f"The ledger is written; {failed} of its rows have no number and say why.")


if workflow.is_main_process:
    if STORE_IS_HERE:
        fork_server.offer()  # local jobs fork from a process that has the libraries loaded
    # Without .snakemake/metadata Snakemake cannot see a changed param; the manifest itself can.
    forgotten = staleness.forget(
        JOBS, PROJECT.code_digest, PROJECT.environment, STORE if STORE_IS_HERE else None
    )
    if forgotten:
        staleness.age(LEDGER)
        logger.info("\n".join(forgotten))
    changes = staleness.explain(JOBS, PROJECT, STORE)
    if changes:
        logger.info("\n  ".join(["Changed since the last run:", *changes]))
