from pathlib import Path

import pytest

from tests.coders.training.recipes import world_in


@pytest.fixture(scope="package")
def world(tmp_path_factory) -> dict[str, Path]:
    return world_in(tmp_path_factory.mktemp("world"))
