"""The client of OpenAI-compatible endpoints, against a stand-in that misbehaves on demand."""

import asyncio
import hashlib
import socket
import time
from email.utils import format_datetime

import pytest

from latent_ledger.lib.errors import LedgerError
from latent_ledger.scorers import opening
from latent_ledger.scorers.client import Unanswered
from latent_ledger.scorers.openai import client as openai
from tests.scorers.endpoint import Endpoint, completion, fault

PROMPTS = [f"Is it {number}?" for number in range(60)]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(openai, "FIRST_WAIT", 0.005)


def settings(endpoint, **changes):
    url = endpoint if isinstance(endpoint, str) else endpoint.url
    return {
        "backend": "openai",
        "base_url": url,
        "model": "tiny",
        "api_key_env": None,
        "concurrency": 16,
        "retries": 6,
        "timeout": 20.0,
        "temperature": 0.0,
        "max_tokens": 100,
        **changes,
    }


def ask(given, prompts, cache=None, **kwargs):
    """All prompts in flight at once: the client, and an answer or an exception per prompt."""

    async def main():
        async with opening.open_client(given, cache) as client:
            calls = [client.generate(prompt, **kwargs) for prompt in prompts]
            return client, await asyncio.gather(*calls, return_exceptions=True)

    return asyncio.run(main())


def expected(prompt):
    return hashlib.sha256(prompt.encode()).hexdigest()[:8]


def coin(prompt, attempt):
    """A fair coin that does not depend on the order of arrival."""
    return hashlib.sha256(f"{prompt}{attempt}".encode()).digest()[0] < 128


