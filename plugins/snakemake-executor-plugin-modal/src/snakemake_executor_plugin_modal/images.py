"""Images from lock files: equal lock, equal image.

An image's definition has its Python and uv versions, its Debian packages, and the lock file's
requirements without comments and order. Modal builds equal definitions once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ModalError
from .settings import DEFAULT_IMAGE, LOCAL, ExecutorSettings, pairs

PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?\s*(==\s*\S+|@\s*\S+)")


@dataclass(frozen=True)
class ImageSpec:
    """Contents of an image."""

    name: str
    requirements: tuple[str, ...]
    """Lines of the lock file, sorted, without comments and hashes."""
    first: str
    """A requirement installed before them and with its dependencies, or ""."""
    apt: tuple[str, ...]
    python: str
    uv: str

    @property
    def digest(self) -> str:
        """Digest of everything that decides what is in the image."""
        parts = [self.first, *self.apt, self.python, self.uv, *self.requirements]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def version_of(self, package: str) -> str | None:
        """The pinned version of a package; None if the lock file has none."""
        for line in self.requirements:
            pin = PIN.match(line)
            if pin and pin[1].lower().replace("_", "-") == package:
                return pin[3].removeprefix("==").split(";")[0].strip()
        return None

    def definition(self) -> Any:
        """The image for Modal (nothing is built yet)."""
        import modal

        lock = LOCAL / "locks" / self.digest / "requirements.txt"  # one base name: it is hashed
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.write_text("\n".join(self.requirements) + "\n")
        image = modal.Image.debian_slim(python_version=self.python)
        if self.apt:
            image = image.apt_install(*self.apt)
        if self.first:
            image = image.uv_pip_install(self.first, uv_version=self.uv)
        return image.uv_pip_install(
            requirements=[str(lock)], extra_options="--no-deps", uv_version=self.uv
        )


def specs(settings: ExecutorSettings) -> dict[str, ImageSpec]:
    """The images that the settings define, by name; raises a ModalError for a wrong setting."""
    locks = pairs(settings.images, "images") or {DEFAULT_IMAGE: "requirements.lock"}
    first = pairs(settings.image_first, "image-first")
    unknown = sorted(set(first) - set(locks))
    if unknown:
        raise ModalError(f"--modal-image-first names {unknown[0]}, which --modal-images lacks.")
    return {
        name: ImageSpec(
            name,
            read_lock(Path(path), name),
            first.get(name, ""),
            tuple(sorted(settings.image_apt or ())),
            settings.python,
            settings.uv,
        )
        for name, path in locks.items()
    }


def read_lock(path: Path, name: str = DEFAULT_IMAGE) -> tuple[str, ...]:
    """The requirements of a lock file, sorted; raises a ModalError if one is not pinned."""
    try:
        text = path.read_text()
    except OSError as error:
        raise ModalError(
            f"The lock file {path} of the image {name!r} cannot be read ({error.strerror}): "
            f"name another with --modal-images {name}=LOCK."
        ) from None
    lines = (line.split(" #")[0].strip() for line in text.replace("\\\n", " ").splitlines())
    wanted = [re.sub(r"\s+--hash=\S+", "", line) for line in lines]
    wanted = [line for line in wanted if line and not line.startswith(("#", "-"))]
    loose = [line for line in wanted if not PIN.match(line)]
    if loose:
        raise ModalError(
            f"{path} is no complete lock file: {loose[0]!r} is not pinned. Write name==version."
        )
    return tuple(sorted(wanted))


def check(images: Mapping[str, ImageSpec], used: Mapping[str, str], snakemake: str) -> None:
    """Check the images that jobs use (image -> a job that does) against this Snakemake version.

    Raises a ModalError for an image that is not defined or has another version.
    """
    for name, job in used.items():
        if name not in images:
            known = ", ".join(sorted(images))
            raise ModalError(
                f"{job} wants the image {name!r}, and the settings know {known}: "
                f"add --modal-images {name}=LOCK."
            )
        version = images[name].version_of("snakemake")
        if version != snakemake:
            raise ModalError(
                f"The image {name!r} has Snakemake {version or 'not at all'} and this machine "
                f"{snakemake}: pin snakemake=={snakemake} in its lock file."
            )
