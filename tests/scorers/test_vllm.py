"""The scorer that serves its own model, against a stand-in for the `vllm` executable."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from latent_ledger.lib.errors import LedgerError
from latent_ledger.scorers import opening
from latent_ledger.scorers.client import Response
from latent_ledger.scorers.openai import client as openai
from latent_ledger.scorers.vllm import faults as vllm_faults
from latent_ledger.scorers.vllm import server as vllm_server
from tests.project import PROJECT
from tests.scorers import vllm_stand_in
from tests.scorers.test_openai import PROMPTS, expected

SETTINGS = {
    "backend": "vllm",
    "model": "acme/tiny",
    "revision": "abc123",
    "dtype": "bfloat16",
    "max_model_len": 5120,
    "gpu_memory_utilization": 0.85,
    "arguments": ["--enforce-eager"],
    "startup_timeout": 20.0,
    "concurrency": 8,
    "retries": 4,
    "timeout": 10.0,
    "temperature": 0.0,
    "max_tokens": 100,
}


class Vllm:
    """The installed stand-in: what it should do, and what it noted."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.monkeypatch = folder, monkeypatch
        self.log = folder / "logs" / "server.log"
        monkeypatch.setenv(vllm_server.EXECUTABLE, str(vllm_stand_in.install(folder)))
        self.does()

    def does(self, **asked):
        self.monkeypatch.setenv("STAND_IN", json.dumps({"notes": str(self.folder), **asked}))

    def noted(self, name):
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def starts(self):
        return [json.loads(line) for line in self.noted("argv")]

    def alive(self):
        """Process ids of servers and engines that still run."""
        return [pid for pid in map(int, self.noted("pid")) if running(pid)]

    def ask(self, prompts=PROMPTS[:10], cache=None, **changes):
        async def main():
            async with opening.open_client({**SETTINGS, **changes}, cache, self.log) as client:
                calls = [client.generate(prompt) for prompt in prompts]
                return client, await asyncio.gather(*calls, return_exceptions=True)

        return asyncio.run(main())

    def line(self, **changes):
        """The one line that every prompt gets from a server that does not answer."""
        client, responses = self.ask(**changes)
        assert all(isinstance(error, LedgerError) for error in responses), responses
        assert str(responses[0]) == str(client.broken)
        assert "\n" not in str(client.broken)
        assert self.alive() == []
        return str(client.broken)


