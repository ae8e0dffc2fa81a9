"""Scoring through all stages: known scorers, planted latents, and every guard around delphi."""

import asyncio
import json
from functools import partial

import numpy as np
import pytest
from scipy.stats import binom

from latent_ledger.evaluations.autointerp import (
    collect,
    delphi_io,
    embed,
    protocol,
    score,
    strict_client,
)
from latent_ledger.evaluations.autointerp.explain import UNANSWERED, UNPARSED
from latent_ledger.lib.errors import LedgerError
from latent_ledger.scorers.client import Response, Unanswered
from latent_ledger.scorers.vllm import server as vllm_server
from tests.evaluations.autointerp import planted
from tests.evaluations.autointerp.planted import SETTINGS, PlantedScorer
from tests.scorers import vllm_stand_in
from tests.scorers.endpoint import Endpoint, fault
from tests.scorers.test_vllm import SETTINGS as VLLM
from tests.tiny_models import folder_digest

FOUR = [f"{score}_it" for score in protocol.ASKED]
OPENAI = {
    "backend": "openai",
    "model": "tiny",
    "api_key_env": None,
    "concurrency": 4,
    "retries": 1,
    "timeout": 5.0,
    "temperature": 0.0,
    "max_tokens": 100,
}


# -- scorers whose score is known -----------------------------------------------------------------


@pytest.mark.parametrize(("behaviour", "value"), [("oracle", 1.0), ("inverted", 0.0)])
def test_oracle_scores_one_and_inverted_oracle_scores_zero(run, latents, behaviour, value):
    by, _, facts = run(PlantedScorer(latents, behaviour))
    assert [by[name]["estimate"] for name in FOUR] == [value] * 4
    assert all(by[name]["n"] == len(latents) for name in FOUR)
    assert facts["score"]["unread_prompts"] == 0


def test_coin_scores_a_half(run, latents):
    """Within the middle 99.9% of the binomial that a fair coin gives."""
    by, stages, _ = run(PlantedScorer(latents, "coin"))
    for name, chance in zip(FOUR, (0.5, 0.5, 0.5, 0.2), strict=True):
        asked = name.removesuffix("_it")
        n = sum(row["score"] == asked for row in planted.rows(stages["score"], score.ANSWERS))
        assert n == len(latents) * (20 if asked == "intruder" else 40)
        low, high = binom.ppf([0.0005, 0.9995], n, chance) / n
        assert low <= by[name]["estimate"] <= high, name


def test_lexical_scorer_detects_planted_words_and_not_noise(run):
    """A latent that fires on one word is explained and found; one that fires at random is not."""
    _, stages, facts = run(None, settings={"backend": "lexical"})
    assert facts["score"]["unread_prompts"] == 0
    groups = {}
    for row in planted.rows(stages["collect"], collect.TABLE):
        if row["status"] == "scored":
            groups.setdefault((row["score"], row["latent"] in planted.ON_WORDS), []).append(row)
    for asked in protocol.CLASSIFIED:
        for row in groups[asked, True]:
            assert row["explanation"].strip('"') == planted.WORDS[7 * row["latent"]]
            assert row["value"] == 1.0
        noise = np.mean([row["value"] for row in groups[asked, False]])
        assert abs(noise - 0.5) < 0.1, asked
    assert np.mean([row["value"] for row in groups["intruder", True]]) > 0.9
    assert np.mean([row["value"] for row in groups["intruder", False]]) < 0.5


class Bags:
    """Encodes a text as the words it marks."""

    name = "bags"

    def encode(self, texts):
        return np.stack([self.vector(text) for text in texts])

    @staticmethod
    def vector(text):
        marked = [part.split(">>")[0].split() for part in text.split("<<")[1:]]
        return np.array(
            [1e-3 + sum(word in words for words in marked) for word in planted.WORDS], np.float32
        )

    @staticmethod
    def similarity(a, b):
        a, b = (np.atleast_2d(np.asarray(x)) for x in (a, b))
        return (a / np.linalg.norm(a, axis=1)[:, None]) @ (b / np.linalg.norm(b, axis=1)[:, None]).T


