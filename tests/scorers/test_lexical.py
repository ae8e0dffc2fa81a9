"""The lexical scorer on delphi's own prompts: by hand, and on planted and random latents."""

import asyncio
import json

import numpy as np
import pytest

from latent_ledger.lib.errors import LedgerError
from latent_ledger.scorers import opening
from latent_ledger.scorers.lexical import client as lexical
from latent_ledger.scorers.lexical.patterns import Pattern, Place, parse, places, write
from tests.scorers import delphi_prompts as prompts


def ask(turns):
    async def main():
        async with opening.open_client({"backend": "lexical"}) as client:
            response = await client.generate(turns, temperature=0.0, logprobs=True)
            assert (client.counts.calls, client.broken, client.name) == (1, None, "lexical")
            return response.text

    return asyncio.run(main())


def explained(*texts, **options):
    """The explanation of texts with << >>, through delphi's prompt."""
    examples = []
    for text in texts:
        tokens, values = [], []
        for place in text.replace("<<", "\0<<").replace(">>", "\0").split("\0"):
            tokens.append(place.removeprefix("<<"))
            values.append(7.0 * place.startswith("<<"))
        examples.append((tokens, values))
    text = ask(prompts.explainer(examples, **options))
    assert text.startswith("[EXPLANATION]: ")
    return text.removeprefix("[EXPLANATION]: ")


# -- places and patterns --------------------------------------------------------------------------


def test_a_text_is_cut_into_words_signs_and_highlighted_parts():
    assert places("a wid<<er>>, <<tall er>>\n\nx") == [
        Place("a"),
        Place("wid", "a", open_right=True),
        Place("er", "", open_left=True, marked=True),
        Place(",", "wider"),
        Place("tall", ",", marked=True),
        Place("er", "tall", marked=True),
        Place("\n\n", "er"),
        Place("x", "\n\n"),
    ]
    assert [place.text for place in places("a << b", marks=False)] == ["a", "<", "<", "b"]


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ('"er"', "er", True),
        ('"er"', "wider", False),
        ('"er"', "Er", False),
        ('"-er"', "wider", True),
        ('"-er"', "er", False),
        ('"-er"', "erred", False),
        ('"jour-"', "journal", True),
        ('"jour-"', "jour", False),
        ('"-urn-"', "journal", True),
        ('"-jou-"', "journal", False),
        ('"-"', "-", True),
        ("a number", "1984", True),
        ("a number", "x1984", False),
        ('"b" after "a"', "a b", True),
        ('"b" after "a"', "c b a", False),
        ('any word after "a"', "a b", True),
        ('any word after "a"', "b a", False),
    ],
)
def test_pattern_fits_the_places_it_describes(pattern, text, expected):
    (pattern,) = parse(pattern)
    assert any(pattern.fits(place) for place in places(text)) is expected


def test_part_of_a_word_differs_from_the_whole_word():
    part = Place("er", open_left=True)
    assert Pattern("", "-er").fits(part) and not Pattern("", "er").fits(part)
    assert not Pattern("", "er-").fits(part) and not Pattern("", "-er-").fits(part)


def test_written_patterns_parse_to_equal_patterns():
    patterns = [
        Pattern("", '"'),
        Pattern("\\", "\n\n"),
        Pattern("", "-er"),
        Pattern("in", "the"),
        Pattern(";", "a number"),
        Pattern("after", "any word"),
        Pattern("", "a number"),
        Pattern("", "\u2019"),
    ]
    assert parse(write(patterns)) == patterns
    assert parse(lexical.NONE_FOUND) == []


def test_explanation_in_prose_is_read_by_its_quotations():
    text = 'The word "guys" in the phrase "you guys", or " of" before a "\\quoted" number.'
    assert parse(text) == [
        Pattern("", "guys"),
        Pattern("you", "guys"),
        Pattern("", "of"),
        Pattern("\\", "quoted"),
    ]


# -- explanations by hand -------------------------------------------------------------------------

OF = (
    "a bit<< of>> the sea and",
    "one<< of>> these men had",
    "out<< of>> it came she",
    "kind<< of>> an old way",
    "west<< of>> that town",
)


def test_characteristic_token_is_the_explanation():
    assert explained(*OF) == '"of"'


