"""Answers kept by content: a question with a kept answer is never asked again.

::

    key = sha256(canonical JSON of {settings that matter, messages, kwargs})
    folder/<first two digits>/<key>.json       one small file per answer

A file is written aside and renamed, so that jobs may share a folder, and an interrupted run resumes
with what it already paid for. It is not flushed to the disk, which would hold up every other answer
for some 20 ms: a file that is no answer is named in one line and asked for again.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latent_ledger.lib.files import digest_json, full_disk_in_one_line


class Answers:
    """A folder of answers; several processes may read and write it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    @staticmethod
    def key(settings: Mapping[str, Any], messages: Any, kwargs: Mapping[str, Any]) -> str:
        """The name of a question: equal questions to equal scorers have equal keys."""
        return digest_json({"settings": settings, "messages": messages, "kwargs": kwargs})

    def path(self, key: str) -> Path:
        """Where the answer to `key` lies."""
        return self.folder / key[:2] / f"{key}.json"

    def get(self, key: str) -> dict[str, Any] | None:
        """The answer to `key`, or None if there is none, or none that can be read."""
        path = self.path(key)
        try:
            record = json.loads(path.read_bytes())
            if record["key"] != key or not isinstance(record["answer"], dict):
                raise ValueError("it answers another question")
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            print(f"{path} is no answer ({error!r}): it is asked for again.", file=sys.stderr)
            return None
        return record["answer"]

    def put(self, key: str, answer: Mapping[str, Any]) -> None:
        """Keep the answer to `key`; the last one to write wins.

        Numbers are kept in full: a log probability read back equals the one that was answered.
        """
        record = {"key": key, "answer": dict(answer)}
        content = json.dumps(record, ensure_ascii=False, sort_keys=True) + "\n"
        path = self.path(key)
        with full_disk_in_one_line(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{key}.") as folder:
                aside = Path(folder, path.name)
                aside.write_bytes(content.encode())
                aside.replace(path)