def test_embedding_detects_planted_words_of_the_drawn_latents(made, latents, tmp_path):
    settings = {"latents": 10, "trials": 8, "seed": 0}
    facts = embed.produce(settings, made[0], tmp_path, Bags())
    assert facts == {"encoder": "bags", "latents": 10, "trials": 8}
    status = [row["status"] for row in planted.rows(tmp_path, score.TABLE)]
    assert (status.count("scored"), status.count(embed.NOT_DRAWN)) == (10, 2)
    rows = planted.rows(tmp_path, score.ANSWERS)
    for on_words in (True, False):
        drawn = [row for row in rows if (row["latent"] in planted.ON_WORDS) is on_words]
        likely, label = (
            np.array([row[name] for row in drawn]) for name in ("probability", "label")
        )
        # Share of pairs of a firing and another query in which the firing one is likelier.
        auroc = (likely[label == 1][:, None] > likely[label == 0]).mean()
        assert auroc > 0.99 if on_words else abs(auroc - 0.5) < 0.15


# -- the guards -----------------------------------------------------------------------------------


class Says(PlantedScorer):
    """Answers classifications with a fixed text, all else as the oracle."""

    def __init__(self, latents, text):
        super().__init__(latents)
        self.text = text

    def answer(self, messages):
        known = super().answer(messages)
        return self.text if known.startswith("[") and "]:" not in known else known


def delphis_own(latent, text):
    """What delphi makes of one answer to every prompt."""

    class Client:
        async def generate(self, messages, **_):
            return delphi_io.Response(text)

    scorer = delphi_io.DetectionScorer(Client(), n_examples_shown=5)
    return [output.prediction for output in asyncio.run(scorer(latent.record)).score]


@pytest.mark.parametrize(
    ("text", "delphi_reads", "we_read"),
    [
        ('["0", "0", "0", "0", "0"]', {True}, {0}),
        ("[1, 0, 1, 0]", {None}, {None}),
        ("[1, 0, 1, 0, 2]", {True, False}, {None}),
        ("none of them", {None}, {None}),
    ],
)
def test_loose_answer_is_read_exactly_or_counted(run, latents, text, delphi_reads, we_read):
    latent = latents[0]
    assert set(delphis_own(latent, text)) == delphi_reads
    scored = asyncio.run(
        score.classify(
            latent.explained("latent 0"),
            "detection",
            Says(latents, text),
            {"scorer": {}, "examples_shown": 5, "seed": 0},
        )
    )
    assert {answer.prediction for answer in scored.answers} == we_read
    assert (scored.prompts, scored.unread_prompts) == (8, 0 if we_read == {0} else 8)


def test_unreadable_answers_drop_the_latent_with_the_reason(run, latents):
    client = Says(latents, "maybe")
    with pytest.raises(LedgerError, match="detection by it: none of 15 latents could be scored"):
        run(client, scores=["detection"])
    by, _, facts = run(client, scores=["intruder"])
    assert by["intruder_it"]["estimate"] == 1.0 and facts["score"]["unread_prompts"] == 0


def test_unreadable_intruder_answer_is_no_wrong_guess(latents):
    """delphi answers with a default result that counts as wrong."""

    class Half(PlantedScorer):
        def answer(self, messages):
            known = super().answer(messages)
            return "the first" if known.endswith(("0", "1", "2")) else known

    settings = {"scorer": {}, "examples_shown": 5, "seed": 0}
    scored = asyncio.run(score.find_intruders(latents[0], Half(latents), settings))
    assert 0 < scored.unread_prompts < scored.prompts == 20
    assert all(answer.prediction == answer.label for answer in scored.answers)
    assert len(scored.answers) == 20 - scored.unread_prompts


