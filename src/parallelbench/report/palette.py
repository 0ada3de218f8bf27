"""The one visual language: a method has the same colour and mark in every figure, table and page.

The eight hues are those of Okabe and Ito (2008), chosen to be told apart with any kind of colour vision; the
yellow is darkened to show on white. A method's family decides the hue, its dash and mark tell it from its kin,
so that nothing rests on colour alone.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, BLACK = "#CC79A7", "#56B4E9", "#B8A800", "#555555"
HUES = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, BLACK)
MARKS = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
DASHES: tuple[tuple[int, ...], ...] = ((), (6, 3), (2, 2), (8, 3, 2, 3), (1, 3), (10, 4))
_VARIANTS: Mapping[str, tuple[int, ...]] = {
    "pb": (4, 1, 1, 1),
    "upstream": (3, 3),
    "dream": (6, 1, 1, 1, 1, 1),
    "fastdllm": (1, 1),
    "uncode": (12, 2),
    "published": (8, 2),
    "eager": (2, 6),
}
"""Lines of `name@source`."""
FONT = "Helvetica, Arial, sans-serif"


@dataclass(frozen=True)
class Style:
    """How a method looks.

    Attributes:
        color: `#rrggbb`.
        mark: Name of the point's shape, as Vega has it.
        dash: Lengths of drawn and left-out parts of its line in points; empty for a solid line.
    """

    color: str
    mark: str
    dash: tuple[int, ...]


_CHOSEN: Mapping[str, tuple[str, int]] = {
    # name -> (hue, which mark and dash); equal hues are kin: fixed number a step, decided by the model, revised.
    "confidence": (BLUE, 0),
    "margin": (BLUE, 1),
    "entropy": (BLUE, 2),
    "random": (BLACK, 0),
    "left_to_right": (BLACK, 1),
    "autoregressive": (BLACK, 2),
    "threshold": (ORANGE, 0),
    "factor": (ORANGE, 1),
    "eb": (ORANGE, 2),
    "klass": (GREEN, 0),
    "slowfast": (GREEN, 1),
    "prophet": (GREEN, 2),
    "credit": (GREEN, 3),
    "localleap": (GREEN, 4),
    "dawn": (GREEN, 5),
    "dapd_staged": (BLUE, 3),
    "dapd_direct": (BLUE, 4),
    "punt": (ORANGE, 3),
    "adas": (ORANGE, 4),
    "dus": (SKY, 0),
    "pc_sampler": (SKY, 1),
    "pc_linear": (SKY, 2),
    "timesteps": (SKY, 3),
    "origin": (SKY, 4),
    "wino": (RED, 0),
    "saber": (RED, 1),
    "rcr": (RED, 2),
    "remdm": (RED, 3),
    "joint": (RED, 4),
    "p2": (RED, 5),
    "diffusion_gemma": (SKY, 5),
    "apd": (PURPLE, 0),
    "block_static": (PURPLE, 1),
    "block_dynamic": (PURPLE, 2),
    "block_sequential": (PURPLE, 3),
    "adablock": (PURPLE, 4),
    "freedave": (PURPLE, 5),
    "rpd": (YELLOW, 3),
    "rpd_ce": (YELLOW, 4),
    "optimal": (YELLOW, 0),
    "ceiling": (YELLOW, 1),
    "all methods": (YELLOW, 2),
}
_PUBLISHED = {
    "confidence-topk": "confidence",
    "confidence-threshold": "threshold",
    "confidence-factor": "factor",
    "topk-margin": "margin",
    "entropy-topk": "entropy",
    "l2r": "left_to_right",
}
"""Names of published curves and ours for the same method."""


def our_name(method: str) -> str:
    """The method that a published curve or a `name@source` variant belongs to."""
    base = method.partition("@")[0]
    return _PUBLISHED.get(base, base)


def style(method: str) -> Style:
    """How a method looks, the same in every process; a method of one's own gets a hue by the hash of its name."""
    base = our_name(method)
    if base in _CHOSEN:
        color, number = _CHOSEN[base]
    else:
        digest = hashlib.sha256(base.encode("utf-8", "surrogatepass")).digest()
        color, number = HUES[digest[0] % len(HUES)], 3 + digest[1] % 3
    dash = DASHES[number % len(DASHES)]
    source = method.partition("@")[2]
    return Style(color, MARKS[number % len(MARKS)], _VARIANTS.get(source, (5, 5)) if source else dash)


def colors(series: Sequence[str]) -> list[str]:
    """Colours of what a figure compares: methods have their own, anything else takes the hues in turn."""
    return [
        style(name).color if our_name(name) in _CHOSEN else HUES[number % len(HUES)]
        for number, name in enumerate(series)
    ]


def shade(share: float) -> str:
    """Colour of a probability from 0 (pale) to 1 (deep): one hue, so that lightness alone tells the order."""
    share = min(1.0, max(0.0, share))
    pale, deep = (0xDE, 0xEB, 0xF7), (0x08, 0x45, 0x94)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(pale, deep, strict=True))