def running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(openai, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(vllm_server, "LOOK", 0.05)
    monkeypatch.setattr(vllm_server, "GRACE", 2.0)


@pytest.fixture
def vllm(tmp_path, monkeypatch):
    return Vllm(tmp_path, monkeypatch)


# -- it answers -----------------------------------------------------------------------------------


def test_a_server_is_started_asked_and_ended(vllm, capsys):
    client, responses = vllm.ask()
    assert [response.text for response in responses] == [
        expected(prompt) for prompt in PROMPTS[:10]
    ]
    assert client.name == "vllm:acme/tiny" and client.broken is None
    (argv,) = vllm.starts()
    port = argv[argv.index("--port") + 1]
    assert argv == [
        *("serve", "acme/tiny", "--served-model-name", "acme/tiny", "--revision", "abc123"),
        *("--host", "127.0.0.1", "--port", port, "--max-model-len", "5120"),
        *("--gpu-memory-utilization", "0.85", "--dtype", "bfloat16"),
        *("--generation-config", "vllm", "--disable-uvicorn-access-log", "--enforce-eager"),
    ]
    assert len(vllm.noted("pid")) == 2 and vllm.alive() == []
    assert "vllm serve acme/tiny: ready after" in capsys.readouterr().err


def test_kept_answers_start_no_server_whatever_the_port_and_the_executable(vllm, tmp_path):
    cache = tmp_path / "answers"
    _, first = vllm.ask(cache=cache)
    vllm.monkeypatch.setenv(vllm_server.EXECUTABLE, "/nowhere/vllm")
    client, again = vllm.ask(cache=cache, concurrency=2, gpu_memory_utilization=0.5)
    assert again == first and client.counts.hits == 10 and len(vllm.starts()) == 1


@pytest.mark.parametrize(
    "change", [{"revision": None}, {"model": "acme/other"}, {"dtype": "float16"}, {"arguments": []}]
)
def test_another_model_gets_questions_of_its_own(vllm, tmp_path, change):
    vllm.ask(PROMPTS[:1], tmp_path / "answers")
    client, _ = vllm.ask(PROMPTS[:1], tmp_path / "answers", **change)
    assert client.counts.hits == 0 and len(vllm.starts()) == 2


def test_a_slow_start_is_told_with_the_servers_last_words(vllm, capsys):
    vllm.monkeypatch.setattr(vllm_server, "SAY", 0.1)
    vllm.does(load=0.6, says=["Loading safetensors checkpoint shards: 50%"])
    vllm.ask(PROMPTS[:1])
    assert "s: Loading safetensors checkpoint shards: 50%" in capsys.readouterr().err


def test_a_taken_port_is_left_for_another(vllm):
    vllm.does(ports=2)
    _, responses = vllm.ask(PROMPTS[:1])
    assert responses[0].text == expected(PROMPTS[0])
    ports = [argv[argv.index("--port") + 1] for argv in vllm.starts()]
    assert len({*ports}) == 3 and vllm.alive() == []


# -- it does not ----------------------------------------------------------------------------------


def test_ports_that_are_all_taken_are_one_line(vllm):
    vllm.does(ports=9)
    assert vllm.line() == "vllm serve acme/tiny found 3 ports taken, one after the other."
    assert len(vllm.starts()) == 3


FAULTS = {
    "request_memory": (
        "(EngineCore pid=91) ERROR 11-25 10:04:09 [core.py:1101] ValueError: Free memory on device "
        "cuda:0 (16.05/22.03 GiB) on startup is less than desired GPU memory utilization (0.9, "
        "19.83 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes.",
        "the GPU has 16.05 of 22.03 GiB free, and gpu_memory_utilization 0.9 asks for 19.83 GiB",
    ),
    "cuda": (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.02 GiB. GPU 0 has",
        "the GPU is out of memory: lower gpu_memory_utilization or max_model_len",
    ),
    "no cache": (
        "ValueError: No available memory for the cache blocks. Try increasing",
        "the model's weights leave no memory for its cache",
    ),
    "small cache": (
        "ValueError: To serve at least one request with the model's max seq len (5120), (0.27 GiB "
        "KV cache is needed, which is larger than the available KV cache memory (0.11 GiB). Based",
        "one prompt of max_model_len 5120 needs 0.27 GiB of cache and 0.11 GiB are left",
    ),
    "gated": (
        "OSError: You are trying to access a gated repo.\nMake sure to have access to it at "
        "https://huggingface.co/acme/tiny.\n401 Client Error.",
        "accept its licence on its page, and put a token that may read it into HF_TOKEN",
    ),
    "unknown": (
        "OSError: acme/tiny is not a local folder and is not a valid model identifier listed on "
        "'https://huggingface.co/models'\nIf this is a private repository, make sure to pass",
        "the hub has no such model, or shows it only with a token: correct model",
    ),
    "404": (
        "404 Client Error.\n\nRepository Not Found for url: https://huggingface.co/api",
        "no such",
    ),
    "401": ("huggingface_hub.errors.HfHubHTTPError: 401 Client Error.", "HF_TOKEN"),
    "revision": (
        "OSError: abc123 is not a valid git identifier (branch name, tag name or commit id) that",
        "the model has no such revision: correct revision",
    ),
    "offline": (
        "OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't",
        "it cannot reach the hub and has no copy of the model",
    ),
    "no GPU": ("RuntimeError: Failed to infer device type, please set", "it finds no GPU here"),
    "arguments": (
        "vllm: error: unrecognized arguments: --enforce-eagre",
        "it refuses its arguments (unrecognized arguments: --enforce-eagre)",
    ),
    "unheard of": (
        "(EngineCore pid=91) ERROR 11-25 10:04:09 [core.py:1101] KeyError: 'rope'\n"
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core",
        "KeyError: 'rope'",
    ),
    "no error": ("Stopping.", "its last words are 'Stopping.'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failed_start_is_one_line_that_says_what_to_do(vllm, capsys, fault):
    output, cause = FAULTS[fault]
    vllm.does(says=["INFO starting", *output.split("\n")], exit=1)
    line = vllm.line(prompts=PROMPTS[:3])
    assert line.startswith("vllm serve acme/tiny ended (exit code 1): ") and cause in line
    assert line.endswith(f"(log: {vllm.log}).") and output in vllm.log.read_text()
    shown = capsys.readouterr().err
    assert f"  vllm | {output.splitlines()[-1]}" in shown, "its last lines are in the job's log too"
    assert len(vllm.starts()) == 1, "a start that failed is not tried for every prompt"


def test_killed_server_without_a_cause_in_its_log_lacked_memory():
    assert "killed (signal 9)" in vllm_faults.cause("Loading\n", 137)
    assert vllm_faults.cause("", 0) == "its log is empty"


def test_no_executable_is_one_line(vllm):
    vllm.monkeypatch.setenv(vllm_server.EXECUTABLE, "/nowhere/vllm")
    assert "LATENT_LEDGER_VLLM names '/nowhere/vllm', which cannot be run" in vllm.line()
    vllm.monkeypatch.delenv(vllm_server.EXECUTABLE)
    vllm.monkeypatch.setenv("PATH", "/nowhere")
    line = vllm.line()
    assert "`vllm` is not on the PATH and cannot be run: install envs/scorer.lock" in line
    vllm.monkeypatch.setenv("PATH", str(vllm.folder))
    assert vllm_server.executable() == str(vllm.folder / "vllm")


def test_a_server_that_never_answers_is_given_up(vllm):
    vllm.does(hang=True, says=["Capturing CUDA graphs"])
    line = vllm.line(startup_timeout=1.0)
    assert "was not ready after 1 s; its last words are 'Capturing CUDA graphs'" in line
    assert "raise startup_timeout" in line


def test_a_server_of_another_model_is_refused(vllm):
    vllm.does(serves="acme/huge")
    assert "serves acme/huge instead" in vllm.line()


def test_a_server_that_dies_in_mid_run_is_one_line_and_its_answers_are_kept(vllm, tmp_path):
    cache = tmp_path / "answers"
    vllm.does(die_after=6)
    client, responses = vllm.ask(PROMPTS[:20], cache, concurrency=2)
    answers = [response.text for response in responses if isinstance(response, Response)]
    line = str(client.broken)
    assert "ended (exit code 1): the GPU is out of memory" in line and "\n" not in line
    assert line.endswith("Kept answers are not asked for again.")
    assert 1 <= len(answers) <= 6 and len(vllm.starts()) == 1 and vllm.alive() == []
    vllm.does()
    client, responses = vllm.ask(PROMPTS[:20], cache)
    assert [response.text for response in responses] == [
        expected(prompt) for prompt in PROMPTS[:20]
    ]
    assert client.counts.hits == len(answers)


# -- and it never stays ---------------------------------------------------------------------------


def test_a_server_that_ignores_sigterm_is_killed(vllm):
    vllm.does(stubborn=True)
    vllm.ask(PROMPTS[:1])
    assert len(vllm.noted("pid")) == 2 and vllm.alive() == []


def listens_to_ctrl_c() -> None:
    """Undo what a shell does to commands in its background, the tests' own perhaps."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("loading", [True, False])
def test_a_server_does_not_survive_its_job(vllm, end, loading):
    """However the job ends, and whether the server is up yet or not."""
    vllm.does(hang=loading)
    job = subprocess.Popen(
        [sys.executable, "-m", "tests.scorers.test_vllm", str(vllm.log)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=listens_to_ctrl_c,
    )
    wait_for(lambda: len(vllm.noted("pid")) == 2 and (loading or vllm.noted("prompts")))
    assert len(vllm.alive()) == 2
    os.kill(job.pid, end)
    job.communicate(timeout=10)
    wait_for(lambda: vllm.alive() == [])


def wait_for(true, seconds=10.0):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


async def _job(log):
    """A job that has its answer and goes on."""
    async with opening.open_client(SETTINGS, None, log) as client:
        await client.generate(PROMPTS[0])
        await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(_job(Path(sys.argv[1])))
