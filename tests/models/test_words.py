"""The word-level tokenizer: lossless on anything, whole words on what the package ships."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelbench.models.registry import word_tokenizer
from parallelbench.models.words import FIRST_PIECE, SPECIAL, WordTokenizer
from parallelbench.tasks import TASKS

SMALL = WordTokenizer(['["Ana Bell", "Cy Dow"]', "a cat sat."])


@given(st.text())
def test_every_text_survives_encoding(text):
    assert SMALL.decode(SMALL.encode(text)) == text


def test_the_order_of_texts_does_not_matter():
    other = WordTokenizer(["a cat sat.", '["Ana Bell", "Cy Dow"]'])
    assert other.digest == SMALL.digest and other.encode("a cat") == SMALL.encode("a cat")
    assert WordTokenizer(["a dog sat."]).digest != SMALL.digest


def test_a_full_name_is_two_tokens_and_punctuation_between_names_one():
    assert len(SMALL.encode("Ana Bell")) == 2
    assert len(SMALL.encode('["Ana Bell", "Cy Dow"]')) == 7


def test_impossible_bytes_and_special_tokens_do_no_harm():
    assert SMALL.decode([*range(len(SPECIAL)), len(SPECIAL) + 0xFF]) == "�"
    assert SMALL.encode("\ud800") and SMALL.decode(SMALL.encode("\x00")) == "\x00"


@pytest.mark.parametrize("name", TASKS)
def test_every_answer_is_made_of_whole_words(name):
    task = TASKS[name]()
    for sample in task.samples(5, 20):
        ids = word_tokenizer().encode(sample.answer)
        assert min(ids) >= FIRST_PIECE and len(ids) < task.max_tokens
        assert word_tokenizer().decode(ids) == sample.answer
