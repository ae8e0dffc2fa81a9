"""The plugin's import graph and its entry point, read from the syntax trees of its modules."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

PACKAGE = Path(__file__).parents[1] / "src/snakemake_executor_plugin_modal"
TREES = {path.stem: ast.parse(path.read_text()) for path in PACKAGE.glob("*.py")}


def imported(node: ast.AST) -> set[str]:
    """The modules of the package that a node imports; `__init__` for any other of its names."""
    if not isinstance(node, ast.ImportFrom) or node.level == 0:
        return set()
    names = [node.module] if node.module else [alias.name for alias in node.names]
    return {name if name in TREES else "__init__" for name in names}


def test_modules_with_every_import_counted_have_no_circle():
    """Imports inside functions and below TYPE_CHECKING count as well."""
    graph = {
        module: {name for node in ast.walk(tree) for name in imported(node)}
        for module, tree in TREES.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError with the circle


def test_modules_import_each_other_at_the_top_only():
    nested = {
        f"{module}.py:{node.lineno}"
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if imported(node) and node not in tree.body
    }
    assert not nested


def test_init_holds_only_the_names_that_snakemakes_registry_reads():
    docstring, *imports, exported = TREES["__init__"].body
    assert isinstance(docstring, ast.Expr) and isinstance(docstring.value, ast.Constant)
    assert all(isinstance(node, ast.ImportFrom) for node in imports)
    names = {alias.name for node in imports for alias in node.names}
    assert names == set(ExecutorPluginRegistry().expected_attributes())
    assert isinstance(exported, ast.Assign) and ast.unparse(exported.targets[0]) == "__all__"
    assert set(ast.literal_eval(exported.value)) == names
