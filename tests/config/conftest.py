"""Every test of this folder starts in an empty folder, with an empty hub cache."""

import pytest


@pytest.fixture(autouse=True)
def _empty_folder(elsewhere):
    """The working directory of each test."""
