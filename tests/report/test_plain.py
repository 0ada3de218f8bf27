"""Nothing that a terminal obeys gets through, everything a person reads does."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelbench.report.plain import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\nb\tc\rd\x00", r"a\x0ab\x09c\x0dd\x00"),
        ("\x9b2J\x7f", r"\x9b2J\x7f"),
        ("user\u202egnp.exe", r"user\u202egnp.exe"),
        ("\u2066x\u2069\u200b\ufeff", r"\u2066x\u2069\u200b\ufeff"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
        ("line\u2028break", r"line\u2028break"),
        ("Zoë, 木村 & 😀 [/bold]", "Zoë, 木村 & 😀 [/bold]"),
        ("", ""),
    ],
)
def test_known_texts(text, shown):
    assert plain(text) == shown


@given(st.text(st.characters(exclude_categories=[])))
def test_only_visible_characters_and_blanks_remain(text):
    shown = plain(text)
    assert all(unicodedata.category(c)[0] in "LMNPS" or unicodedata.category(c) == "Zs" for c in shown)
    assert plain(shown) == shown
    assert shown.encode().decode() == shown


def test_chosen_characters_may_stay():
    assert plain("a\nb\x1b", keep="\n") == "a\nb\\x1b"
