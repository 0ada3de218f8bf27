"""Waiting Line: ten operations on a queue of people."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from parallelbench.errors import lookup
from parallelbench.settings import format_setting
from parallelbench.tasks.base import Split, sample_random
from parallelbench.tasks.common import Facts, check_option, in_split, list_template, list_text
from parallelbench.tasks.drawn import DrawnTask
from parallelbench.tasks.names import draw_people, last_then_first, name_list
from parallelbench.tasks.prompts import LIST_PROMPTS

_RANDOM_KINDS = {
    "shuffle": "list_shuffle",
    "insert_random": "list_insert",
    "remove_random": "list_remove",
    "replace_random": "list_replace",
}
KINDS = {operation: _RANDOM_KINDS.get(operation, "list_expected") for operation in LIST_PROMPTS}
"""Scorer of each operation, in the order of the task table."""
_LENGTHS = (3, 4, 5, 6)


def expected_list(operation: str, items: list[str], new: str | None, position: int | None) -> list[str] | None:
    """The only correct list, or None for the operations that leave a choice."""
    if operation == "copy":
        return list(items)
    if operation == "reverse":
        return items[::-1]
    if operation == "sort":
        return sorted(items, key=last_then_first)
    if position is None:
        return None
    added = [] if new is None else [new]
    kept = position if operation == "insert_index" else position + 1
    return items[:position] + added + items[kept:]


@dataclass(frozen=True)
class WaitingLine(DrawnTask):
    """One operation on a list of full names.

    Attributes:
        operation: A key of `KINDS`.
        n: Length of every list, example included; None takes 3, 4, 5 and 6 in turn.
    """

    operation: str
    n: int | None = None
    options: ClassVar[Mapping[str, Collection[int]]] = {"n": range(2, 21)}

    def __post_init__(self) -> None:
        """Derive name, scorer and length; refuse an unknown operation or list length."""
        name = f"waiting_line/{self.operation}"
        kind = lookup(KINDS, self.operation, "waiting-line operation")
        if self.n is not None:
            check_option(name, "n", self.n, self.options["n"])
        longest = self.n or max(_LENGTHS)
        derived = {
            "name": format_setting(name, {} if self.n is None else {"n": self.n}, "@"),
            "kind": kind,
            "max_tokens": 32 if longest <= 6 else 64 if longest <= 10 else 128,
            "parallel": kind == "list_expected",
        }
        for key, value in derived.items():
            object.__setattr__(self, key, value)

    def size(self, random: Random) -> int:
        """Length of the example's list, independent of the question's."""
        return self.n or random.choice(_LENGTHS)

    def size_of(self, seed: int, split: Split, index: int) -> int:
        """Length of a question's list: any four neighbours have the four default lengths."""
        if self.n:
            return self.n
        order = list(_LENGTHS)
        sample_random(self.name, self.version, seed, split, "lengths").shuffle(order)
        return order[index % len(order)]

    def draw(self, random: Random, size: int, split: Split) -> Facts:
        """A queue, the newcomer and the position where the operation needs them."""
        while True:
            facts = self._draw_any(random, size)
            # A list that happens to be sorted would let a mere copy pass for sorting.
            if (self.operation != "sort" or facts["items"] != facts["expected"]) and in_split(self.group(facts), split):
                return facts

    def _draw_any(self, random: Random, size: int) -> Facts:
        *items, newcomer = draw_people(random, size + 1)
        new = newcomer if self.operation.startswith(("insert", "replace")) else None
        position = None
        if self.operation.endswith("_index"):
            position = random.randrange(size + (self.operation == "insert_index"))
        expected = expected_list(self.operation, items, new, position)
        return {
            "operation": self.operation,
            "items": items,
            "expected": expected,
            "new": new,
            "position": position,
        }

    def group(self, facts: Facts) -> str:
        """The list, the newcomer and the position."""
        return f"{list_text(facts['items'])} {facts['new']} {facts['position']}"

    def prompt(self, facts: Facts) -> str:
        """The question about a queue."""
        return LIST_PROMPTS[self.operation].format(
            items=list_text(facts["items"]), new=facts["new"], position=facts["position"]
        )

    def template(self, facts: Facts) -> str | None:
        """A list of holes as long as the answer."""
        change = {"insert": 1, "remove": -1}.get(self.operation.split("_")[0], 0)
        return list_template(len(facts["items"]) + change)

    def _data(self) -> str:
        return "\n".join((*name_list("first_names"), "", *name_list("last_names")))
