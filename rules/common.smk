"""What all rules share: a rule says one pattern, OUT, and everything else follows from the graph.

    input:      unpack(inputs_of(OUT))          what the graph says that the job rests on
    log:        record=record(OUT)              its run record
    resources:  **resources_of("rule", OUT)     GPU, memory, time, and who asked for it again
    params:     **params_of("rule", OUT)        settings, code, environment, store: each labelled

OUT is a manifest's name with wildcards, in the experiment's own folder below results/.
"""

from latent_ledger.artifacts import fork_server, remote, staleness
from latent_ledger.artifacts.provenance import Project, lock_of
from latent_ledger.artifacts.store import Store, default_root
from latent_ledger.ledger import failed_run, ledger
from latent_ledger.planning import paths
from snakemake.settings.types import SharedFSUsage

PROJECT = Project(Path(workflow.basedir))
STORE = Store(default_root(CONFIG["store"]))
# Without a shared file system (profiles/modal) the payloads are elsewhere, on a Volume.
STORE_IS_HERE = SharedFSUsage.INPUT_OUTPUT in workflow.storage_settings.shared_fs_usage
JOBS = graph.jobs(CONFIG)
LEDGER = list(paths.LEDGER)
FIGURES = paths.FIGURES

# Snakemake compares params as a set of values and prints them without names: hence the labels.
ENV = f"env:{PROJECT.environment({})}"
# As configured, so that a moved checkout stays current; each job looks for it where it runs.
STORE_PARAM = f"store:{CONFIG['store']}"


def at(name):
    """The path of a manifest, or the pattern of several, by its name in the plan."""
    return paths.placed(name, CONFIG["experiment"])


def name_of(path):
    """A manifest's name in the plan, by its path; the ledger is called by its path."""
    return path.removeprefix(at(""))


# Path of a manifest -> rule, settings and inputs that it should have been made with.
MADE = {
    at(name): staleness.Made(
        job.rule,
        job.settings,
        {key: at(manifest) for key, manifest in job.named_inputs().items()},
        shared=bool(job.record),
    )
    for name, job in JOBS.items()
}
# Path of a manifest -> run record of its job, which several manifests may share.
RECORDS = {at(name): graph.record_name(name, job) for name, job in JOBS.items()}


def job_of(pattern):
    """The planned job behind a rule's manifest: a function of the wildcards."""
    return lambda wildcards: JOBS[name_of(pattern.format(**wildcards))]


def inputs_of(pattern):
    """The manifests that a rule's job rests on, by the names it knows them by."""
    job = job_of(pattern)

    def placed(wildcards):
        return {
            key: at(names) if isinstance(names, str) else [at(name) for name in names]
            for key, names in job(wildcards).inputs.items()
        }

    return placed


def record(pattern):
    """The run record of a rule's jobs; a manifest may share that of its job's other ones."""
    return at(f"records/{RECORDS.get(pattern, name_of(pattern))}")


def params_of(rule_name, pattern, settings=None):
    """The params of a rule: settings, code, environment and store.

    `rule_name` is its action, where several rules share one script. A job with several outputs
    hands its settings over.
    """
    job = job_of(pattern)
    return {
        "settings": settings or (lambda wildcards: job(wildcards).settings),
        "code": code(rule_name),
        "env": environment_of(rule_name, pattern),
        "store": STORE_PARAM,
    }


def environment_of(rule_name, pattern):
    """The digest of the environment of a rule's jobs, as a labelled param.

    It is one text where all of them share one, as all but served scorers do: a function would be
    called, and its signature looked at, for every job.
    """
    digests = {
        path: f"env:{PROJECT.environment(made.settings)}"
        for path, made in MADE.items()
        if made.rule == rule_name
    }
    if len(set(digests.values())) <= 1:
        return next(iter(digests.values()), ENV)
    return lambda wildcards: digests[pattern.format(**wildcards)]


def code(rule_name):
    """The digest of the code that a rule's script reaches, as a labelled param."""
    return f"code:{PROJECT.code_digest(rule_name)}"


def image(pattern):
    """Name of the container image that a rule's job needs, or None for the common one."""
    job = job_of(pattern)

    def lock(wildcards):
        name = lock_of(job(wildcards).settings)
        return None if name == "ledger" else name

    return lock


def only(names):
    """Constraint of a wildcard to some names; with none of them it matches nothing."""
    return "|".join(names) or "(?!)"


def recompute(rule_name):
    """1 when a person forced it (-R, -F), so that its job computes although the store has it.

    A function of the wildcards, because Snakemake parses its forcing options after the rules.
    """

    def forced(wildcards):
        names = workflow.dag_settings.forcerun
        rules = {MADE[name].rule if name in MADE else name for name in names}
        return int(workflow.dag_settings.forceall or rule_name in rules)

    return forced


def check_volume():
    """Where the store is a Volume: find manifests that were made with another store."""
    if STORE_IS_HERE:
        return
    digests = remote.digests_on_volume(workflow.executor_settings.volume)
    gone = remote.elsewhere(MADE, digests)
    if gone:
        mark_outdated(dict.fromkeys(gone, "its payload is not on the Volume"))
        raise WorkflowError(
            f"{len(gone)} results were made with another store ({gone[0]}, ...) and the Volume "
            "lacks their payloads. Start the same command again: they will be made again."
        )


def render_ledger_of_a_failed_run():
    """Write the ledger although jobs failed: their rows carry the reasons.

    It has no fingerprint, so that the next run finds it outdated and finishes it.
    """
    if STORE_IS_HERE:
        rows = ledger.Ledger(CONFIG, STORE, PROJECT).write(finished=False)
        failed = sum(row.label == "failed" for row in rows)
    else:
        remote.forget_corrupt({at(f"records/{name}") for name in RECORDS.values()})
        try:
            failed = failed_run.render(CONFIG)
        except LedgerError as error:
            logger.error(f"The ledger is not written: {error}")
            return
    logger.error(f"The ledger is written; {failed} of its rows have no number and say why.")


def mark_outdated(reasons, of_ledger=None):
    """Tell Snakemake of outdated manifests, by path, and of the ledger that rests on them.

    Snakemake compares the params of a job only if it has a record of each of its outputs, so that
    all outputs of a job are told.
    """
    jobs = {RECORDS[path]: reason for path, reason in reasons.items()}
    manifests = {path: jobs[job] for path, job in RECORDS.items() if job in jobs}
    why = of_ledger or f"it rests on {len(manifests)} outdated manifests"
    staleness.mark_outdated(manifests | dict.fromkeys([*LEDGER, FIGURES], why))


def tell_what_is_outdated():
    """Look for manifests and for a ledger that Snakemake would wrongly take for current."""
    outdated = staleness.outdated(MADE, PROJECT, STORE if STORE_IS_HERE else None)
    of_ledger = ledger.why_outdated(CONFIG, JOBS)
    if outdated or of_ledger:
        mark_outdated(outdated, of_ledger)
        reasons = outdated | ({LEDGER[0]: of_ledger} if of_ledger else {})
        lines = [f"{path} will be made again: {reason}." for path, reason in reasons.items()]
        logger.info("\n".join(lines))
    changes = staleness.explain(MADE, PROJECT, STORE)
    if changes:
        logger.info("\n  ".join(["Changed since the last run:", *changes]))


if workflow.is_main_process:
    if STORE_IS_HERE:
        fork_server.offer()  # local jobs fork from a process that has the libraries loaded
    try:
        tell_what_is_outdated()
    except LedgerError as error:
        raise WorkflowError(str(error)) from None