def test_missing_explanation_is_the_status_and_is_never_scored(run, latents, made):
    """delphi scores the words "Explanation could not be parsed."."""

    class Mute(PlantedScorer):
        def answer(self, messages):
            known = super().answer(messages)
            return "It fires." if known in ("[EXPLANATION]: latent 3", "latent 3") else known

        async def generate(self, messages, **_):
            if super().answer(messages) == "[EXPLANATION]: latent 4":
                raise Unanswered("the prompt was refused")
            return Response(self.answer(messages))

    by, stages, facts = run(Mute(latents))
    assert facts["explain"] == {"scorer": "oracle", "latents": 12, "explained": 10}
    assert [by[name]["n"] for name in FOUR] == [10, 10, 10, 12]
    assert facts["collect"]["statuses"]["detection_it"] == {
        UNANSWERED: 1,
        UNPARSED: 1,
        "fires almost everywhere": 1,
        "never fires": 1,
        "scored": 10,
        "too few windows": 1,
    }
    rows = planted.rows(stages["collect"], collect.TABLE)
    assert len(rows) == 4 * planted.WIDTH, "one row per requested latent and score"
    lost = [row for row in rows if row["latent"] == 3 and row["score"] == "detection"]
    assert lost[0]["explanation"] is None and np.isnan(lost[0]["value"])
    assert not [name for name in by if name.startswith("dropped/")], "those are the sample's own"


def test_log_probabilities_that_delphi_cannot_count_are_left_out_of_the_answer():
    class Token:
        def __init__(self, token):
            self.token, self.top_logprobs, self.logprob = token, (), 0.0

    def asked(tokens):
        class Client:
            async def generate(self, messages, **_):
                return Response("[1,0]", [Token(text) for text in tokens])

        adapter = strict_client.StrictClient(Client(), partial(strict_client.labels, n=2), 2)
        return asyncio.run(adapter.generate([]))

    assert len(asked(["[", "1", ",", "0", "]"]).logprobs) == 5
    assert asked(["[1", ",", " 0", "] 10"]).logprobs is None
    assert asked(["[1", ",", " 0", "] 10"]).text == "[1,0]"


class ByPlace(PlantedScorer):
    """Looks only at where the marks are: token 12 of 16, which delphi marks in every negative."""

    def answer(self, messages):
        known = super().answer(messages)
        if "]:" in known:
            return known
        return str([int(not self.marks_twelfth(text)) for text in planted.shown(messages)])

    @staticmethod
    def marks_twelfth(text):
        place = 0
        for part in text.replace("<bos>", " x").replace("<eos>", " x").split("<<")[1:]:
            before = text[: text.index("<<" + part)].replace("<<", "").replace(">>", "")
            words = before.replace("<bos>", " x").replace("<eos>", " x").split()
            inside = part.split(">>")[0].split()
            place = range(len(words), len(words) + len(inside))
            if 12 in place:
                return True
        return False


def test_mark_positions_separate_delphis_negatives_but_not_matched_ones(run, latents):
    by, _, _ = run(ByPlace(latents), scores=["fuzzing", "fuzzing_matched"])
    assert by["fuzzing_it"]["estimate"] > 0.9
    assert by["fuzzing_matched_it"]["estimate"] == pytest.approx(0.5, abs=0.02)


def test_examples_that_do_not_fill_a_prompt_are_refused(latents):
    settings = {"scorer": {}, "examples_shown": 7, "seed": 0}
    with pytest.raises(LedgerError, match="7 examples per prompt do not divide 40"):
        asyncio.run(score.classify(latents[0], "detection", PlantedScorer(latents), settings))


def test_a_latents_prompts_do_not_depend_on_the_others(latents):
    """One random state for all of them would make the order of latents part of a score."""

    def prompts(order):
        seen = {}

        class Listening(PlantedScorer):
            def answer(self, messages):
                known = super().answer(messages)
                seen.setdefault(current[0], []).append(messages[-1]["content"])
                return known

        current = [None]
        for latent in order:
            current[0] = latent.latent
            settings = {"scorer": {}, "examples_shown": 5, "seed": 0}
            explained = latent.explained(f"latent {latent.latent}")
            asyncio.run(score.classify(explained, "detection", Listening(latents), settings))
        return seen

    forward, backward = prompts(latents[:3]), prompts(latents[2::-1])
    assert forward == backward

    shared = delphi_io.DetectionScorer(None, n_examples_shown=5)
    orders = [list(range(40)), list(range(40))]
    for order in orders:
        shared.rng.shuffle(order)
    assert orders[0] != orders[1], "delphi again shuffles alike: the guard can go"


