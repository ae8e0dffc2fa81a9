"""Modal's side of a run: its connection, App, Volumes, Secrets and images.

Every method is a coroutine over Modal's asynchronous calls, and none is called before the first
job: importing `modal` takes a second.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .images import ImageSpec, specs
from .settings import MOUNT, ExecutorSettings, pairs
from .task import Resources

READ_TRIES = 3

GRACE = 90
"""Seconds that a Sandbox has beyond its job's time limit, to pack and commit what there is."""

LONGEST = 24 * 3600
"""Modal's longest timeout, seconds."""


class Session:
    """What all Sandboxes of a run share; :func:`.preflight.open_session` connects it."""

    def __init__(self, settings: ExecutorSettings) -> None:
        self.settings = settings
        self.images: dict[str, ImageSpec] = specs(settings)
        self.environment: dict[str, str | None] = {**pairs(settings.env, "env")}
        self.client: Any = None
        self.app: Any = None
        self.volume: Any = None
        self.mounts: dict[str | os.PathLike[Any], Any] = {}
        self.secrets: list[Any] = []
        self._built: dict[str, asyncio.Future] = {}

    # -- files of the main Volume ---------------------------------------------------------------

    async def read(self, path: str) -> bytes | None:
        """Content of a file of the main Volume; None if there is no such file."""
        try:
            chunks = [chunk async for chunk in self.volume.read_file.aio(path)]
        except FileNotFoundError:
            return None
        return b"".join(chunks)

    def read_now(self, path: str) -> bytes | None:
        """As :meth:`read`, for a thread that may wait; a hook gets this."""
        try:
            return b"".join(self.volume.read_file(path))
        except FileNotFoundError:
            return None

    async def download(self, path: str, target: Path) -> bool:
        """Copy a file of the main Volume to `target`; False if there is no such file."""
        import modal

        target.parent.mkdir(parents=True, exist_ok=True)
        for again in range(READ_TRIES):
            try:
                with target.open("wb") as stream:
                    async for chunk in self.volume.read_file.aio(path):
                        stream.write(chunk)
                return True
            except FileNotFoundError:
                target.unlink(missing_ok=True)
                return False
            except modal.exception.Error:
                if again == READ_TRIES - 1:
                    raise
                await asyncio.sleep(0.5 * 2**again)
        return False

    async def upload(self, files: Mapping[str, Path]) -> None:
        """Put files on the main Volume, replacing what is there."""
        async with self.volume.batch_upload.aio(force=True) as batch:
            for path, source in files.items():
                batch.put_file(str(source), path)

    async def remove(self, path: str) -> None:
        """Remove a folder of the main Volume, if it is there."""
        try:
            await self.volume.remove_file.aio(path, recursive=True)
        except FileNotFoundError:
            return

    # -- Sandboxes ------------------------------------------------------------------------------

    async def image(self, name: str) -> Any:
        """The image of this name, built at most once per run; raises Modal's ImageBuildError."""
        if name not in self._built:
            self._built[name] = asyncio.ensure_future(self._build(name))
        return await asyncio.shield(self._built[name])

    async def _build(self, name: str) -> Any:
        image = self.images[name].definition()
        await image.build.aio(self.app)
        return image

    async def create(
        self, command: list[str], tags: Mapping[str, str], resources: Resources
    ) -> Any:
        """Create a Sandbox that runs `command`. With a GPU this waits until it is scheduled.

        Raises Modal's errors.
        """
        import modal

        return await modal.Sandbox.create.aio(
            *command,
            app=self.app,
            client=self.client,
            image=await self.image(resources.image),
            secrets=self.secrets,
            env=self.environment,
            volumes={MOUNT: self.volume, **self.mounts},
            timeout=min(resources.seconds + GRACE, LONGEST),
            gpu=resources.gpu_request,
            cpu=float(resources.cores),
            memory=(resources.memory_mib, resources.memory_mib),
            tags=dict(tags),
            region=self.settings.region,
        )

    async def alive(self, tags: Mapping[str, str]) -> dict[str, Any]:
        """Sandboxes of the App that carry these tags and have not ended, by id: one list call."""
        import modal

        listed = modal.Sandbox.list.aio(app_id=self.app.app_id, tags=dict(tags), client=self.client)
        return {sandbox.object_id: sandbox async for sandbox in listed}

    # -- secrets --------------------------------------------------------------------------------

    def secret_environment(self, declared: Mapping[str, str]) -> dict[str, str | None]:
        """Variables handed over as a secret: of --modal-pass-env and of Snakemake's `envvars`."""
        passed = {name: os.environ[name] for name in self.settings.pass_env or ()}
        return {**declared, **passed}
