"""The digest that decides whether the tests of the local Modal server run."""

from __future__ import annotations

import shutil

import pytest
from double_record import HERE, digest


@pytest.mark.parametrize("changed", ["local_modal/world.py", "test_double_volumes.py"])
def test_digest_after_a_change_is_another(tmp_path, changed):
    shutil.copytree(HERE, tmp_path, dirs_exist_ok=True)
    assert digest(tmp_path) == digest()
    with (tmp_path / changed).open("a") as stream:
        stream.write("# a comment\n")
    assert digest(tmp_path) != digest()
