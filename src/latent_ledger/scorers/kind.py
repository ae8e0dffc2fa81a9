"""The complete description of one kind of scorer, a *backend*.

It is the ``KIND`` of ``scorers/<backend>/entry.py``; :mod:`latent_ledger.scorers.registry` has all
of them. Checks, plan, estimates and ledger ask it, so none of them names a backend. A job opens the
client and never sees the entry (see :mod:`latent_ledger.scorers.opening`): a new label or a better
cost makes no answer stale.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from latent_ledger.resources.transformer import Architecture
from latent_ledger.resources.work import Work

Settings = Mapping[str, Any]
COMMON = "ledger"
"""Lock file, below envs/, of every job that names no other."""
WAIT = 2.0
"""Seconds until an endpoint has answered one prompt."""


@dataclass(frozen=True)
class Questions:
    """The prompts of one job, as its cost depends on them; lengths in tokens."""

    latents: int
    prompts: float
    length: float
    """Tokens of a prompt."""
    answer: float
    """Tokens of an answer."""


@dataclass(frozen=True)
class Serving:
    """How a job serves its model: number format, longest prompt and answer, share of the GPU."""

    dtype: str
    max_model_len: int
    share: float


@dataclass(frozen=True)
class ScorerKind:
    """One backend. Every `settings` below is an entry of ``evaluations.autointerp.scorers``."""

    name: str
    """The value of ``backend``, and the folder of the client."""
    label: Callable[[Settings], str]
    """What answers, for the ledger: ``no model``."""
    cost: Callable[[Settings, Questions, Architecture | None], Work]
    """(settings of the job, its prompts, the model it serves if its size is known) -> work."""
    needs: tuple[str, ...] = ()
    """Settings that must have a value."""
    takes: tuple[str, ...] = ()
    """Further settings that reach its jobs. All others stay out of its keys."""
    serving: Callable[[Settings], Serving] | None = None
    """How its jobs serve the model, which then get a GPU; None where they serve none."""
    environment: str = COMMON
    """Lock file, below envs/, of its jobs."""
    problems: Callable[[Settings], Iterable[tuple[str, str]]] = lambda settings: ()
    """(key, what is wrong) for settings that contradict each other."""

    @property
    def settings(self) -> frozenset[str]:
        """Every setting that reaches its jobs."""
        return frozenset({"backend", *self.needs, *self.takes})

    def job_settings(self, settings: Settings) -> dict[str, Any]:
        """Settings of a job: ``scorer`` and, if not the common one, ``environment``."""
        scorer = {key: value for key, value in settings.items() if key in self.settings}
        environment = {} if self.environment == COMMON else {"environment": self.environment}
        return {"scorer": scorer} | environment

    def model(self, settings: Settings) -> str | None:
        """The model that answers; None for a backend without one."""
        return settings["model"] if "model" in self.settings else None


def waiting(settings: Settings, questions: Questions, model: Architecture | None = None) -> Work:
    """The work of a job that waits for an endpoint, ``concurrency`` prompts at a time."""
    return Work(seconds=5 + WAIT * questions.prompts / settings["concurrency"])