FAULTS = {
    "500": fault(500),
    "503": fault(503, "overloaded"),
    "429": fault(429, "slow down"),
    "429 with a number": fault(429, Retry_After="0.01"),
    "no JSON": (200, {}, b"<html>proxy"),
    "half a JSON": (200, {}, b'{"choices": [{"mess'),
    "no choices": (200, {}, b'{"choices": []}'),
    "no object": (200, {}, b'"fine"'),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_all_answers_arrive_although_half_of_the_requests_fail(kind):
    injected = FAULTS[kind]
    with Endpoint(lambda prompt, attempt: injected if coin(prompt, attempt) else None) as endpoint:
        client, responses = ask(settings(endpoint, retries=12), PROMPTS)
    assert [response.text for response in responses] == [expected(prompt) for prompt in PROMPTS]
    assert client.counts.calls == 60 and client.counts.failures == 0
    assert client.counts.requests == sum(endpoint.asked.values()) > 80


def test_all_answers_arrive_although_requests_time_out():
    def slow(prompt, attempt):
        if attempt == 0 and prompt in PROMPTS[:4]:
            time.sleep(0.6)

    with Endpoint(slow) as endpoint:
        client, responses = ask(settings(endpoint, timeout=0.3), PROMPTS)
    assert [response.text for response in responses] == [expected(prompt) for prompt in PROMPTS]
    assert client.counts.failures == 0 and client.counts.requests >= 64


def test_a_prompt_that_stays_unanswered_is_one_counted_error_and_no_other_is_lost():
    def never(prompt, attempt):
        return fault(500, "out of luck") if prompt == PROMPTS[3] else None

    with Endpoint(never) as endpoint:
        client, responses = ask(settings(endpoint, retries=2), PROMPTS)
    assert endpoint.asked[PROMPTS[3]] == 3
    lost = responses.pop(3)
    assert isinstance(lost, Unanswered)
    assert str(lost) == ("openai:tiny left a prompt unanswered after 3 attempts: 500: out of luck.")
    assert all(response.text for response in responses)
    assert (client.counts.failures, client.broken) == (1, None)


def test_a_prompt_the_server_refuses_is_not_asked_again():
    def refuse(prompt, attempt):
        return fault(400, "maximum context length is 5120") if prompt == PROMPTS[0] else None

    with Endpoint(refuse) as endpoint:
        client, (lost, kept) = ask(settings(endpoint), PROMPTS[:2])
    assert isinstance(lost, Unanswered) and "maximum context length is 5120" in str(lost)
    assert kept.text and endpoint.asked[PROMPTS[0]] == 1 and client.counts.failures == 1


def test_waits_double_and_a_longer_retry_after_is_honoured(monkeypatch):
    waits = []
    sleep = asyncio.sleep

    async def record(seconds):
        waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr(openai.asyncio, "sleep", record)
    later = format_datetime(openai.parsedate_to_datetime("Wed, 21 Oct 2065 07:28:00 GMT"))
    asked = {2: fault(429, Retry_After="7"), 3: fault(503, Retry_After=later)}
    with Endpoint(lambda prompt, attempt: asked.get(attempt, fault(500))) as endpoint:
        ask(settings(endpoint, retries=5), PROMPTS[:1])
    assert waits == [0.005, 0.01, 7.0, openai.LONGEST_RETRY_AFTER, 0.08]


def test_no_more_than_the_slots_are_in_flight():
    with Endpoint() as endpoint:
        endpoint.delay = 0.02
        ask(settings(endpoint, concurrency=3), PROMPTS[:20])
    assert endpoint.most == 3


def test_a_rerun_asks_nothing_and_an_interrupted_run_resumes(tmp_path):
    def off(prompt, attempt):
        return fault(500) if prompt in PROMPTS[40:] else None

    with Endpoint(off) as endpoint:
        client, _ = ask(settings(endpoint, retries=0), PROMPTS, tmp_path)
        assert (client.counts.requests, client.counts.failures) == (60, 20)
        endpoint.faults = lambda prompt, attempt: None
        endpoint.asked.clear()
        client, responses = ask(
            settings(endpoint, concurrency=2), PROMPTS, tmp_path, logprobs=False
        )
        assert client.counts.hits == 0  # other options, other questions
        client, responses = ask(settings(endpoint, concurrency=2), PROMPTS, tmp_path)
        assert (client.counts.requests, client.counts.hits) == (20, 40)
        again, repeated = ask(settings(endpoint, timeout=9.0), PROMPTS, tmp_path)
    assert (again.counts.requests, again.counts.hits, again.counts.calls) == (0, 60, 60)
    assert repeated == responses and responses[5].text == expected(PROMPTS[5])


def test_equal_prompts_in_flight_are_asked_once(tmp_path):
    with Endpoint() as endpoint:
        client, responses = ask(settings(endpoint), [PROMPTS[0]] * 10, tmp_path)
    assert {response.text for response in responses} == {expected(PROMPTS[0])}
    assert (endpoint.asked[PROMPTS[0]], client.counts.hits) == (1, 9)


def test_logprobs_and_options_pass_through_and_survive_the_cache(tmp_path):
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": PROMPTS[0]}]
    with Endpoint() as endpoint:
        for _ in range(2):
            _, (response,) = ask(
                settings(endpoint), [turns], tmp_path, logprobs=True, top_logprobs=5, schema=None
            )
            (token,) = response.logprobs
            assert (token.token, token.logprob) == ("1", -0.25)
            assert [(top.token, top.logprob) for top in token.top_logprobs] == [("1", 0), ("0", -1)]
        (body,) = endpoint.bodies
    assert body == {
        "model": "tiny",
        "messages": turns,
        "temperature": 0.0,
        "max_tokens": 100,
        "logprobs": True,
        "top_logprobs": 5,
    }


def test_an_answer_without_text_is_an_empty_answer():
    choice = completion({"messages": [{"content": ""}]})["choices"][0]
    choice["message"]["content"] = None
    assert openai._answer(choice) == {"text": "", "logprobs": None}


def test_the_key_comes_from_the_environment_and_only_from_there(monkeypatch):
    monkeypatch.setenv("SCORER_KEY", "sesame")
    with Endpoint(key="sesame") as endpoint:
        _, (response,) = ask(settings(endpoint, api_key_env="SCORER_KEY"), PROMPTS[:1])
        assert response.text == expected(PROMPTS[0])
        monkeypatch.delenv("SCORER_KEY")
        with pytest.raises(LedgerError, match="variable SCORER_KEY is not set: put the key of"):
            ask(settings(endpoint, api_key_env="SCORER_KEY"), PROMPTS[:1])


def broken(given, prompts=PROMPTS[:5]):
    """The line of a client that cannot answer anything, which every prompt gets."""
    client, responses = ask(given, prompts)
    assert all(isinstance(error, LedgerError) for error in responses)
    assert {str(error) for error in responses} == {str(client.broken)}
    assert client.counts.failures == len(prompts)
    line = str(client.broken)
    assert "\n" not in line
    return line


def test_a_refused_key_breaks_the_client_in_one_line(monkeypatch):
    monkeypatch.setenv("SCORER_KEY", "simsalabim")
    with Endpoint(key="sesame") as endpoint:
        line = broken(settings(endpoint, api_key_env="SCORER_KEY"))
        assert "401: Incorrect API key" in line and "environment variable SCORER_KEY" in line
        assert "simsalabim" not in line
        assert "api_key_env" in broken(settings(endpoint))


def test_an_unknown_model_breaks_the_client_and_names_those_there_are():
    with Endpoint() as endpoint:
        line = broken(settings(endpoint, model="huge"))
    assert "no model 'huge'" in line and "it has tiny: correct model or base_url" in line


def test_address_without_a_server_breaks_the_client_in_one_line():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    line = broken(settings(url, retries=1))
    assert line.startswith(f"No server answers at {url}") and "start the endpoint" in line


def test_text_that_is_no_address_breaks_the_client_in_one_line():
    assert "base_url starts with http://" in broken(settings("localhost:8000/v1"))


def test_spent_credit_breaks_the_client():
    quota = (429, {}, b'{"error": {"message": "You exceeded", "code": "insufficient_quota"}}')
    with Endpoint(lambda prompt, attempt: quota) as endpoint:
        assert "asks for credit" in broken(settings(endpoint), PROMPTS[:1])
        assert sum(endpoint.asked.values()) == 1


def test_a_broken_client_asks_no_more():
    with Endpoint() as endpoint:
        broken(settings(endpoint, model="huge", concurrency=1), PROMPTS)
        assert sum(endpoint.asked.values()) == 1


def test_unknown_backend_is_one_line_with_the_known_ones():
    with pytest.raises(LedgerError, match="'oracle' is not known; known: lexical, openai"):
        opening.open_client({"backend": "oracle"})
