"""A small stand-in for everything that the experiments fetch from the Hugging Face hub.

    <folder>/hub        the hub's cache: models, coders and data sets under their published ids
    <folder>/datasets   the cache of the datasets library

With the variables of :func:`environment` set, the real ids resolve offline, and the real loading
paths run on small files of the real formats: a Gemma-2 in sharded safetensors, Gemma Scope's
``params.npz``, Parquet data sets, configurations of the scorers' models. Built in seconds, and the
same bytes every time on one machine.

By hand: ``python -m tests.tiny_hub <folder>`` prints what to export and what to type then.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from latent_ledger.lib.files import write_json

GEMMA = "google/gemma-2-2b"
SCOPE = "google/gemma-scope-2b-pt-res"

QWEN = {
    "Qwen/Qwen2.5-3B-Instruct": {
        "hidden_size": 2048,
        "intermediate_size": 11008,
        "num_attention_heads": 16,
        "num_hidden_layers": 36,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
        "vocab_size": 151936,
    },
    "Qwen/Qwen2.5-7B-Instruct": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_attention_heads": 28,
        "num_hidden_layers": 28,
        "num_key_value_heads": 4,
        "tie_word_embeddings": False,
        "vocab_size": 152064,
    },
}
"""What differs in the published configurations of the scorers' models."""

STEPS = 50
"""Training steps of each language model."""
DOCUMENTS = 800
"""Documents that tokenizers and models are trained on."""


def environment(folder: Path) -> dict[str, str]:
    """What to set so that the published ids resolve to what lies in `folder`, and only there."""
    folder = Path(folder).resolve()
    return {
        "HF_HOME": str(folder),
        "HF_HUB_CACHE": str(folder / "hub"),
        "HF_DATASETS_CACHE": str(folder / "datasets"),
        "HF_HUB_OFFLINE": "1",
    }


def pinned(config: Mapping[str, Any]) -> dict[str, str]:
    """The commits that an experiment pins, by id; branches are no commits."""
    models = [config["model"], *config["model"].get("others", {}).values()]
    pins = {model["source"]: model.get("revision") or "" for model in models}
    return {name: pin for name, pin in pins.items() if re.fullmatch("[0-9a-f]{40}", pin)}


def build(folder: Path, commits: Mapping[str, str] | None = None) -> Path:
    """Build everything below `folder`, aside and then renamed; returns `folder`.

    `commits`: the commits that an experiment pins, by id. A folder that exists is left as it is.
    """
    from tests.tiny_hub import data_sets  # seconds to import

    folder, commits = Path(folder), commits or {}
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        root = Path(name) / "root"
        _models(Path(name) / "files", root / "hub", commits)
        data_sets.write(Path(name) / "files", root / "hub", root / "datasets", commits)
        root.rename(folder)
    return folder


def _models(files: Path, hub: Path, commits: Mapping[str, str]) -> None:
    """The language models, the coders that are fitted to them, and the scorers' configurations."""
    import torch

    from tests.tiny_hub import cache, language_models, scope, texts

    def add(name: str) -> None:
        cache.add(hub, "model", name, files / name, commits.get(name))
        shutil.rmtree(files / name)

    documents = [text for text, _ in texts.pile(DOCUMENTS)]
    with _one_thread():
        torch.manual_seed(0)
        tokenizer = language_models.gemma_tokenizer(documents)
        gemma = language_models.gemma2(tokenizer)
        language_models.train(gemma, tokenizer, documents, STEPS)
        language_models.save(gemma, tokenizer, files / GEMMA, torch.bfloat16)
        scope.write(files / SCOPE, gemma, language_models.rows(tokenizer, documents)[:200])
        add(GEMMA)
        add(SCOPE)
        tokenizer = language_models.neox_tokenizer(documents)
        for name, layers in language_models.PYTHIA_LAYERS.items():
            pythia = language_models.neox(tokenizer, layers)
            language_models.train(pythia, tokenizer, documents, STEPS)
            language_models.save(pythia, tokenizer, files / name, torch.float16)
            add(name)
    for name, shape in QWEN.items():
        config = {
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "hidden_act": "silu",
            "max_position_embeddings": 32768,
            "rms_norm_eps": 1e-06,
            "rope_theta": 1000000.0,
            "torch_dtype": "bfloat16",
            **shape,
        }
        write_json(files / name / "config.json", config)
        add(name)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread of torch, so that sums keep one order, and a seed that stays in here."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_num_threads(before)
