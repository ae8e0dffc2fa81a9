"""Pytest hooks that run the tests of the test double, marked `double`, only when it changed.

`local_modal/VERIFIED` holds the digest under which they last passed; `--record-double` renews it.
"""

from __future__ import annotations

import hashlib
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

HERE = Path(__file__).parent
RECORD = HERE / "local_modal/VERIFIED"


def digest(folder: Path = HERE) -> str:
    """sha256 over the double, its tests, and the versions of the client and of Python."""
    versions = f"modal {version('modal')}, Python {sys.version_info.major}.{sys.version_info.minor}"
    total = hashlib.sha256(versions.encode())
    tests = [folder / "double_desk.py", *sorted(folder.glob("test_double_*.py"))]
    for path in [*sorted((folder / "local_modal").rglob("*.py")), *tests]:
        total.update(f"{path.relative_to(folder)} ".encode() + path.read_bytes())
    return total.hexdigest()


CURRENT = digest()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-double", action="store_true", help="with -m double: see the README")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "double: tests of the local Modal server; run if it changed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    verified = RECORD.exists() and RECORD.read_text().strip() == CURRENT
    if verified and "double" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("double")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    options = session.config.option
    partial = options.keyword or any("::" in argument for argument in session.config.args)
    if session.config.getoption("--record-double", default=False) and exitstatus == 0:
        if partial or options.markexpr != "double":
            raise pytest.UsageError("--record-double goes with -m double and all of its tests")
        RECORD.write_text(f"{CURRENT}\n")