def test_a_token_found_elsewhere_as_often_is_not_characteristic():
    texts = ("the<< of>> a", "out<< the>> of", "one<< of>> the", "the<< the>> of") * 3
    assert explained(*texts) == lexical.NONE_FOUND


def test_a_token_that_chance_could_have_highlighted_is_not_characteristic():
    assert explained(*OF[:2]) == lexical.NONE_FOUND  # twice of twice, but of 11 places in all


def test_a_token_in_one_example_only_is_no_pattern():
    animals = ("cat", "dog", "cow", "hen", "bee")
    assert explained(*(f"so a<< {animal}>> sat on it" for animal in animals)) == (
        'any word after "a"'
    )
    assert explained(*(f"so<< {animal}>> {animal}{animal} {animal}" for animal in animals)) == (
        'any word after "so"'
    )
    assert explained("one two<< cat>> sat three<< cat>> four cats") == lexical.NONE_FOUND


def test_a_context_is_found_where_the_token_alone_is_common():
    texts = [f"the {noun} in<< the>> {noun} of the north" for noun in ("cat", "dog", "sea", "sun")]
    assert explained(*texts) == '"the" after "in"'


def test_parts_of_words_signs_and_numbers_are_found():
    parts = ("is wid<<er>>.", "get tall<<er>>,", "a small<<er>> one", "be old<<er>>", "new<<er>> x")
    assert explained(*parts) == '"-er"'
    begun = (
        "he was<< un>>kind",
        "so<< un>>fair",
        "is<< un>>likely to",
        "an<< un>>told",
        "I<< un>>do",
    )
    assert explained(*begun) == '"un-"'
    numbers = tuple(
        f"{word}<< {number}>> he had it"
        for word, number in (("in", 1984), ("on", 7), ("by", 31), ("select", 90), ("to", 5))
    )
    assert explained(*numbers) == "a number"
    signs = tuple(
        f'{word}<< ">>{quote} as he was on it'
        for word, quote in (("he", "hid"), ("so", "ran"), ("and", "is"), ("or", "we"), ("up", "I"))
    )
    assert explained(*signs) == '"\\""'


def test_line_breaks_within_tokens_and_texts_do_not_end_an_example():
    turns = prompts.explainer(
        [(["Dear\nsir", "\n", "I am"], [0, 5, 0]), (["Yours", "\n", "Tom\n"], [0, 5, 0])]
    )
    assert lexical.shown(turns[-1]["content"]) == ["Dear\nsir<<\n>>I am", "Yours<<\n>>Tom\n"]
    texts = (
        "Dear sir<<\n>>I am",
        "Yours so<<\n>>Tom",
        "all<<\n>>He is",
        "to Ann<<\n>>Bob",
        "a<<\n>>b",
    )
    assert explained(*texts) == '"\\n"'
    assert ask(prompts.detection('"\\n"', ["a b", "a\nb", "c"])) == "[0,1,0]"


@pytest.mark.parametrize("options", [{"activations": False}, {"cot": True}])
def test_the_other_forms_of_the_prompt_give_the_same_explanation(options):
    assert explained(*OF, **options) == '"of"'


def test_counterexamples_are_left_out():
    turns = prompts.contrastive(OF, ["of of of", "of a", "no of", "of it", "of", "of"])
    assert ask(turns) == '[EXPLANATION]: "of"'


# -- answers by hand ------------------------------------------------------------------------------


def test_detection_answers_by_whether_an_example_holds_a_pattern():
    texts = [" a bit of it", " offer", "Example 9: Of\nmen of", " the office", "out of"]
    assert ask(prompts.detection('"of"', texts)) == "[1,0,1,0,1]"
    assert ask(prompts.detection('"of" after "bit"', texts)) == "[1,0,0,0,0]"
    assert ask(prompts.detection(lexical.NONE_FOUND, texts)) == "[0,0,0,0,0]"
    assert ask(prompts.detection("Explanation could not be parsed.", texts)) == "[0,0,0,0,0]"


def test_fuzzing_answers_by_what_is_highlighted():
    texts = ["a bit<< of>> it", "a<< bit>> of it", "<<one>><< of>> it", "<<on one>> of", "of it"]
    assert ask(prompts.fuzzing('"of"', texts)) == "[1,0,1,0,0]"
    assert ask(prompts.fuzzing('"-er"', ["wid<<er>> of", "<<wider>>", "<<wid>>er"])) == "[1,1,0]"


