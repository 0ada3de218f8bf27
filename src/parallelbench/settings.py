"""Setting strings, the one way to name a configured thing: `NAME`, `NAME:key=value,...`, `TASK@key=value,...`."""

from collections.abc import Mapping

from parallelbench.errors import UsageError

Value = int | float | bool | str


def parse_value(text: str) -> Value:
    """`"4"` -> 4, `"0.5"` -> 0.5, `"true"` -> True; anything else stays text."""
    if text in ("true", "false"):
        return text == "true"
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


def parse_setting(text: str, separator: str = ":") -> tuple[str, dict[str, Value]]:
    """Split `NAME<separator>key=value,key=value` into the name and its parameters.

    Raises:
        UsageError: a part is not `key=value`, or a key comes twice.
    """
    name, _, rest = text.partition(separator)
    parameters: dict[str, Value] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key or not value:
            raise UsageError(f"{text!r}: expected key=value after {name + separator!r}, got {part!r}.")
        if key in parameters:
            raise UsageError(f"{text!r}: {key!r} is given twice.")
        parameters[key] = parse_value(value)
    return name, parameters


def split_setting(text: str) -> tuple[str, dict[str, Value]]:
    """Name and parameters of a setting; the name of a method in a file holds a colon of its own."""
    file, dot_py, rest = text.partition(".py:")
    if not dot_py:
        return parse_setting(text)
    name, given = parse_setting(rest)
    return f"{file}.py:{name}", given


def format_setting(name: str, parameters: Mapping[str, Value], separator: str = ":") -> str:
    """The inverse of `parse_setting`; parameters keep their order."""
    text = ",".join(
        f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in parameters.items()
    )
    return f"{name}{separator}{text}" if text else name
