"""Text-writing answers: grammar, inclusion, ROUGE, BLEU and what the two profiles make of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelbench.errors import UsageError
from parallelbench.tasks.base import Profile, Sample, Score
from parallelbench.tasks.scoring import grammar, grammar_harper, grammar_signature, measures, score, set_grammar, words

DIALOGUE = "Zorvan: did you feed the cat?\nMila: no, I ran out the door at six"
SUMMARY = "Zorvan asks Mila whether she fed the cat."
SENTENCE = "The bakery sells out of rye bread before nine."
PARAPHRASE = "By nine, no rye loaf is left at the bakery."
WORDS = ["dog", "park", "ball", "throw"]
IN_WORDS = "In the park, she threw a ball for both dogs."


def summary(text: str, profile: Profile = "native") -> Score:
    facts = {"dialogue": DIALOGUE, "references": ["A cat is hungry.", SUMMARY]}
    return score("summary", Sample("s", 0, (), facts, SUMMARY), text, profile)


def paraphrase(text: str, profile: Profile = "native", sentence: str = SENTENCE) -> Score:
    facts = {"sentence": sentence, "references": [PARAPHRASE]}
    return score("paraphrase", Sample("s", 0, (), facts, PARAPHRASE), text, profile)


def in_words(text: str, profile: Profile = "native", given: list[str] = WORDS) -> Score:
    return score("words", Sample("s", 0, (), {"words": given}, IN_WORDS), text, profile)


RIGHT = [(summary, SUMMARY), (paraphrase, PARAPHRASE), (in_words, IN_WORDS)]


@pytest.fixture
def no_grammar():
    set_grammar("none")
    yield
    set_grammar("harper")


@pytest.mark.parametrize(("judge", "text"), RIGHT)
def test_a_good_answer_is_right_in_both_scores(judge, text):
    got = judge(f" {text}\n")
    assert (got.lenient, got.strict, got.why) == (1.0, 1.0, "")
    assert got.parts["grammar"] == 1.0
    assert got.parts["length_words"] == len(text.split())


@pytest.mark.parametrize(
    "form",
    [
        '"{}"',
        "“{}”",
        "Summary: {}",
        "Here is the answer you asked for: {}",
        "Sure! Here is one:\n\n{}",
        "Sure!\n{}",
        'Answer: "{}"',
        "{}<|endoftext|>",
    ],
)
@pytest.mark.parametrize(("judge", "text"), RIGHT)
def test_what_stands_around_an_answer_costs_only_the_strict_score(judge, text, form):
    got = judge(form.format(text))
    assert (got.lenient, got.strict) == (1.0, 0.0)
    assert got.why == "not asked format: more than the answer on a single line"


@pytest.mark.parametrize("text", ["Sure, the dog ran home.", '"Go!" he said. "Now!"', "The summary is short."])
def test_ordinary_beginnings_are_no_announcement(text):
    assert summary(text).strict == 1.0


@pytest.mark.parametrize("text", ["", " \n", "...", "1234", "the dog runs.", "The dog runs", "The the dog runs."])
@pytest.mark.parametrize("judge", [summary, paraphrase, in_words])
def test_an_empty_or_broken_text_gets_nothing(judge, text):
    got = judge(text)
    assert (got.lenient, got.strict, got.parts["grammar"]) == (0.0, 0.0, 0.0)
    assert got.why


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty text"),
        ("?!.", "no words"),
        ("X. Y. Z.", "no words"),
        ("A" * 46 + ".", "a word of more than 45 letters"),
        ("It is " + "so " * 700 + "late.", "text is longer than 2000 characters"),
        ("it is late.", "does not start with a capital"),
        ("It is late", "does not end with a full stop, question or exclamation mark"),
        ("He drinks drinks water.", "doubled word 'drinks'"),
        ("The dog runs. The dog runs.", "the same sentence twice"),
        ("It is \x1b[31mred.", "character '\\x1b' in prose"),
        ("It is <b>red.", "character '<' in prose"),
        ("It is \ud800.", "character '\\ud800' in prose"),
        ("It is \u202ered.", "character '\\u202e' in prose"),
        ("Это кот.", "character '\\u042d' in prose"),
    ],
)
def test_our_own_rules_need_no_backend(text, fault):
    assert grammar.check(text) == [fault]


@pytest.mark.parametrize(
    "text",
    [
        "She have an apple.",
        "She has a apple.",
        "They recieve it.",
        "It is late. the dog sleeps.",
    ],
)
def test_the_backend_finds_what_it_should(text):
    assert grammar.verdict(text) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "She knows that that is wrong, and he had had enough.",
        "Milk, eggs and six lemons are on the list.",
        "All of the eggs are gone.",
        "Would this do by the time the week ends?",
        "The colour of her favourite car is gray.",
        "Yesterday Quxolot called at 8 a.m. from a phone box.",
        '"Is it late?" asked Tom.',
        'He said "Go!"',
        "She fed the cat, dug a hole, clung to it and cut a rose.",
        "Voilà, a café in Zürich…",
    ],
)
def test_matters_of_style_and_names_are_no_faults(text):
    assert grammar.check(text) == []


def test_words_of_the_prompt_are_not_misspelt():
    assert grammar.check("Zorvan's frobnitz is late.") != []
    assert grammar.check("Zorvan's frobnitz is late.", "zorvan: frobnitz") == []


def test_without_a_backend_text_is_unscored_and_says_so(no_grammar):
    assert grammar_signature() == "none"
    for judge, text in [*RIGHT, (summary, ""), (paraphrase, SENTENCE)]:
        for profile in ("native", "pb2025"):
            got = judge(text, profile)
            assert (got.lenient, got.strict, got.parts["grammar"]) == (None, None, None)
            assert got.why.startswith("unscored: no ") and "grammar" in got.why
    assert paraphrase(PARAPHRASE).parts["rouge1"] == 1.0


def test_the_signature_names_backend_and_version():
    assert grammar_signature() == f"harper-{grammar_harper.installed_version('harper-py')}"


def test_an_unknown_backend_is_refused():
    with pytest.raises(UsageError, match="Unknown grammar backend 'harpr'. Did you mean 'harper'"):
        set_grammar("harpr")
    assert grammar_signature().startswith("harper")


def test_a_backend_that_is_not_installed_names_the_command(monkeypatch):
    def absent(_: str) -> str:
        raise ModuleNotFoundError("harper-py")

    monkeypatch.setattr(grammar_harper, "installed_version", absent)
    with pytest.raises(UsageError, match="pip install harper-py"):
        set_grammar("harper")
    assert grammar_signature().startswith("harper")


def test_a_copy_is_no_paraphrase():
    for copy in (SENTENCE, SENTENCE.upper(), f'"{SENTENCE}"', SENTENCE[:-1] + "!"):
        got = paraphrase(copy)
        assert (got.lenient, got.strict, got.why) == (0.0, 0.0, "copies the sentence")
    assert paraphrase(SENTENCE).parts["inv_bleu"] == 0.0


def test_the_parts_of_a_paraphrase():
    parts = paraphrase(PARAPHRASE).parts
    assert parts["rouge1"] == parts["rouge2"] == parts["rougeL"] == 1.0
    assert parts["bleu"] == 0.0 and parts["inv_bleu"] == 1.0


def test_a_summary_is_measured_against_the_nearest_reference():
    parts = summary(SUMMARY).parts
    assert parts["rouge1"] == parts["rouge2"] == parts["rougeL"] == 1.0
    assert summary("A cat is hungry.").parts["rougeL"] == 1.0
    assert summary("A cat is hungry.", "pb2025").parts["rougeL"] == 1.0
    assert summary(SUMMARY, "pb2025").parts["rougeL"] < 0.3


@pytest.mark.parametrize(
    ("text", "why", "inclusion"),
    [
        ("She threw a ball in the park.", "missing: dog", 0.75),
        ("The cat sleeps.", "missing: dog, park, ball, throw", 0.0),
        ("Dogs run. She threw a ball in the park.", "more than one sentence", 1.0),
        ("Dog, park, ball, and throw.", "only lists the words", 1.0),
        ("Dog park ball throw.", "only lists the words", 1.0),
        ("The dogmatic man left the sparkling ballad overthrown.", "missing: dog, park, ball, throw", 0.0),
    ],
)
def test_what_is_no_sentence_with_the_words_says_why(text, why, inclusion):
    got = in_words(text)
    assert (got.lenient, got.strict, got.why) == (0.0, 0.0, why)
    assert got.parts["inclusion"] == inclusion


def test_a_sentence_over_two_lines_is_not_the_asked_format():
    got = in_words("In the park,\nshe threw a ball for both dogs.")
    assert (got.lenient, got.strict) == (1.0, 0.0)


def test_a_published_word_of_two_parts_may_be_written_apart():
    assert words.missing(["ice_cream", "dog"], "Dogs like ice creams.") == []
    assert words.missing(["ice_cream"], "Cream on ice.") == ["ice_cream"]


@pytest.mark.parametrize(
    ("word", "inflected"),
    [
        ("dog", "dogs dog's dogs'"),
        ("box", "boxes boxed boxing"),
        ("city", "cities"),
        ("boy", "boys"),
        ("tomato", "tomatoes"),
        ("leaf", "leaves"),
        ("bake", "bakes baked baking"),
        ("carry", "carries carried carrying"),
        ("play", "played playing"),
        ("stop", "stopped stopping"),
        ("visit", "visited visiting"),
        ("travel", "travelled traveled"),
        ("quit", "quitting"),
        ("tie", "tied tying"),
        ("agree", "agreed agreeing"),
        ("panic", "panicked"),
        ("throw", "threw thrown throws throwing"),
        ("child", "children children's"),
        ("mouse", "mice"),
        ("good", "better best"),
        ("happy", "happier happiest"),
        ("big", "bigger biggest"),
        ("couldn't", "couldn't couldn’t"),
        ("API", "api APIs"),
    ],
)
def test_inflections_are_the_word(word, inflected):
    for form in inflected.split():
        assert words.missing([word], f"A {form.title()}, yes.") == [], form


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("dog", "dogmatic hotdog dogma"),
        ("farm", "farmer farmhouse"),
        ("bake", "baker bakery"),
        ("fire", "firefighter"),
        ("ball", "ballad balloon"),
        ("star", "stared staring"),
        ("hop", "hoped hoping"),
        ("happy", "happily unhappy happiness"),
        ("throw", "thorough overthrown"),
    ],
)
def test_other_words_are_not_the_word(word, other):
    for form in other.split():
        assert words.missing([word], f"A {form}, yes.") == [word], form


@given(st.from_regex(r"[a-z]{2,9}", fullmatch=True), st.from_regex(r"[a-z]{1,5}", fullmatch=True))
def test_a_word_stands_in_a_text_only_as_a_whole(word, tail):
    assert words.missing([word], f"So, {word.upper()}!") == []
    longer = word + tail
    assert (words.missing([word], f"So, {longer}.") == []) == (longer in words.forms(word))
    assert words.missing([word], f"So, x{word}.") == [word]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One.", 1),
        ("One. Two.", 2),
        ("One! two", 1),
        ("Really? Yes!\nGood.", 3),
        ("Dr. Lee met Mrs. J. Hart at 8 a.m. on Monday.", 1),
        ('"Stop!" She laughed at No. 7.', 1),
    ],
)
def test_sentences_are_counted(text, count):
    assert words.sentence_count(text) == count


def test_rouge_and_bleu_by_hand():
    # "cats sat" / "cat ran": one of three stems differs, one of two pairs, and the common run is two long.
    rouge = measures.rouge("The cats sat.", ["the cat ran", "nothing"])
    assert rouge == pytest.approx({"rouge1": 2 / 3, "rouge2": 1 / 2, "rougeL": 2 / 3})
    # Five of six tokens, three of five pairs, two of four, one of three; equal length, so no penalty.
    assert measures.bleu("a b c d x f", "a b c d e f") == pytest.approx((5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)
    assert measures.bleu("Good morning !", "Good morning !") == 0.0
    assert measures.bleu("Good morning !", "Good morning !", effective_order=True) == 1.0
    assert measures.inverse_bleu("", "a b c d") == 0.0
    assert measures.inverse_bleu("x", "a b c d") == 1.0


def test_long_texts_are_cut_before_they_are_measured():
    long = "word " * 1_000_000
    cut = long[: measures.MAX_CHARACTERS]
    assert measures.rouge(long, ["word"]) == measures.rouge(cut, ["word"])
    assert measures.bleu(long, "word") == measures.bleu(cut, "word")
    assert measures.rouge("word", []) == {"rouge1": None, "rouge2": None, "rougeL": None}


def test_pb2025_multiplies_its_parts():
    got = summary("Zorvan asks Mila about a cat.", "pb2025")
    assert got.lenient == got.strict == got.parts["rougeL"] > 0
    assert summary("zorvan asks Mila about a cat.", "pb2025").lenient == 0.0
    assert in_words("The dog can throw a ball in the park.", "pb2025").lenient == 1.0
    assert in_words("The dog can throw a ball.", "pb2025").why == "inclusion 0.00"


def test_pb2025_paraphrases_are_unscored_for_want_of_bertscore():
    got = paraphrase(PARAPHRASE, "pb2025")
    assert (got.lenient, got.strict, got.why) == (None, None, "unscored: no bertscore")
    assert (got.parts["grammar"], got.parts["inv_bleu"], got.parts["bertscore"]) == (1.0, 1.0, None)
