"""Page docs/configuration.md, made from the schema: a table row per key."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from latent_ledger.config.schema_file import resolve
from latent_ledger.lib.suggestions import show

PAGE = Path("docs/configuration.md")
"""Where the page lies in a checkout, from its top."""

INTRODUCTION = """\
# Configuration

<!-- Made from src/latent_ledger/config/schema.yaml by `latent-ledger docs`; edit the schema. -->

{description}

An experiment is one YAML file, such as `config/tiny.yaml` (a laptop, no network, minutes) or
`config/config.yaml` (Gemma-2-2B); both follow the schema described here.

The schema is closed. A key it does not know, a value of the wrong type, and parts that do not go
together (k above the width, a layer beyond the model, a concept without data) are reported
together, before any job starts:

    The configuration has 2 problems:
      coders.sae-resid.lyaer: unknown key; did you mean "layer"?
      evaluations.probing.concepts[1]: no data for "athelete"; did you mean "athlete"?

`latent-ledger check <file> [<overlay>...]` checks files without running anything.
Overlays are laid over the file key by key; Snakemake's `--configfile` and `--config` do the same.
The word `absent` in the place of a coder, an evaluation, a family, a control or a reference takes
it out:
`evaluations: {{edges: absent}}`. The same overlay takes out what rests on it: families of its
metrics, and references to its rows, one by one or all (`references: absent`).
Write small numbers with a point, `1.0e-4`: YAML takes `1e-4` for text.

Keys without a default are required, unless the table says *optional*.
"""


def describe(schema: Mapping[str, Any]) -> str:
    """The whole page, as Markdown."""
    introduction = INTRODUCTION.format(description=schema["description"])
    lines = [introduction, "## Top level", "", *_keys((), schema)]
    return re.sub("\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _section(path: tuple[str, ...], part: Mapping[str, Any]) -> Iterator[str]:
    """Heading, description and keys of one mapping."""
    heading = f"{'#' * min(len(path) + 1, 4)} `{'.'.join(path)}`"
    yield from ("", heading, "", part["description"], "")
    if "x-for" in part:
        yield from (_only_for(part), "")
    if "propertyNames" in part:  # a mapping from free names to entries of one form
        example = next(iter(part["examples"][0]))
        yield from (f"Names are free (small letters, digits, dashes), such as `{example}`.", "")
        part = {"properties": {"<name>": part["additionalProperties"]}, "required": ["<name>"]}
    yield from _keys(path, part)


def _keys(path: tuple[str, ...], part: Mapping[str, Any]) -> Iterator[str]:
    """Table and metrics of one mapping, then the sections of the mappings inside it."""
    if scalars := [key for key, sub in part["properties"].items() if not _is_mapping(sub)]:
        yield from _table(part, scalars)
    if "x-metrics" in part:
        yield from ("", "Metrics, as named in comparisons:", "")
        for metric, meaning in part["x-metrics"].items():
            name = re.sub(r"\{(\w+)\}", r"<\1>", f"{path[-1]}.{metric}")
            yield f"- `{name}`: {re.sub(r'[{}]', '', meaning)}"
    for name, sub in part["properties"].items():
        if _is_mapping(sub):
            yield from _section((*path, name), resolve(sub))


def _is_mapping(part: Mapping[str, Any]) -> bool:
    return resolve(part).get("type") == "object"


def _table(part: Mapping[str, Any], keys: list[str]) -> Iterator[str]:
    yield from ("| Key | Value | Default | Example | Meaning |", "|---|---|---|---|---|")
    for key in keys:
        sub = part["properties"][key]
        full = resolve(sub)
        default = "" if key in part.get("required", []) else "*optional*"
        if "default" in sub:
            default = f"`{show(sub['default'])}`"
        examples = ", ".join(f"`{show(example)}`" for example in full["examples"])
        meaning = full["description"] + (f" {_only_for(sub)}" if "x-for" in sub else "")
        yield f"| `{key}` | {_values(full)} | {default} | {examples} | {meaning} |"


def _only_for(part: Mapping[str, Any]) -> str:
    origins = " or ".join(part["x-for"])
    other = "set aside" if part.get("x-ignored") else "refused"
    return f"*Only for the origin {origins}; {other} for any other.*"


def _values(part: Mapping[str, Any]) -> str:
    """Type and bounds of a key, as text."""
    if "enum" in part:
        return " &#124; ".join(f"`{value}`" for value in part["enum"])
    if part["type"] == "array":
        return f"list of {_values(part['items'])}"
    types = [part["type"]] if isinstance(part["type"], str) else part["type"]
    names = {"string": "text", "integer": "whole number"}
    text = " or ".join(names.get(name, name) for name in types if name != "null")
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {show(part[word])}" for word, sign in bounds.items() if word in part]
    return f"{text} {', '.join(limits)}".rstrip() + (" or `null`" if "null" in types else "")
