"""Container paths as local paths.

A container has a private `/vol`, `/root` and `/tmp`; a local subprocess has not, and mounting needs
rights that a test machine may lack. So the server rewrites paths: wherever a mapped path or one
below it stands in an argument or in the value of an environment variable, the local folder takes
its place. Paths in other places (base64, a file read later) stay as they are.
"""

from __future__ import annotations

import re
from pathlib import Path


class PathMap:
    """Rewrites container paths to local ones; longer paths win over their parents."""

    def __init__(self, pairs: dict[str, Path]) -> None:
        self.pairs = {inside.rstrip("/"): outside for inside, outside in pairs.items()}
        longest_first = sorted(self.pairs, key=len, reverse=True)
        whole = "|".join(re.escape(inside) for inside in longest_first)
        self._pattern = re.compile(rf"(?<![\w.\-/])({whole})(?![\w.\-])")

    def rewrite(self, text: str) -> str:
        """`text` with every mapped path replaced, in one pass: results are not rewritten again."""
        return self._pattern.sub(lambda match: str(self.pairs[match[1]]), text)
