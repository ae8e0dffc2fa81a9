"""Answers kept by content."""

import errno
import threading
from pathlib import Path

import pytest

from latent_ledger.lib.errors import LedgerError
from latent_ledger.scorers.cache import Answers

SETTINGS = {"backend": "openai", "model": "m"}
PROMPT = [{"role": "user", "content": "Is it \u2019of\u2019?\n"}]


def test_the_key_is_the_question_and_nothing_else():
    key = Answers.key(SETTINGS, PROMPT, {"temperature": 0.0})
    assert key == Answers.key(dict(reversed(SETTINGS.items())), PROMPT, {"temperature": 0.0})
    assert len(key) == 64
    others = [
        Answers.key({**SETTINGS, "model": "n"}, PROMPT, {"temperature": 0.0}),
        Answers.key(SETTINGS, [{**PROMPT[0], "content": "Is it of?"}], {"temperature": 0.0}),
        Answers.key(SETTINGS, PROMPT, {"temperature": 0.5}),
        Answers.key(SETTINGS, PROMPT, {"temperature": 0.0, "logprobs": True}),
    ]
    assert len({key, *others}) == 5


def test_an_answer_outlives_the_process_in_full(tmp_path):
    answer = {"text": "[1,\n0] \u2713", "logprobs": [{"logprob": -0.12345678901234567}]}
    key = Answers.key(SETTINGS, PROMPT, {})
    assert Answers(tmp_path).get(key) is None
    Answers(tmp_path).put(key, answer)
    assert Answers(tmp_path).get(key) == answer


def test_a_broken_entry_is_named_and_asked_for_again(tmp_path, capsys):
    kept, key = Answers(tmp_path), Answers.key(SETTINGS, PROMPT, {})
    kept.put(key, {"text": "[1]"})
    whole = kept.path(key).read_bytes()
    for broken in (whole[:20], b"", b"[]", b"\xff", whole.replace(key[:8].encode(), b"00000000")):
        kept.path(key).write_bytes(broken)
        assert kept.get(key) is None
        (line,) = capsys.readouterr().err.splitlines()
        assert str(kept.path(key)) in line and "asked for again" in line
    kept.put(key, {"text": "[0]"})
    assert kept.get(key) == {"text": "[0]"}


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    kept, key = Answers(tmp_path), Answers.key(SETTINGS, PROMPT, {})

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(LedgerError, match="is full: free some space"):
        kept.put(key, {"text": "[1]"})
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_writers_at_once_leave_whole_entries_and_nothing_else(tmp_path):
    kept, key = Answers(tmp_path), Answers.key(SETTINGS, PROMPT, {})
    answers = [{"text": str(number) * 2000} for number in range(8)]
    seen = []

    def write(answer):
        for _ in range(5):
            kept.put(key, answer)
            seen.append(kept.get(key))

    threads = [threading.Thread(target=write, args=(answer,)) for answer in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 40 and all(answer in answers for answer in seen)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{key}.json"]
