"""Colours of figures."""

from parallelbench.report import palette


def test_what_a_figure_compares_is_told_apart_and_a_method_keeps_its_colour():
    assert palette.colors(["threshold", "confidence"]) == [palette.style(n).color for n in ("threshold", "confidence")]
    others = [f"series {number}" for number in range(len(palette.HUES))]
    assert palette.colors(others) == list(palette.HUES)
