"""Action key: a digest of everything that a result depends on.

    key = sha256(rule, settings, code digest, environment digest, digests of the inputs' content)

The *code digest* covers a script and every project module it reaches by import, read as syntax
trees without docstrings, comments or layout. It is kept per function as well, so that the ledger
names the function that changed between two rows. Modules that only carry bytes or text (the store,
this one, progress lines) are left out: digests check them, and they cannot change a number. Their
imports are followed all the same: the rounding of numbers, which :mod:`latent_ledger.lib.files`
calls, is part of every job's code.

Imports are followed statically, so a registry imports its entries by name. The name may leave whole
steps open, as in ``import_module(f"latent_ledger.coders.formats.{name}.loader")``; every module on
disk that fits is then followed. :func:`code_of` raises for any other computed name.
"""

import ast
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.files import digest_json

PACKAGE = "latent_ledger"
CARRIERS = frozenset(
    [f"{PACKAGE}.artifacts.{name}" for name in ("fork_server", "job", "provenance", "store")]
    + [f"{PACKAGE}.lib.{name}" for name in ("errors", "files", "progress", "suggestions")]
)
"""Modules that move or announce results but never make one."""


@dataclass(frozen=True)
class Code:
    """The code a script reaches: one digest, and one per function (``module:function``)."""

    digest: str
    functions: Mapping[str, str]


@cache
def code_of(script: Path, source: Path) -> Code:
    """Digest the import closure of `script` within the package below `source` (``src/``)."""
    functions: dict[str, str] = {}
    todo, seen = [(Path(script).stem, Path(script))], set()
    while todo:
        name, path = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        digests, imports = _read_module(path, name)
        if name not in CARRIERS:
            functions |= {f"{name}:{definition}": digest for definition, digest in digests.items()}
        for module in _on_disk(imports, source):
            stem = source.joinpath(*module.split("."))
            files = (stem.with_suffix(".py"), stem / "__init__.py")
            todo += [(module, file) for file in files if file.is_file()][:1]
    return Code(digest_json(functions), functions)


@cache
def _read_module(path: Path, name: str) -> tuple[dict[str, str], frozenset[str]]:
    """Digest per top-level definition of a module, and the project modules it imports."""
    try:
        tree = ast.parse(path.read_text(), filename=str(path))
    except SyntaxError as error:
        raise LedgerError(f"{path}:{error.lineno}: {error.msg}; correct the syntax.") from None
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imports = frozenset(_imports(tree, name, package))
    _strip_docstrings(tree)
    definitions: dict[str, list[ast.AST]] = defaultdict(list)
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
            for method in methods:
                definitions[f"{node.name}.{method.name}"].append(method)
            node.body = [n for n in node.body if n not in methods] or [ast.Pass()]
        definitions[getattr(node, "name", "<module>")].append(node)
    digests = {
        definition: hashlib.sha256("\n".join(map(ast.dump, nodes)).encode()).hexdigest()[:16]
        for definition, nodes in definitions.items()
    }
    return digests, imports


def _strip_docstrings(tree: ast.Module) -> None:
    """Remove every string that stands alone as a statement: docstrings, attribute docs."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            code = [statement for statement in body if not _is_text(statement)]
            body[:] = code or ([] if isinstance(node, ast.Module) else [ast.Pass()])


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _imports(tree: ast.Module, module: str, package: str) -> set[str]:
    """Every project module named by an import anywhere in the tree, lazy imports included."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) == "import_module":
            name = _imported_name(node)
            if name is not None:
                names.add(name)
            elif module not in CARRIERS:  # the fork server loads libraries, not the project
                raise LedgerError(
                    f"{module}:{node.lineno}: import_module with a computed name hides code from "
                    "the action key; import the module by name."
                )
    packages = {name.rpartition(".")[0] for name in names if OPEN not in name}
    return {name for name in names | packages if name.split(".")[0] == PACKAGE}


OPEN = "*"
"""Stands for a step of a module's name that is known only when the import runs."""


def _imported_name(call: ast.Call) -> str | None:
    """The name that is imported, with :data:`OPEN` steps; None where it hides more than these."""
    argument = call.args[0] if call.args else None
    parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
    name = ""
    for part in parts:
        if isinstance(part, ast.FormattedValue):
            name += OPEN
        elif isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value:
            name += part.value
        else:
            return None
    steps = name.split(".")
    whole = all(OPEN not in step or step == OPEN for step in steps)
    inside = OPEN not in name or steps[0] == PACKAGE
    return name if whole and inside else None


