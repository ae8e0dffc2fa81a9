"""Settings of the executor: command-line options `--modal-*`, or keys `modal-*` of a profile."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, List, Optional  # noqa: UP035  Snakemake's parser reads these types

from snakemake_interface_executor_plugins.settings import CommonSettings, ExecutorSettingsBase

from .errors import ModalError

MOUNT = "/volume"
"""Where the main Volume is mounted in every Sandbox."""

EXCHANGE = ".snakemake-modal"
"""Folder of the main Volume through which sources, inputs and outputs travel."""

LOCAL = Path(".snakemake/modal")
"""Folder of the working directory for the run id, logs and archives on their way."""

DEFAULT_IMAGE = "default"

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=True,
    job_deploy_sources=True,
    can_transfer_local_files=True,  # this plugin itself moves inputs, sources and outputs
    pass_envvar_declarations_to_cmd=False,  # values never stand in a command: see `session`
    pass_default_storage_provider_args=True,
    pass_default_resources_args=True,
    auto_deploy_default_storage_provider=False,
    pass_group_args=True,
    init_seconds_before_status_checks=0,
)
"""What Snakemake has to know about this executor."""


def exchange(*parts: str) -> str:
    """A path below the exchange folder of the main Volume."""
    return "/".join((EXCHANGE, *parts))


def _option(help: str, default: Any = None, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": help, **metadata})


def _many(help: str, metavar: str) -> Any:
    return _option(help, nargs="+", metavar=metavar)


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """The settings; all but the Volume have a default."""

    app: str = _option("Modal App of the Sandboxes; made if it is missing.", "snakemake")
    volume: Optional[str] = _option(  # noqa: UP045
        f"Modal Volume (version 2) mounted at {MOUNT} in every Sandbox. Inputs and outputs travel "
        "through it, and what jobs write below it stays there.",
        required=True,
    )
    volumes: List[str] = _many(  # noqa: UP006
        "Further Volumes, for example /cache=hf-cache.", "MOUNT=NAME"
    )
    images: List[str] = _many(  # noqa: UP006
        "Images by name, each made from a complete lock file (every package pinned, Snakemake "
        "among them). A job's resource `image` names one; without it the job gets `default`. "
        "Default: default=requirements.lock.",
        "NAME=LOCK",
    )
    image_first: List[str] = _many(  # noqa: UP006
        "Requirements installed before an image's lock file and with their dependencies, "
        "for example default=torch==2.13.0; the lock file itself is installed without.",
        "NAME=REQUIREMENT",
    )
    image_apt: List[str] = _many(  # noqa: UP006
        "Debian packages for every image.", "PACKAGE"
    )
    python: str = _option("Python version of the images.", "3.11.12")
    uv: str = _option("uv version that installs into the images.", "0.9.30")
    pythonpath: List[str] = _many(  # noqa: UP006
        "Folders of the working directory that are sent whole and put on PYTHONPATH.", "FOLDER"
    )
    sources: List[str] = _many(  # noqa: UP006
        "Files and folders sent besides Snakemake's list of sources (Snakefiles, script folders, "
        "configuration files, everything under git).",
        "PATH",
    )
    env: List[str] = _many(  # noqa: UP006
        "Environment variables of every job; for what is no secret.", "NAME=VALUE"
    )
    pass_env: List[str] = _many(  # noqa: UP006
        "Environment variables whose values are taken from here, and handed over as a secret.",
        "NAME",
    )
    secrets: List[str] = _many(  # noqa: UP006
        "Modal Secrets whose variables every job gets.", "NAME"
    )
    complete: Optional[str] = _option(  # noqa: UP045
        "Hook that may complete a job without a Sandbox: a callable (job, read) -> bool, where "
        "read(path) gives the bytes of a file of the Volume, or None. See the README.",
        metavar="MODULE:CALLABLE",
    )
    budget_usd: Optional[float] = _option(  # noqa: UP045
        "Most dollars that this run may cost; by default the workflow configuration's "
        "`budget_usd`, if it has one.",
        type=float,
    )
    prices: Optional[Path] = _option(  # noqa: UP045
        "Price table that replaces that of this package (same format)."
    )
    creations: int = _option("Most Sandboxes being created at the same time.", 16, type=int)
    poll_seconds: float = _option("Seconds between two looks at the Sandboxes.", 0.5, type=float)
    oom_factor: float = _option(
        "A job that ran out of memory is retried with this many times the memory, unless its rule "
        "asks for more by itself.",
        2.0,
        type=float,
    )
    region: Optional[str] = _option("Region in which Sandboxes run.")  # noqa: UP045


def pairs(items: Iterable[str] | None, option: str) -> dict[str, str]:
    """The `NAME=VALUE` items of --modal-`option` as a dict; raises a ModalError without `=`."""
    values = {}
    for item in items or []:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise ModalError(f"--modal-{option} {item}: expected NAME=VALUE.")
        values[name] = value
    return values
