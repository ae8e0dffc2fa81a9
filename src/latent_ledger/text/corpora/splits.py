"""Identity of a text, and its place in [0, 1), by sha256: functions of the text alone."""

import hashlib


def text_digest(text: str) -> str:
    """sha256 of the UTF-8 text: a document's identity."""
    return hashlib.sha256(text.encode()).hexdigest()


def position(digest: str, salt: str) -> float:
    """Where a text falls in [0, 1): uniform, and independent for different salts."""
    salted = hashlib.sha256(f"{salt}:{digest}".encode()).digest()
    return int.from_bytes(salted[:8], "big") / 2**64