def test_a_coder_none_of_whose_latents_has_examples_fails_in_one_line(folders, tmp_path):
    from latent_ledger.evaluations.autointerp import examples, explain

    stages = {name: tmp_path / name for name in ("examples", "it", "scores", "out")}
    for folder in stages.values():
        folder.mkdir()
    drawn, explained, scores, out = stages.values()
    examples.produce({**SETTINGS, "min_examples": 10**6}, **folders, out=drawn)
    explain.produce({"scorer": {"backend": "lexical"}}, drawn, explained)
    asked = {
        "scorer": {"backend": "lexical"},
        "scores": protocol.ASKED,
        "examples_shown": 5,
        "seed": 0,
    }
    assert score.produce(asked, drawn, explained, scores)["prompts"] == 0
    with pytest.raises(LedgerError, match="None of 15 latents has examples .1 never fires, 14"):
        collect.produce(
            {"scorer_or_encoder": "it", "resamples": 100, "seed": 0, "reference_frequency": 0.01},
            *(drawn, out),
            explanations=explained,
            scores=scores,
        )


def test_both_jobs_serve_the_model_and_keep_the_servers_log(run, tmp_path, monkeypatch):
    monkeypatch.setenv(vllm_server.EXECUTABLE, str(vllm_stand_in.install(tmp_path)))
    monkeypatch.setenv("STAND_IN", json.dumps({"notes": str(tmp_path), "says": ["hello"]}))
    log = tmp_path / "server.log"
    with pytest.raises(LedgerError, match="detection by it: none of 15 latents could be scored"):
        run(None, settings=VLLM, scores=["detection", "intruder"], log=log)
    assert "hello" in log.read_text()
    starts = (tmp_path / "argv").read_text().splitlines()
    assert len(starts) == 2, "the stand-in explains nothing, and guesses at intruders"


# -- again and again ------------------------------------------------------------------------------


def test_equal_answers_give_equal_bytes(run, latents):
    client = PlantedScorer(latents, "coin")
    _, stages, _ = run(client)
    first = {name: folder_digest(folder) for name, folder in stages.items()}
    _, stages, _ = run(client)
    assert {name: folder_digest(folder) for name, folder in stages.items()} == first


def test_an_interrupted_run_resumes_from_its_answers(run, latents, tmp_path):
    """Every prompt is paid for once, whatever happens in between."""
    scores = ["detection"]
    scorer, limit = PlantedScorer(latents), [40]

    def reply(prompt, attempt):
        if sum(endpoint.asked.values()) > limit[0]:
            return fault(401, "no credit")
        text = scorer.answer(endpoint.bodies[-1]["messages"])
        choice = {"index": 0, "message": {"role": "assistant", "content": text}}
        return 200, {}, json.dumps({"choices": [choice]}).encode()

    with Endpoint(reply) as endpoint:
        settings = {**OPENAI, "base_url": endpoint.url, "concurrency": 1}
        cache = tmp_path / "answers"
        with pytest.raises(LedgerError, match="refuses access"):
            run(None, settings=settings, cache=cache, scores=scores)
        kept = len(list(cache.rglob("*.json")))
        assert kept == 40
        limit[0], before = 10**9, sum(endpoint.asked.values())
        by, stages, facts = run(None, settings=settings, cache=cache, scores=scores)
        assert len(list(cache.rglob("*.json"))) == len(latents) + facts["score"]["prompts"]
        assert sum(endpoint.asked.values()) - before == len(latents) * (1 + 8) - kept
        assert by["detection_it"]["estimate"] == 1.0
        done = {name: folder_digest(folder) for name, folder in stages.items()}
        before = sum(endpoint.asked.values())
        _, stages, _ = run(None, settings=settings, cache=cache, scores=scores)
        assert sum(endpoint.asked.values()) == before, "a rerun asks nothing"
        assert {name: folder_digest(folder) for name, folder in stages.items()} == done
