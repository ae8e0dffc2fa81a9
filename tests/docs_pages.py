"""Carrying out of the pages ``docs/add-*.md``: their blocks are written into a copy of the project.

A block goes to the file that its own first line names, or else to the first file that the page has
named and that does not exist yet. A ``diff`` changes lines that must be there once. The last block
of YAML is a configuration.
"""

import re
from pathlib import Path

from tests.project import PROJECT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:`|^# )((?:src|rules|workflow)/[\w./-]+\.(?:py|yaml|smk))`?", re.MULTILINE)


def page(name: str) -> str:
    """The text of ``docs/<name>.md``."""
    return (PROJECT / f"docs/{name}.md").read_text(encoding="utf-8")


def carry_out(name: str, root: Path) -> None:
    """Write every block of a page below `root`, and the empty ``__init__`` of a new package."""
    text = page(name)
    for block in BLOCK.finditer(text):
        language, content = block.groups()
        first_line = FILE.match(content)
        named = [match[1] for match in FILE.finditer(text[: block.start()])]
        files = [first_line[1]] if first_line else [n for n in named if not (root / n).exists()]
        if language == "diff":
            path = root / next(file for file in reversed(named) if file.endswith("registry.py"))
            _apply(path, content)
        elif files:
            path = root / files[0]
            if "src" in path.parts and not path.parent.exists():
                path.parent.mkdir()
                (path.parent / "__init__.py").touch()
            path.write_text(content.partition("\n")[2].lstrip("\n") if first_line else content)


def _apply(path: Path, diff: str) -> None:
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if not line.startswith("+"))
    text = path.read_text()
    assert text.count(before) == 1, f"{path} no longer holds these lines once:\n{before}"
    path.write_text(text.replace(before, "".join(line[1:] for line in lines)))


def configuration(name: str) -> str:
    """The YAML of a page that goes into no file: the configuration that it ends with."""
    text = page(name)
    blocks = [content for language, content in BLOCK.findall(text) if language == "yaml"]
    return blocks[-1]
