"""Object ids in the shapes that Modal's client tells apart."""

from __future__ import annotations

import base64
import json
import secrets
import string
import time

LOWER = string.ascii_lowercase + string.digits


def new_id(prefix: str, length: int = 22) -> str:
    """A fresh id such as `ap-3k...`; a Sandbox id of length 22 belongs to the first backend."""
    return f"{prefix}-" + "".join(secrets.choice(LOWER) for _ in range(length))


def sandbox_ids(backend: int) -> tuple[str, str]:
    """Ids of a Sandbox and its task: the client picks the backend by their shape."""
    if backend == 1:
        return new_id("sb", 22), new_id("ta", 22)
    return new_id("sb", 26), new_id("ta", 25) + "V"


def web_token(lifetime: float = 3600.0) -> str:
    """An unsigned JSON web token that expires `lifetime` seconds from now."""

    def part(content: dict) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    return ".".join([part({"alg": "none"}), part({"exp": time.time() + lifetime}), "unsigned"])
