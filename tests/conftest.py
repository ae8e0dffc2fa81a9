"""Every test runs without a network and on one thread, so that two runs agree to the bit."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Pin torch to one thread: tests share the machine, and sums keep one order."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Sources are looked up from the working directory; here it is empty, and so is the cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub-cache"))


@pytest.fixture
def tiny() -> dict:
    """A small experiment's configuration, to make mistakes in."""
    from tests.config.experiments import small

    return small()


@pytest.fixture(scope="session")
def neox(tmp_path_factory: pytest.TempPathFactory):
    """A tiny random GPT-NeoX on disk (parallel residual, no post-norm)."""
    from tests.tiny_models import neox_folder

    return neox_folder(tmp_path_factory.mktemp("models") / "neox")


@pytest.fixture(scope="session")
def gemma2(tmp_path_factory: pytest.TempPathFactory):
    """A tiny random Gemma-2 on disk (a norm behind the MLP)."""
    from tests.tiny_models import gemma2_folder

    return gemma2_folder(tmp_path_factory.mktemp("models") / "gemma2")
