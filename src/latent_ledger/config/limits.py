"""Limits that several blocks share: the model's context, and the width of the narrowest coder."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from latent_ledger.config.problems import Problem, Where
from latent_ledger.models.sources.registry import shape


def within_context(config: Mapping[str, Any], contexts: Mapping[Where, int]) -> Iterator[Problem]:
    """A problem per context, by its path, that is longer than that of the model under study."""
    model = shape(config["model"])
    limit = model.context if model else None
    for path, context in contexts.items():
        if limit is not None and context > limit:
            yield Problem(path, f"{context} is longer than the model's context of {limit}")


def within_width(
    where: Where, numbers: Sequence[int], widths: Mapping[str, int | None]
) -> Iterator[Problem]:
    """A problem per number of latents that the narrowest coder lacks.

    Coders whose width only their file states are left out.
    """
    known = {name: width for name, width in widths.items() if width is not None}
    narrowest = min(known, key=known.__getitem__, default=None)
    for index, number in enumerate(numbers):
        if narrowest is not None and number > known[narrowest]:
            what = f"{number} latents exceed the width of {narrowest}, {known[narrowest]}"
            yield Problem((*where, index), what)
