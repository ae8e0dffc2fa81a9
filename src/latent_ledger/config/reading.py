"""Strict reader of YAML, and the overlay of one configuration on another.

PyYAML keeps the last of two equal keys in silence, so a value could be changed in one place and
overruled in another. Here a repeated key is an error that names both lines.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from latent_ledger.lib.errors import LedgerError


class StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader (the C one where it was built), refusing repeated keys."""


def _mapping(loader: StrictLoader, node: yaml.MappingNode) -> dict:
    lines: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
            continue
        line = key.start_mark.line + 1
        if (key.tag, key.value) in lines:
            first = lines[key.tag, key.value]
            raise LedgerError(
                f"line {line}: the key {key.value!r} is already on line {first}; keep one of them"
            )
        lines[key.tag, key.value] = line
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


StrictLoader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML file that holds a mapping.

    Raises :class:`LedgerError`, naming file and line, for a missing file, broken YAML, a repeated
    key, or anything but a mapping.
    """
    path = Path(path)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=StrictLoader)  # noqa: S506
    except FileNotFoundError:
        raise LedgerError(f"{path} does not exist: name an existing configuration file.") from None
    except OSError as error:
        raise LedgerError(f"{path} cannot be read ({error.strerror}): is it a file?") from None
    except UnicodeDecodeError:
        raise LedgerError(f"{path} is not UTF-8 text: save it as UTF-8.") from None
    except LedgerError as error:
        raise LedgerError(f"{path}, {error}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        what = " ".join(str(getattr(error, "problem", None) or error).split())
        raise LedgerError(f"{path}{where}: not valid YAML: {what}.") from None
    if not isinstance(content, dict):
        raise LedgerError(f"{path} holds no keys: it must be a YAML mapping.")
    return content


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `overlay` over `base`: mappings are merged key by key, everything else is replaced."""
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = merge(below, value)
        merged[key] = value
    return merged
