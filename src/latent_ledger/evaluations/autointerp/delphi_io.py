"""The parts of delphi that this project uses, imported once and without the others.

delphi 0.1.3 imports vLLM, remote files, a vector index and its own activation cache with any of its
modules. None of them is used here, so stand-ins replace them during the import; installed packages
are importable again afterwards. That also halves the import time of every job of this evaluation.
"""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

UNUSED: Mapping[str, Mapping[str, Any]] = {
    "delphi.clients.offline": {"Offline": object},
    "delphi.latents.cache": {"LatentCache": object},
    "aiofiles": {},
    "asyncer": {"asyncify": lambda function: function},
    "blobfile": {},
    "faiss": {},
    "orjson": {},
    "sentence_transformers": {"SentenceTransformer": object},
}
"""Module -> the names that delphi takes from it while it is being imported."""


@contextmanager
def stand_ins() -> Iterator[None]:
    """Empty modules in place of :data:`UNUSED`, unless they are loaded already."""
    added = [name for name in UNUSED if name not in sys.modules]
    for name in added:
        module = ModuleType(name)
        vars(module).update(UNUSED[name])
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in added:
            del sys.modules[name]


# ruff: noqa: F401  (the other modules import delphi's names from here)
with stand_ins():
    from delphi.clients.client import Response
    from delphi.explainers import DefaultExplainer
    from delphi.latents.constructors import (
        pool_max_activation_windows,
        random_non_activating_windows,
    )
    from delphi.latents.latents import ActivatingExample, Latent, LatentRecord, NonActivatingExample
    from delphi.latents.samplers import normalize_activations, test, train
    from delphi.scorers import (
        DetectionScorer,
        ExampleEmbeddingScorer,
        FuzzingScorer,
        IntruderScorer,
    )
    from delphi.scorers.classifier.sample import ClassifierOutput

# Our code counts every unreadable answer per latent; delphi's own lines name no latent.
logging.getLogger("delphi").setLevel(logging.CRITICAL)


class TokenText(dict[int, str]):
    """The text of single tokens, which delphi expects of `tokenizer.batch_decode` of 1-D ids.

    transformers 5 gives one string for all of them, and delphi then highlights single letters
    (upstream issues 176 and 177). `decode` turns a list of one id into its text.
    """

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        super().__init__()
        self._decode = decode

    def __missing__(self, token: int) -> str:
        self[token] = self._decode([token])
        return self[token]

    def batch_decode(self, ids: Iterable[Any]) -> list[str]:
        """One string per id of a 1-D tensor or list."""
        return [self[int(token)] for token in ids]
