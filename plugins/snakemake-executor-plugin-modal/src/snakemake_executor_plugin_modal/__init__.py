"""Snakemake executor plugin: one Modal Sandbox per job or group job.

    settings    what a person may set             task       one job: its files, command, resources
    preflight   what must be there before         transfer   archives to and from the Volume
    executor    Snakemake's side of it            runner     what runs inside a Sandbox
    pool        creating, adopting, ending        causes     why a Sandbox ended, in one line
    session     Modal's side of it                costs      rates, attempts, budget
    images      a lock file as an image           oneoff     one command outside the graph

Snakemake imports every installed plugin at each start, so nothing here imports `modal` before a
job is to run: a dry run needs no token and no network.
"""

from snakemake_interface_executor_plugins.settings import CommonSettings

from .executor import Executor
from .oneoff import run_in_sandbox
from .settings import ExecutorSettings

__all__ = ["Executor", "ExecutorSettings", "common_settings", "run_in_sandbox"]
__version__ = "0.1.0"

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=True,
    job_deploy_sources=True,
    can_transfer_local_files=True,  # inputs, sources and outputs travel by this plugin's own hand
    pass_envvar_declarations_to_cmd=False,  # values never stand in a command: see `session`
    pass_default_storage_provider_args=True,
    pass_default_resources_args=True,
    auto_deploy_default_storage_provider=False,
    pass_group_args=True,
    init_seconds_before_status_checks=0,
)
