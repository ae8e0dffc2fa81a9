"""A job or group job as a Sandbox needs it: its command, files and resources."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from .errors import ModalError
from .settings import DEFAULT_IMAGE, LOCAL

HOUR = 60  # minutes
NOT_TRANSFERRED = ("pipe", "service", "nodelocal")


@dataclass(frozen=True)
class Resources:
    """The resources of a Sandbox, from Snakemake's standard resources."""

    cores: int
    """CPU cores."""
    memory_mib: int
    """Memory in MiB."""
    gpu: str = ""
    """Modal's name of the GPU, "" for none."""
    gpus: int = 0
    seconds: int = 3600
    """The job's time limit (`runtime`)."""
    image: str = DEFAULT_IMAGE
    expected: float | None = None
    """Seconds that the job is expected to take (`expected_seconds`), None without it."""

    @property
    def expected_seconds(self) -> float:
        """Seconds to estimate costs with: the expectation, or else the time limit."""
        return self.seconds if self.expected is None else self.expected

    @property
    def gpu_request(self) -> str | None:
        """The GPU in Modal's notation: None, "L4", "L4:2"."""
        if not self.gpu:
            return None
        return self.gpu if self.gpus == 1 else f"{self.gpu}:{self.gpus}"

    @classmethod
    def from_declared(cls, name: str, declared: Mapping[str, Any]) -> Resources:
        """The resources that the job called `name` declares.

        Raises a ModalError for a GPU without a name.
        """
        gpus, gpu = _whole(declared, "gpu"), declared.get("gpu_model") or ""
        if gpus and not (isinstance(gpu, str) and gpu):
            raise ModalError(
                f"{name} asks for gpu={gpus} but names no GPU: set the resource gpu_model, "
                'for example gpu_model="L4".'
            )
        expected = declared.get("expected_seconds")
        return cls(
            cores=max(1, _whole(declared, "_cores", 1)),
            memory_mib=_whole(declared, "mem_mb", 1000),
            gpu=gpu if gpus else "",
            gpus=gpus,
            seconds=60 * max(1, _whole(declared, "runtime", HOUR)),
            image=declared.get("image") or DEFAULT_IMAGE,
            expected=float(expected) if isinstance(expected, int | float) else None,
        )


def _whole(declared: Mapping[str, Any], name: str, default: int = 0) -> int:
    value = declared.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


@dataclass
class Task:
    """The work of one Sandbox. Paths are relative to the working directory, here and there."""

    name: str
    """For people: rule and wildcards."""
    command: str
    sends: dict[str, Path | bytes]
    """Path there -> file here, or content."""
    attempts_file: Path
    """JSON lines, one per attempt."""
    outputs: list[str] = field(default_factory=list)
    """Files and folders that must come back."""
    optional: list[str] = field(default_factory=list)
    """Outputs that may be gone when the job ends (temporary files of a group)."""
    logs: list[str] = field(default_factory=list)
    """Files that come back however it ends, if they exist: logs and benchmarks."""
    mirrors: list[str] = field(default_factory=list)
    """Files and folders that come back as they are there; what is absent there goes away here."""
    resources: Resources = field(default_factory=lambda: Resources(1, 1000))
    number: int = 1
    """Which attempt of the job this is, from 1."""

    @property
    def rule(self) -> str:
        """The first word of the name, as a tag."""
        return self.name.split(" ")[0][:60]

    @property
    def key(self) -> str:
        """The same for all attempts of the job, in all runs."""
        return key_of(self.name)


def key_of(name: str) -> str:
    """The key of the job with this name: 16 hexadecimal digits."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def task_of_job(job: Any, command: str) -> Task:
    """The task of a Snakemake job or group job that runs `command`.

    Raises a ModalError for a file that cannot travel because it is not below the working
    directory, and for an input that does not exist.
    """
    members = sorted(job.jobs, key=lambda member: member.name) if job.is_group() else [job]
    name = name_of(job)
    outputs = [f for m in members for f in m.output if not _flagged(f, *NOT_TRANSFERRED)]
    optional = [f for f in outputs if job.is_group() and _flagged(f, "temp")]
    logs = [f for member in members for f in member.log]
    benchmarks = [member.benchmark for member in members if member.benchmark]
    inputs = [f for f in job.input if not getattr(f, "is_storage", False)]
    inputs += [f for f in outputs if _flagged(f, "update") and Path(f).exists()]
    made = {str(f) for f in outputs}
    missing = [f for f in inputs if not Path(f).exists() and str(f) not in made]
    if missing:
        raise ModalError(f"{name}: its input {missing[0]} does not exist.")
    sends: dict[str, Path | bytes] = {
        str(path): path
        for source in [*inputs, *_listed(members, "modal_send")]
        for path in files_of(Path(source), name)
    }
    outputs = [f for f in outputs if not getattr(f, "is_storage", False)]
    return Task(
        name=name,
        command=command,
        sends=sends,
        outputs=[below(f, name) for f in outputs if f not in optional],
        optional=[below(f, name) for f in optional],
        logs=[below(f, name) for f in [*logs, *benchmarks]],
        mirrors=[below(f, name) for f in _listed(members, "modal_fetch")],
        resources=Resources.from_declared(name, job.resources),
        attempts_file=attempts_file(name, [str(f) for f in logs]),
        number=job.attempt,
    )


def attempts_file(name: str, logs: list[str]) -> Path:
    """The attempts file of a job: beside its first log, or below .snakemake/modal."""
    if logs:
        return Path(f"{logs[0]}.attempts.jsonl")
    return LOCAL / "attempts" / f"{file_name(name)}.jsonl"


def file_name(name: str) -> str:
    """A task's name as a file name."""
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)[:80]
    return f"{kept}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def below(path: Any, name: str) -> str:
    """`path` as a path below the working directory; a ModalError if it leads elsewhere."""
    pure = PurePosixPath(str(path))
    if pure.is_absolute():
        try:
            pure = PurePosixPath(Path(path).relative_to(Path.cwd()).as_posix())
        except ValueError:
            raise ModalError(
                f"{name}: {path} is not below the working directory, so it cannot travel to a "
                "Sandbox: use a relative path, or put the file on a Volume."
            ) from None
    if ".." in pure.parts:
        raise ModalError(
            f"{name}: {path} leaves the working directory, so it cannot travel to a Sandbox."
        )
    return str(pure)


def files_of(path: Path, name: str) -> Iterator[Path]:
    """The file `path`, or every file below the folder; nothing for what does not exist."""
    path = Path(below(path, name))
    if path.is_dir():
        yield from (file for file in sorted(path.rglob("*")) if file.is_file() and _kept(file))
    elif path.exists():
        yield path


def _kept(path: Path) -> bool:
    return "__pycache__" not in path.parts and path.suffix != ".pyc"


def _listed(members: Iterable[Any], resource: str) -> list[str]:
    """Paths that jobs name, separated by spaces, in a string resource."""
    values = [member.resources.get(resource) for member in members]
    return [path for value in values if isinstance(value, str) for path in value.split()]


def _flagged(path: Any, *flags: str) -> bool:
    return any(flag in getattr(path, "flags", {}) for flag in flags)


def name_of(job: Any) -> str:
    """A job for people: rule and wildcards; unique within a workflow."""
    if job.is_group():
        return f"{job.name} ({', '.join(sorted(str(f) for f in job.output)[:2])})"
    wildcards = ",".join(f"{key}={value}" for key, value in job.wildcards_dict.items())
    return f"{job.name} {wildcards}".strip()
