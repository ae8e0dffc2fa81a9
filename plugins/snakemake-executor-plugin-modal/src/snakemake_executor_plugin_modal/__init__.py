"""Snakemake executor plugin: one Modal Sandbox per job or group job.

    settings    command-line options           task         a job's files, command and resources
    preflight   checks before the first job    transfer     archives to and from the Volume
    executor    Snakemake's side               runner       the program inside a Sandbox
    pool        create, adopt, end Sandboxes   causes       the reason for an end, in one line
    collecting  results of an ended Sandbox    costs        rates, attempts, budget
    session     Modal's side                   oneoff       a command outside the graph
    images      a lock file as an image        run_context  what pool and collecting share

Snakemake imports every installed plugin at each start, so no module imports `modal` before the
first job: a dry run needs no token and no network. Here stands only what Snakemake's plugin
registry reads.
"""

from .executor import Executor
from .settings import ExecutorSettings, common_settings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]
