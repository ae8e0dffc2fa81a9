"""Container paths as local paths.

A container has `/vol`, `/root` and `/tmp` of its own; a local subprocess has not, and mounting
needs rights a test machine may lack. So the server rewrites: wherever a mapped path stands as a
whole path or as the beginning of one, in an argument or in the value of an environment variable,
the local folder takes its place. What is hidden from it (base64, a file read later) stays as it is.
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
        """`text` with every mapped path replaced, in one pass (results are not looked at again)."""
        return self._pattern.sub(lambda found: str(self.pairs[found[1]]), text)
