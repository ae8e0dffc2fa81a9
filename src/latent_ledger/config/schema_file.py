"""Closed schema: problems of a configuration, and its completion by defaults.

    raw configuration --problems()--> one line per problem
                      --complete()--> the same with defaults filled and numbers in one form

For a key that does not exist the problem names the nearest one that does, first among those that
the mapping does not have yet, because a misspelt key is usually the missing one.
"""

import math
import operator
from collections.abc import Iterator, Mapping
from functools import cache, reduce
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from latent_ledger.coders.formats import registry as formats
from latent_ledger.coders.training.architectures.registry import ARCHITECTURES
from latent_ledger.config.problems import Problem, Where, dotted
from latent_ledger.config.reading import read_yaml
from latent_ledger.config.renamed import RENAMED
from latent_ledger.config.sources import origin_of
from latent_ledger.lib.errors import LedgerError
from latent_ledger.lib.suggestions import comma_list, nearest, show

FOLDER = Path(__file__).parent
"""Folder of ``schema.yaml`` and of the blocks that have separate files."""
EVALUATIONS, SCORERS = FOLDER.parent / "evaluations", FOLDER.parent / "scorers"


@cache
def schema() -> dict[str, Any]:
    """The schema of every experiment, read once, with the blocks that have separate files.

    A ``$ref`` to a file names it from the folder of ``schema.yaml``. The block of an
    evaluation that the file does not place belongs under ``evaluations``, by its folder's name.
    """
    content = read_yaml(FOLDER / "schema.yaml")
    top = content["properties"]
    placed = set()
    for parts in (top, top["comparisons"]["properties"]):
        for name, part in parts.items():
            if "$ref" in part:
                placed.add((FOLDER / part["$ref"]).resolve())
                parts[name] = read_yaml(FOLDER / part["$ref"])
    for file in sorted(EVALUATIONS.glob("*/schema.yaml")):
        if file.resolve() not in placed:
            block = top["evaluations"]["properties"][file.parent.name] = read_yaml(file)
            if "select" not in block.get("properties", {}):
                raise LedgerError(
                    f'{file}: its properties lack `select: {{$ref: "#/$defs/select"}}`.'
                )
    _fill(content)
    return content


ENTRIES = {
    "architectures": tuple(ARCHITECTURES),
    "coder formats": formats.NAMES,
    "scorers": sorted(path.parent.name for path in SCORERS.glob("*/entry.py")),
}
"""Annotation ``x-names`` -> the names of a registry, which are the values a key may have."""


def _fill(part: Any) -> None:
    """Give every key below `part` that names a registry the registry's names as its ``enum``.

    A mapping with ``x-settings`` gets the keys of every ``schema.yaml`` in that room's folders.
    """
    if isinstance(part, dict):
        if "x-names" in part:
            part["enum"] = list(ENTRIES[part["x-names"]])
        if "x-settings" in part:
            for file in sorted((FOLDER.parent / part["x-settings"]).glob("*/schema.yaml")):
                part["properties"] |= read_yaml(file)
        part = list(part.values())
    for below in part if isinstance(part, list) else ():
        _fill(below)


