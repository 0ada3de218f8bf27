"""Text from models and files, made harmless for a terminal."""

import unicodedata

# Control, format (bidi marks, zero-width, tags), surrogate, line and paragraph separators: all that a
# terminal may obey instead of show. What private-use and unassigned ones do depends on the terminal.
UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain(text: str, keep: str = "") -> str:
    r"""The same text with every character that a terminal could obey as a visible escape (`\x1b`, `\u202e`).

    Args:
        text: anything, lone surrogates included.
        keep: characters to let through all the same, such as a newline in a text of several lines.
    """
    return "".join(c if c in keep or unicodedata.category(c) not in UNSAFE_CATEGORIES else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
