"""API keys: held so that no repr, error or log shows them."""

import os
import re

from parallelbench.errors import UsageError

SHOWN = "***"
KEY_LIKE = re.compile(r"(?i)\b(?:bearer\s+\S+|sk-[A-Za-z0-9_*-]{6,})")
"""What providers echo of a key in their own error messages, shortened or not."""


class Secret:
    """A key, or none."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return SHOWN

    def __reduce__(self) -> str:
        raise TypeError("a key is never pickled")

    def reveal(self) -> str:
        """The key itself, for the one header that needs it."""
        return self._value

    def hide(self, text: str) -> str:
        """The text without the key, however an endpoint came to echo it."""
        if self._value:
            text = text.replace(self._value, SHOWN)
        return KEY_LIKE.sub(SHOWN, text)

    def remove(self, text: str) -> str:
        """The text without the key itself; a model's own words are otherwise left alone."""
        return text.replace(self._value, SHOWN) if self._value else text


def key_from(variable: str, needed: bool) -> Secret:
    """The key in an environment variable.

    Raises:
        UsageError: `variable` is no variable's name (a key put there by mistake is not repeated), or it is
            needed and unset, or it holds what no header may hold.
    """
    if not re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", variable):
        raise UsageError("key_env takes the name of an environment variable in capitals, never a key itself.")
    value = os.environ.get(variable, "").strip()
    if needed and not value:
        raise UsageError(f"The environment variable {variable} holds no API key; set it, or name another with key_env.")
    if not value.isascii() or any(character.isspace() for character in value):
        raise UsageError(f"The environment variable {variable} holds no API key: it has blanks or special characters.")
    return Secret(value)