@pytest.mark.parametrize("cot", [False, True])
def test_the_intruder_is_the_one_whose_highlights_differ(cot):
    texts = ["a<< of>> b", " out<< of>> c", "he<< ran>> of", "d<< of>> e", "f of<< of>> g"]
    assert ask(prompts.intruder(texts, cot=cot)) == "[RESPONSE]: 2"


def test_an_intruder_that_nothing_tells_apart_is_a_fixed_draw():
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(300):
        texts = [f"<<{word}>>" for word in rng.permutation(1000)[:5]]
        drawn.append(int(ask(prompts.intruder(texts)).removeprefix("[RESPONSE]: ")))
        again = [texts[-1], *texts[:-1]]
        assert ask(prompts.intruder(again)) == f"[RESPONSE]: {(drawn[-1] + 1) % 5}"
    assert np.bincount(drawn, minlength=5).min() > 35


def test_prompt_of_another_kind_is_refused_in_one_line():
    with pytest.raises(LedgerError, match="this one is none of them: 'Who are you"):
        ask("Who are\nyou?")


# -- planted and random latents -------------------------------------------------------------------

WORDS = np.array([f"w{number:03d}" for number in range(400)])
ZIPF = 1 / np.arange(1, 401)
ZIPF /= ZIPF.sum()


def scores(fires, seed):
    """Explanation, and balanced accuracy of detection and fuzzing, of a latent on random text.

    `fires(words, rng)` says where [32] it does; negatives of fuzzing highlight as many places.
    """
    rng = np.random.default_rng(seed)
    active, silent = [], []
    while min(len(active), len(silent)) < 60:
        words = rng.choice(WORDS, 32, p=ZIPF)
        mask = fires(words, rng)
        (active if mask.any() else silent).append(([f" {word}" for word in words], mask))
    explanation = ask(prompts.explainer([(tokens, 5.0 * mask) for tokens, mask in active[0:60:2]]))
    explanation = explanation.removeprefix("[EXPLANATION]: ")
    tested = [(example, 1) for example in active[1:60:2]]
    tested += [(example, 0) for example in silent[:30]]
    answers = {"detection": [], "fuzzing": []}
    for start in range(0, len(tested), 5):
        batch = [example for example, _ in tested[start : start + 5]]
        plain = ["".join(tokens) for tokens, _ in batch]
        marked = [
            prompts.highlight(tokens, mask if mask.any() else rng.random(32) < 0.05)
            for tokens, mask in batch
        ]
        answers["detection"] += json.loads(ask(prompts.detection(explanation, plain)))
        answers["fuzzing"] += json.loads(ask(prompts.fuzzing(explanation, marked)))
    labels = np.array([label for _, label in tested])
    return explanation, *(
        (np.array(bits)[labels == 1].mean() + 1 - np.array(bits)[labels == 0].mean()) / 2
        for bits in answers.values()
    )


def on_tokens(*tokens):
    return lambda words, rng: np.isin(words, tokens)


def behind(token):
    return lambda words, rng: np.roll(words == token, 1) & (np.arange(32) > 0)


def anywhere(share):
    return lambda words, rng: rng.random(32) < share


@pytest.mark.parametrize(
    ("fires", "expected"),
    [
        (on_tokens("w009"), '"w009"'),
        (on_tokens("w004", "w019"), '"w004"; "w019"'),
        (behind("w009"), 'any word after "w009"'),
    ],
)
def test_a_planted_latent_is_explained_and_recognised(fires, expected):
    explanation, detection, fuzzing = scores(fires, seed=1)
    assert explanation == expected
    assert detection > 0.95 and fuzzing > 0.95


@pytest.mark.parametrize("share", [0.02, 0.05])
def test_a_latent_that_fires_anywhere_is_not_explained_and_scores_at_chance(share):
    results = [scores(anywhere(share), seed) for seed in range(6)]
    assert sum(explanation == lexical.NONE_FOUND for explanation, _, _ in results) >= 5
    assert abs(np.mean([detection for _, detection, _ in results]) - 0.5) < 0.03
    assert abs(np.mean([fuzzing for _, _, fuzzing in results]) - 0.5) < 0.03
