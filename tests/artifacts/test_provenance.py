"""The action key: what must change it changes it, what must not does not."""

import re
from pathlib import Path

import pytest

from latent_ledger.artifacts import provenance
from latent_ledger.artifacts.provenance import (
    action_key,
    changed_functions,
    code_of,
    describe_change,
    environment_digest,
    ingredients,
)
from latent_ledger.lib.errors import LedgerError
from tests.project import PROJECT

MODULE = '''
"""A module."""
from latent_ledger.helper import scale


def fvu(x):
    """Docstring."""
    # a comment
    return scale(x) + 1


def other(x):
    return x
'''


@pytest.fixture
def project(tmp_path):
    """A little package below src/ and a script that imports it lazily."""
    package = tmp_path / "src" / "latent_ledger"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "evals.py").write_text(MODULE)
    (package / "helper.py").write_text("def scale(x):\n    return 2 * x\n")
    (package / "unrelated.py").write_text("A = 1\n")
    (package / "artifacts").mkdir()
    (package / "artifacts/__init__.py").write_text("")
    (package / "artifacts/store.py").write_text("CARRIER = 1\n")
    script = tmp_path / "workflow" / "scripts" / "evaluate.py"
    script.parent.mkdir(parents=True)
    script.write_text(
        "from latent_ledger.artifacts import store\n"
        "def compute():\n    from latent_ledger import evals\n    return evals.fvu(1)\n"
    )
    return tmp_path


def digest(project: Path) -> provenance.Code:
    code_of.cache_clear()
    provenance._read_module.cache_clear()
    return code_of(project / "workflow/scripts/evaluate.py", project / "src")


