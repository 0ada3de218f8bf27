"""People for the waiting lines: first and last names, kept as data files."""

from functools import cache
from importlib.resources import files
from random import Random


@cache
def name_list(which: str) -> tuple[str, ...]:
    """The names of `data/<which>.txt`, one word a line."""
    text = (files("parallelbench.tasks") / "data" / f"{which}.txt").read_text(encoding="utf-8")
    return tuple(text.split())


def draw_people(random: Random, count: int) -> list[str]:
    """Full names, no two of which share a first or a last name."""
    firsts = random.sample(name_list("first_names"), count)
    lasts = random.sample(name_list("last_names"), count)
    return [f"{first} {last}" for first, last in zip(firsts, lasts, strict=True)]


def last_then_first(person: str) -> tuple[str, str]:
    """Sorting key of a full name."""
    first, last = person.split(" ")
    return last, first