def _on_disk(modules: Iterable[str], source: Path) -> Iterator[str]:
    """`modules` with every open name replaced by the modules below `source` that fit it."""
    for module in modules:
        if OPEN not in module:
            yield module
            continue
        for file in sorted(source.glob(module.replace(".", "/") + ".py")):
            name = ".".join(file.relative_to(source).with_suffix("").parts)
            yield from (name.rpartition(".")[0], name)


def _called(node: ast.Call) -> str:
    """The last name of what a call calls: ``import_module`` for ``importlib.import_module``."""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


@cache
def environment_digest(lock: Path) -> str:
    """Digest of a lock file's requirements, without its comments and order."""
    lines = (line.split("#")[0].strip() for line in Path(lock).read_text().splitlines())
    return digest_json(sorted(line for line in lines if line))


def lock_of(settings: Mapping[str, Any]) -> str:
    """Name of a job's lock file, below envs/: the common one, or that of a scorer's own torch."""
    return settings.get("environment", "ledger")


@dataclass(frozen=True)
class Project:
    """A checkout: where the rules' scripts, the library and the lock files are."""

    root: Path

    def _code(self, rule: str) -> Code:
        return code_of(self.root / "workflow/scripts" / f"{rule}.py", self.root / "src")

    def code_digest(self, rule: str) -> str:
        """Digest of the code that a rule's script reaches."""
        return self._code(rule).digest

    def functions(self, rule: str) -> Mapping[str, str]:
        """Digest per function that a rule's script reaches."""
        return self._code(rule).functions

    def environment(self, settings: Mapping[str, Any]) -> str:
        """Digest of the environment of a job with these settings."""
        return environment_digest(self.root / "envs" / f"{lock_of(settings)}.lock")


def ingredients(
    rule: str, settings: Mapping[str, Any], code: str, env: str, inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """The ingredients of an action key; the manifest repeats them as ``made_by``."""
    return {
        "rule": rule,
        "settings": dict(settings),
        "code": code,
        "env": env,
        "inputs": dict(inputs),
    }


def named_inputs(items: Any) -> dict[str, str]:
    """Name -> manifest of each input, as Snakemake or the plan has it; of a list ``name/stem``."""
    named: dict[str, str] = {}
    for name, value in items.items():
        if isinstance(value, str):
            named[name] = value
        else:
            named |= {f"{name}/{Path(manifest).stem}": manifest for manifest in value}
    return named


def action_key(made_by: Mapping[str, Any]) -> str:
    """The action key of :func:`ingredients`."""
    return digest_json(made_by)


def changed_settings(before: Any, after: Any, path: str = "") -> list[str]:
    """One phrase per value that differs: ``k: 16 -> 32``."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return [] if before == after else [f"{path}: {before} -> {after}"]
    phrases = []
    for name in sorted({*before, *after}):
        where = f"{path}.{name}" if path else str(name)
        if name not in before:
            phrases.append(f"{where}: set to {after[name]}")
        elif name not in after:
            phrases.append(f"{where}: no longer {before[name]}")
        else:
            phrases += changed_settings(before[name], after[name], where)
    return phrases


def changed_functions(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Names (``module:function``) whose code was edited, added or removed, without the package."""
    return [name.removeprefix(f"{PACKAGE}.") for name in _different(before, after)]


def _different(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def describe_change(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    functions_before: Mapping[str, str],
    functions_after: Mapping[str, str],
) -> str:
    """One line with the changes between two ``made_by`` records.

    For example ``code: statistics.probes:fit_probe; settings: k: 16 -> 32; data: codes``.
    """
    phrases = []
    if before["code"] != after["code"]:
        names = changed_functions(functions_before, functions_after)
        phrases.append("code: " + (", ".join(names) or "an earlier version, not recorded"))
    if settings := changed_settings(before["settings"], after["settings"]):
        phrases.append("settings: " + ", ".join(settings))
    if before["env"] != after["env"]:
        phrases.append("environment: the lock file")
    if data := _different(before["inputs"], after["inputs"]):
        phrases.append("data: " + ", ".join(data))
    return "; ".join(phrases) or "nothing that the key covers"
