"""Command line: run a command against a local Modal server, without account, network and GPU.

    python -m local_modal FOLDER [--secret NAME:KEY=VALUE ...] -- COMMAND ...

FOLDER keeps the Volumes and the Sandboxes' files. When the command ends, every Sandbox it started
is printed as a line; the exit code is the command's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from . import LocalModal
from .world import Sandbox


def main(arguments: list[str]) -> int:
    """Parse, serve, run; returns the command's exit code."""
    parser = argparse.ArgumentParser(prog="local_modal", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--secret", action="append", default=[], metavar="NAME:KEY=VALUE")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    with LocalModal(options.folder) as server:
        for text in options.secret:
            name, colon, setting = text.partition(":")
            key, equals, value = setting.partition("=")
            if not (name and colon and key and equals):
                parser.error(f"--secret {text}: expected NAME:KEY=VALUE")
            server.secret(name, **{key: value})
        code = subprocess.run(options.command, env={**os.environ, **server.environment}).returncode
        for sandbox in server.sandboxes:
            print(_line(sandbox), file=sys.stderr)
    return code


def _line(sandbox: Sandbox) -> str:
    seconds = (sandbox.ended or sandbox.created) - (sandbox.started or sandbox.created)
    tags = " ".join(f"{key}={value}" for key, value in sandbox.tags.items())
    ended = sandbox.status if sandbox.result else sandbox.state
    return f"{sandbox.id}  {sandbox.gpu or 'no GPU':8} {seconds:7.1f} s  {ended:8} {tags}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