def edit(project: Path, module: str, old: str, new: str) -> None:
    path = project / "src" / "latent_ledger" / f"{module}.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_closure_reaches_lazy_and_indirect_imports_but_no_carrier(project):
    modules = {name.partition(":")[0] for name in digest(project).functions}
    assert modules == {"evaluate", "latent_ledger.evals", "latent_ledger.helper"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Docstring."""', '"""Another\n\n    docstring."""'),
        ("# a comment", "# another comment\n\n    # and one more"),
        ("scale(x) + 1", "(scale(x)   +   1)"),
        ('"""A module."""', ""),
    ],
)
def test_comments_docstrings_and_layout_cost_nothing(project, old, new):
    before = digest(project)
    edit(project, "evals", old, new)
    assert digest(project).digest == before.digest


@pytest.mark.parametrize(
    ("module", "old", "new", "name"),
    [("evals", "+ 1", "+ 2", "evals:fvu"), ("helper", "2 * x", "3 * x", "helper:scale")],
)
def test_an_edited_function_is_seen_and_named(project, module, old, new, name):
    before = digest(project)
    edit(project, module, old, new)
    after = digest(project)
    assert before.digest != after.digest
    assert changed_functions(before.functions, after.functions) == [name]


@pytest.mark.parametrize(
    ("module", "old"), [("unrelated", "A = 1"), ("artifacts/store", "CARRIER = 1")]
)
def test_modules_out_of_reach_and_carriers_cost_nothing(project, module, old):
    before = digest(project)
    edit(project, module, old, "B = 2")
    assert digest(project).digest == before.digest


def test_a_computed_import_is_refused(project):
    edit(project, "helper", "2 * x", "import_module(x)")
    with pytest.raises(LedgerError, match=r"helper:2: import_module with a computed name"):
        digest(project)


def test_an_import_with_an_open_step_reaches_every_module_that_fits(project):
    package = project / "src/latent_ledger/shapes"
    for name in ("circle", "square"):
        (package / name).mkdir(parents=True)
        (package / name / "__init__.py").write_text("")
        (package / name / "area.py").write_text(f"def area():\n    return {name!r}\n")
        (package / name / "words.py").write_text("TEXT = ''\n")
    edit(project, "helper", "2 * x", 'import_module(f"latent_ledger.shapes.{x}.area").area()')
    before = digest(project)
    reached = {name.partition(":")[0] for name in before.functions}
    assert {f"latent_ledger.shapes.{name}.area" for name in ("circle", "square")} <= reached
    assert not any("words" in name for name in reached)
    (package / "circle" / "words.py").write_text("TEXT = 'round'\n")
    assert digest(project).digest == before.digest
    (package / "circle" / "area.py").write_text("def area():\n    return 'wrong'\n")
    assert digest(project).digest != before.digest


@pytest.mark.parametrize("name", ["latent_ledger.shapes.a{x}.area", "{x}.area", "{x}"])
def test_an_import_that_hides_more_than_whole_steps_is_refused(project, name):
    edit(project, "helper", "2 * x", f'import_module(f"{name}")')
    with pytest.raises(LedgerError, match="import_module with a computed name"):
        digest(project)


def test_relative_imports_are_followed(project):
    edit(project, "evals", "from latent_ledger.helper import scale", "from .helper import scale")
    assert any(name.startswith("latent_ledger.helper:") for name in digest(project).functions)


def test_a_syntax_error_is_one_line_with_its_place(project):
    edit(project, "helper", "return", "retrun")
    with pytest.raises(LedgerError, match=r"helper\.py:2: .*; correct the syntax"):
        digest(project)


def test_every_ingredient_changes_the_key():
    base = {"rule": "r", "settings": {"k": 1}, "code": "c", "env": "e", "inputs": {"x": "d"}}
    keys = {action_key(ingredients(**base))}
    for name, value in {
        "rule": "s",
        "settings": {"k": 2},
        "code": "d",
        "env": "f",
        "inputs": {"x": "e"},
    }.items():
        keys.add(action_key(ingredients(**{**base, name: value})))
    keys.add(action_key(ingredients(**{**base, "inputs": {"y": "d"}})))
    assert len(keys) == 7


def test_swapping_two_settings_changes_the_key():
    first = ingredients("r", {"a": 1, "b": 2}, "c", "e", {})
    other = ingredients("r", {"a": 2, "b": 1}, "c", "e", {})
    assert action_key(first) != action_key(other)


def test_lock_comments_and_order_cost_nothing(tmp_path):
    first, other, changed = (tmp_path / name for name in "abc")
    first.write_text("x==1\n# why\ny==2\n")
    other.write_text("y==2 # because\n\nx==1\n")
    changed.write_text("x==1\ny==3\n")
    assert environment_digest(first) == environment_digest(other) != environment_digest(changed)


def test_a_change_is_described_in_words():
    before = ingredients("r", {"k": 16, "seed": 0}, "c1", "e", {"codes": "d1", "model": "m"})
    after = ingredients("r", {"k": 32, "seed": 0}, "c2", "e", {"codes": "d2", "model": "m"})
    line = describe_change(before, after, {"m:f": "1", "m:g": "1"}, {"m:f": "2", "m:g": "1"})
    assert line == "code: m:f; settings: k: 16 -> 32; data: codes"


def test_every_script_of_the_project_has_a_digest_and_reaches_its_library():
    root = PROJECT
    scripts = sorted((root / "workflow" / "scripts").glob("*.py"))
    assert len(scripts) >= 11
    for script in scripts:
        reached = code_of(script, root / "src").functions
        named = set(re.findall(r"from latent_ledger(?:\.([\w.]+))? import", script.read_text()))
        assert named, f"{script.name} imports nothing of the library"
        assert any(name.startswith("latent_ledger.") for name in reached), script.name


def test_jobs_depend_on_the_lock_that_their_settings_name(tmp_path):
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs/ledger.lock").write_text("torch==2.13.0\n")
    (tmp_path / "envs/scorer.lock").write_text("vllm==0.33.0\n")
    project = provenance.Project(tmp_path)
    common, served = project.environment({"k": 1}), project.environment(SERVED)
    assert common != served
    assert project.environment({"scorer": {"backend": "openai"}}) == common
    (tmp_path / "envs/scorer.lock").write_text("vllm==0.34.0\n")
    provenance.environment_digest.cache_clear()
    assert project.environment({"k": 1}) == common
    assert project.environment(SERVED) != served


SERVED = {"scorer": {"backend": "vllm"}, "environment": "scorer"}
