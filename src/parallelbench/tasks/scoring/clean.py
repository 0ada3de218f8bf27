"""What a decoder leaves behind a text: end-of-text markers, spelled out."""

import re

_MARKER = re.compile(r"(?:<\|\w{1,30}\|>|</s>|<eos>|<pad>)\Z")
_LONGEST = 34


def without_end_markers(text: str) -> str:
    """The text without blanks around it and without markers such as `<|endoftext|>` or `</s>` at its end."""
    text = text.strip()
    while marker := _MARKER.search(text, max(0, len(text) - _LONGEST)):
        text = text[: marker.start()].rstrip()
    return text