def resolve(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a local ``$ref``; any other part of the schema is returned as it is."""
    if "$ref" not in part:
        return part
    return reduce(operator.getitem, part["$ref"].removeprefix("#/").split("/"), schema())


def plain(value: Any) -> Any:
    """A deep copy in plain dicts and lists, keys as text (Snakemake hands over ordered ones)."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


# --- problems ------------------------------------------------------------------------------------


def problems(config: dict[str, Any]) -> list[Problem]:
    """Everything in `config` that the schema does not allow, one problem each."""
    errors = Draft202012Validator(schema()).iter_errors(config)
    return [problem for error in errors for problem in _explain(error)]


def _explain(error: ValidationError) -> Iterator[Problem]:
    path, value = tuple(error.absolute_path), error.instance
    known = error.schema.get("properties", {})
    if error.validator == "additionalProperties":
        for key in value:
            if key not in known:
                yield Problem((*path, key), _unknown_key(key, value, known))
    elif error.validator == "required":
        misspelt = {_intended(key, value, known) for key in value if key not in known}
        # jsonschema raises one error per missing key; each is known by its message
        key = next(key for key in error.validator_value if error.message.startswith(repr(key)))
        if key not in misspelt:
            example = resolve(known[key]).get("examples", [None])[0]
            hint = f", for example {show(example)}" if example is not None else ""
            yield Problem((*path, key), f"missing; this key is required{hint}")
    elif "propertyNames" in error.absolute_schema_path:
        yield Problem((*path, value), _PATTERN)
    else:
        yield Problem(path, _sentence(error))


def _intended(key: str, mapping: Mapping[str, Any], known: Mapping[str, Any]) -> str | None:
    absent = [name for name in known if name not in mapping]
    return nearest(key, absent, cutoff=0.5) or nearest(key, known, cutoff=0.5)


def _unknown_key(key: str, mapping: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    for names in RENAMED.values():
        if names.get(key) in mapping and names[key] in known:
            return f"the old name of {names[key]}, which stands beside it; remove one of them"
    near = _intended(key, mapping, known)
    hint = f'did you mean "{near}"?' if near else f"known: {comma_list(known)}"
    return f"unknown key; {hint}"


_PATTERN = "a name is made of small letters, digits and dashes, and does not start with a dash"

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}


def _sentence(error: ValidationError) -> str:
    value, limit = error.instance, error.validator_value
    if error.validator == "type":
        return _wrong_type(value, [limit] if isinstance(limit, str) else limit)
    if error.validator == "enum":
        near = nearest(value, limit) if isinstance(value, str) else None
        hint = f'; did you mean "{near}"?' if near else ""
        return f"{show(value)} is not one of {comma_list(limit)}{hint}"
    entries = "1 entry" if limit == 1 else f"{limit} entries"
    sentences = {
        "pattern": f"{show(value)}: {_PATTERN}",
        "minimum": f"{show(value)} is below the least value {show(limit)}",
        "maximum": f"{show(value)} is above the greatest value {show(limit)}",
        "exclusiveMinimum": f"{show(value)} must be greater than {show(limit)}",
        "exclusiveMaximum": f"{show(value)} must be less than {show(limit)}",
        "minItems": f"{show(value)} needs at least {entries}",
        "multipleOf": f"{show(value)} is not a multiple of {show(limit)}",
        "maxItems": f"{show(value)} may have at most {entries}",
        "uniqueItems": f"{show(value)} has an entry twice",
        "minLength": "empty text is not allowed",
        "minProperties": "empty; name at least one",
    }
    return sentences.get(error.validator, error.message)


def _wrong_type(value: Any, allowed: list[str]) -> str:
    what = f"{show(value)} is not {' or '.join(_TYPES[name] for name in allowed)}"
    written = _number(value, whole="number" not in allowed) if isinstance(value, str) else None
    fits = written is not None and {"number", "integer"} & set(allowed)
    return f"{what}; write {written} without quotes" if fits else what


def _number(text: str, *, whole: bool) -> str | None:
    """How YAML wants a number that it took for text, such as ``1e-4``; None for other text.

    YAML 1.1, which PyYAML and so Snakemake read, requires a point and a sign: ``1.0e-4``.
    """
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number) or (whole and not number.is_integer()):
        return None
    if whole:
        return str(int(number))
    mantissa, _, exponent = text.lower().partition("e")
    return f"{float(mantissa)}e{int(exponent):+d}" if exponent else text


# --- defaults ------------------------------------------------------------------------------------


def complete(config: dict[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """A copy of `config` with defaults filled, and the keys that do not go with their `source`.

    Whole numbers become ints and other numbers floats, as the schema has them, so that equal
    settings written differently (``1``, ``1.0``) stay equal in every key derived from them. Parts
    the schema does not allow are left as they are.
    """
    misplaced: list[Problem] = []
    return _complete(config, schema(), (), misplaced), misplaced


def _complete(value: Any, part: Mapping[str, Any], path: Where, misplaced: list[Problem]) -> Any:
    part = resolve(part)
    types = part.get("type", ())
    if isinstance(value, Mapping) and types == "object":
        return _complete_mapping(value, part, path, misplaced)
    if isinstance(value, list) and "items" in part:
        return [
            _complete(entry, part["items"], (*path, index), misplaced)
            for index, entry in enumerate(value)
        ]
    if isinstance(value, int | float) and not isinstance(value, bool):
        if types == "integer" and float(value).is_integer():
            return int(value)
        if "number" in types:
            return float(value)
    return value


def _complete_mapping(
    value: Mapping[str, Any], part: Mapping[str, Any], path: Where, misplaced: list[Problem]
) -> dict[str, Any]:
    known, others = part.get("properties", {}), part.get("additionalProperties")
    source = value.get("source", known.get("source", {}).get("default"))
    origin = origin_of(dotted(path), source)
    filled = {}
    for key in dict.fromkeys([*known, *value]):
        below = known.get(key, others)
        if not isinstance(below, Mapping):  # an unknown key: reported elsewhere, kept as it is
            filled[key] = value[key]
            continue
        # A coder's own recipe key points to the common one and, left out, means that one's value.
        overrides = below.get("$ref", "").startswith("#/properties/")
        below = resolve(below)
        if origin and origin.name not in below.get("x-for", [origin.name]):
            if value.get(key) is not None and not below.get("x-ignored"):
                fit = " or ".join(below["x-for"])
                what = f"only goes with the origin {fit}, and this source is {origin.name}"
                misplaced.append(Problem((*path, key), f"{what}; remove it"))
        elif key in value or ("default" in below and not overrides):
            entry = plain(value.get(key, below.get("default")))
            filled[key] = _complete(entry, below, (*path, key), misplaced)
    return filled
