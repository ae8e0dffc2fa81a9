"""A stand-in for the `vllm` executable, with faults on demand: :func:`install`, then `vllm serve`.

What it does comes as JSON in the environment variable STAND_IN; everything but notes is optional:

    notes      folder into which it writes its arguments, process ids and prompts
    says       lines that it prints at once
    ports      how many first starts find their port taken
    load       seconds until it listens
    exit       exit code with which it ends instead of listening
    hang       never listens
    die_after  prompts after which it runs out of memory
    serves     the name of the model, if it is not the one that was asked for
    stubborn   pays no heed to SIGTERM
    reads      answers as the lexical scorer does, instead of with a digest of the prompt

It starts a process of its own, as vLLM does with its engine.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from latent_ledger.scorers.lexical import client as lexical
from tests.project import PROJECT
from tests.scorers import endpoint

ASKED = json.loads(os.environ.get("STAND_IN", '{"notes": "."}'))
NOTES = Path(ASKED["notes"])


def install(folder: Path) -> Path:
    """Put an executable `vllm` into `folder`; returns its path."""
    path = folder / "vllm"
    places = f"{PROJECT}:{PROJECT / 'src'}"
    path.write_text(f'#!/bin/sh\nPYTHONPATH={places} exec {sys.executable} -m {__name__} "$@"\n')
    path.chmod(0o755)
    return path


def option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


def note(name: str, value: object) -> None:
    with (NOTES / name).open("a") as stream:
        stream.write(f"{value}\n")


def read(body: dict[str, Any]) -> dict[str, Any]:
    """A chat completion by the lexical scorer, without log probabilities."""
    client = lexical.Lexical()
    text = asyncio.run(client.generate(body["messages"])).text
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}


def main() -> None:
    note("argv", json.dumps(sys.argv[1:]))
    note("pid", os.getpid())
    if ASKED.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    engine = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    note("pid", engine.pid)
    for line in ASKED.get("says", ()):
        print(line, flush=True)
    if len((NOTES / "argv").read_text().splitlines()) <= ASKED.get("ports", 0):
        print("OSError: [Errno 98] Address already in use", flush=True)
        os._exit(1)
    time.sleep(ASKED.get("load", 0.0))
    if "exit" in ASKED:
        os._exit(ASKED["exit"])
    if ASKED.get("hang"):
        time.sleep(600)

    def faults(prompt: str, attempt: int):
        note("prompts", prompt)
        if sum(served.asked.values()) > ASKED.get("die_after", 10**9):
            print("(EngineCore pid=7) ERROR 11-25 10:00:00 [core.py:1] ", end="")
            print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate", flush=True)
            os._exit(1)

    model = ASKED.get("serves", option("--served-model-name"))
    answer = read if ASKED.get("reads") else endpoint.completion
    served = endpoint.Endpoint(faults, model=model, port=int(option("--port")), answer=answer)
    served.server.serve_forever(0.05)


if __name__ == "__main__":
    main()
