"""Every test of this folder starts in an empty folder, with an empty hub cache."""

from __future__ import annotations

import pytest

from tests.config.experiments import small


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Sources are looked up from the working directory; here it is empty, and so is the cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub-cache"))


@pytest.fixture
def tiny() -> dict:
    """A small experiment, to make mistakes in."""
    return small()
