"""Checks before the first job: whatever is missing is one line that says what to type."""

from __future__ import annotations

import asyncio
import difflib
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from . import images
from .costs import Prices
from .errors import ModalError
from .session import LONGEST, Session
from .settings import MOUNT, pairs
from .task import Resources

GPUS = [
    "T4",
    "L4",
    "A10",
    "A10G",
    "L40S",
    "A100",
    "A100-40GB",
    "A100-80GB",
    "RTX-PRO-6000",
    "H100",
    "H100!",
    "H200",
    "B200",
    "B200+",
]
"""Names that Modal 1.6.4 documents. A price table may add to them."""

PATIENCE = 20.0
"""Seconds to wait for Modal's first answer; its client alone waits for a minute."""


def check_resources(jobs: Iterable[tuple[str, Resources]], prices: Prices) -> None:
    """Check GPU names and time limits of (job, resources); raises a ModalError."""
    known = [*GPUS, *(gpu for gpu in prices.gpus if gpu not in GPUS)]
    for job, resources in jobs:
        if resources.gpu and resources.gpu not in known:
            near = difflib.get_close_matches(resources.gpu.upper(), known, 1, cutoff=0.3)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ModalError(
                f"{job}: gpu_model={resources.gpu} is no GPU that Modal is known to have; {hint}"
                f"Known are {', '.join(known)}; a price table (--modal-prices) may add one."
            )
        if resources.seconds > LONGEST:
            raise ModalError(
                f"{job}: runtime is {resources.seconds // 60} minutes, and a Sandbox lives for "
                f"{LONGEST // 60} at most: set a smaller runtime, or split the job."
            )


def check_environment(session: Session, declared: Iterable[str]) -> None:
    """Check that every environment variable to pass is set here; raises a ModalError."""
    for name in [*(session.settings.pass_env or ()), *declared]:
        if name not in os.environ:
            raise ModalError(f"The environment variable {name} is not set: export {name}=...")


async def open_session(session: Session, declared_environment: dict[str, str]) -> None:
    """Connect, and look up the App, the Volumes and the Secrets.

    Raises a ModalError for the first that is missing, and Modal's errors.
    """
    import modal

    settings = session.settings
    if settings.volume is None:
        raise ModalError("Name a Modal Volume of version 2 with --modal-volume.")
    session.client = await _connect(modal)
    session.app = await modal.App.lookup.aio(
        settings.app, create_if_missing=True, client=session.client
    )
    mounts = pairs(settings.volumes, "volumes")
    names = [settings.volume, *mounts.values()]
    volumes = await asyncio.gather(*(_volume(modal, session, name) for name in names))
    session.volume, session.mounts = volumes[0], dict(zip(mounts, volumes[1:], strict=True))
    if MOUNT in mounts:
        raise ModalError(f"--modal-volumes: {MOUNT} is the main Volume's; mount it elsewhere.")
    session.secrets = list(
        await asyncio.gather(*(_secret(modal, session, name) for name in settings.secrets or ()))
    )
    values = session.secret_environment(declared_environment)
    if values:
        session.secrets.append(modal.Secret.from_dict(values))


async def _connect(modal: Any) -> Any:
    try:
        client = await asyncio.wait_for(modal.Client.from_env.aio(), PATIENCE)
        await asyncio.wait_for(client.hello.aio(), PATIENCE)
    except modal.exception.AuthError as error:
        missing = "token missing" in str(error).lower()
        raise ModalError(
            "No Modal token found: type `modal token new`, or set MODAL_TOKEN_ID and "
            "MODAL_TOKEN_SECRET."
            if missing
            else "Modal does not accept the token: type `modal token new`, or correct "
            "MODAL_TOKEN_ID and MODAL_TOKEN_SECRET."
        ) from None
    except (TimeoutError, OSError, modal.exception.Error) as error:
        detail = f" ({type(error).__name__}: {_line(error)})" if str(error) else ""
        raise ModalError(
            f"Modal cannot be reached{detail}: check the network (and MODAL_SERVER_URL, if set)."
        ) from None
    return client


async def _volume(modal: Any, session: Session, name: str) -> Any:
    create = f"type `modal volume create {name} --version=2`"
    try:
        volume = modal.Volume.from_name(name, version=2, client=session.client)
        await volume.hydrate.aio()
    except modal.exception.NotFoundError:
        raise ModalError(f"There is no Modal Volume {name!r}: {create}.") from None
    except modal.exception.InvalidError as error:
        raise ModalError(
            f"The Modal Volume {name!r} cannot be used ({_line(error)}): it has to be of version "
            f"2; {create} with another name, and name that one."
        ) from None
    return volume


async def _secret(modal: Any, session: Session, name: str) -> Any:
    try:
        secret = modal.Secret.from_name(name, client=session.client)
        await secret.hydrate.aio()
    except modal.exception.NotFoundError:
        raise ModalError(
            f"There is no Modal Secret {name!r}: type `modal secret create {name} NAME=VALUE`, "
            "with the variables that your jobs need."
        ) from None
    return secret


async def rates(session: Session, prices: Prices) -> Prices:
    """The prices with the workspace's rates, where it lets them be read."""
    import modal

    try:
        workspace = modal.Workspace.from_context(client=session.client)
        hourly = await asyncio.wait_for(workspace.billing.rates.aio(), PATIENCE)
    except (modal.exception.Error, TimeoutError):
        return prices  # not every member may see them; the table's date says what was used
    return prices.updated(dict(hourly.items()), datetime.now(UTC).date().isoformat())


def check_images(session: Session, jobs: Iterable[tuple[str, Resources]], snakemake: str) -> None:
    """Check the lock files of the images that the jobs use; raises a ModalError."""
    used: dict[str, str] = {}
    for job, resources in jobs:
        used.setdefault(resources.image, job)
    images.check(session.images, used, snakemake)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
