"""The plan of the house: imports run downwards without a circle, `__init__` files are empty."""

import ast
import graphlib
from pathlib import Path

import pytest

from tests.project import PROJECT

SOURCE = PROJECT / "src/latent_ledger"
LAYERS = (
    ("cli", "experiment"),
    ("ledger",),
    ("evaluations", "planning"),
    ("scorers",),
    ("resources",),
    ("config",),
    ("coders",),
    ("models",),
    ("text",),
    ("statistics", "artifacts"),
    ("lib",),
)
"""Packages and top modules, from the top; a module imports from its own layer and those below."""

PLANNING = ("plan", "rows", "checks", "entry")
"""Modules of an evaluation that plan, show, check and price: what computes never imports them."""


OLD_NAMES = {"found", "one", "own", "told", "said", "chosen", "over", "reads", "writes", "machine"}
"""Names that say nothing of what they hold, or that docs/glossary.md has a better word for."""


def modules() -> dict[str, Path]:
    """Module, without the package's name -> its file."""
    return {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts): path
        for path in sorted(SOURCE.rglob("*.py"))
        if path.name != "__init__.py"
    }


def imports(path: Path, known: set[str]) -> set[str]:
    """Project modules that a file imports anywhere, inside functions too."""
    taken = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            taken |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            taken |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name.removeprefix("latent_ledger.") for name in taken} & known


MODULES = modules()
IMPORTS = {name: imports(path, set(MODULES)) for name, path in MODULES.items()}


def layer(module: str) -> int:
    room = module.split(".")[0]
    return next(index for index, rooms in enumerate(LAYERS) if room in rooms)


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_downwards(module):
    upwards = {name for name in IMPORTS[module] if layer(name) < layer(module)}
    assert not upwards, f"{module} imports {', '.join(sorted(upwards))}"


def test_modules_import_without_a_circle():
    graphlib.TopologicalSorter(IMPORTS).prepare()  # raises CycleError with the circle's names


def test_init_files_are_empty():
    assert [path for path in SOURCE.rglob("__init__.py") if path.stat().st_size] == []


def test_what_computes_imports_neither_plan_rows_nor_checks():
    for module, taken in IMPORTS.items():
        room, _, name = module.rpartition(".")
        if not room.startswith("evaluations.") or name in PLANNING:
            continue
        wrong = {
            other
            for other in taken
            if other.startswith("planning.")
            or (other.startswith("evaluations.") and other.rpartition(".")[2] in PLANNING)
        }
        assert not wrong, f"{module} imports {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("module", MODULES)
def test_names_are_those_of_the_glossary(module):
    nodes = list(ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))))
    stored = {node.id for node in nodes if isinstance(node, ast.Name)}
    given = {node.arg for node in nodes if isinstance(node, ast.arg)}
    defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert not (stored | given | defined) & OLD_NAMES
