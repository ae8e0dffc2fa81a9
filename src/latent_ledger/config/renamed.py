"""Old names of keys, which a configuration may use until version 0.3.

Each use gives a line on standard error with the new name. Where the old and the new name stand
side by side, the meaning is ambiguous, and the old name is an unknown key.
"""

import sys
from collections.abc import Iterator
from typing import Any

from latent_ledger.config.problems import Where, dotted

ANY = "*"
RENAMED: dict[tuple[str, ...], dict[str, str]] = {
    ("coders", ANY): {"kind": "architecture", "reads": "input_hook", "writes": "output_hook"},
    ("evaluations", ANY): {"at": "select"},
    ("evaluations", "autointerp", "scorers", ANY): {"kind": "backend"},
    ("comparisons", "families", ANY): {"at": "select"},
}
"""Place of a mapping -> old name of a key -> its name now."""


def with_new_names(config: dict[str, Any]) -> dict[str, Any]:
    """Rename old keys of a plain configuration in place, with a line each on standard error."""
    for pattern, names in RENAMED.items():
        for path, mapping in places(config, pattern):
            for old, new in names.items():
                if old not in mapping or new in mapping:
                    continue
                # taken out and put back, so that the key keeps its place and problems their order
                for key in list(mapping):
                    mapping[new if key == old else key] = mapping.pop(key)
                where = dotted((*path, old))
                print(f"{where} is now called {new}; the old name ends with 0.3.", file=sys.stderr)
    return config


def places(value: Any, pattern: tuple[str, ...], path: Where = ()) -> Iterator[tuple[Where, dict]]:
    """Every mapping that a pattern of keys names, with its path; :data:`ANY` names every key."""
    if isinstance(value, dict) and pattern:
        for key in list(value) if pattern[0] == ANY else [pattern[0]]:
            yield from places(value.get(key), pattern[1:], (*path, key))
    elif isinstance(value, dict):
        yield path, value
