"""What a theory command is asked about: an operation, a Markov chain, or a task's samples, as distributions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from parallelbench.errors import UsageError, unknown
from parallelbench.settings import format_setting, parse_setting
from parallelbench.tasks import load_task, task_names
from parallelbench.tasks.base import Answers as Texts
from parallelbench.tasks.base import Orderings, Support
from parallelbench.tasks.common import list_text
from parallelbench.theory import texts
from parallelbench.theory.bounds import Answers
from parallelbench.theory.distribution import TableDistribution
from parallelbench.theory.markov import MarkovDistribution, markov_matrix
from parallelbench.theory.operations import DEFAULT_N, OPERATIONS, SQUARES, ItemDistribution, operation, rows_of
from parallelbench.theory.permutations import PermutationDistribution
from parallelbench.theory.reduction import reduce_table

MARKOV = "synthetic/markov"
MARKOV_DEFAULTS = {"tokens": 3, "stickiness": 0.6, "forbidden": 1, "seed": 0}
DEFAULT_LENGTH = 6
LISTED = 5040
"""Answers of one sample that are listed: all orders of 7 items."""
ITEMS = "ABCDEFGHIJKLMNOPQRST"
NEWCOMER = "Z"


@dataclass(frozen=True)
class Encoder:
    """A tokenizer as the theory room sees it: texts to ids, and the id that fills up an answer."""

    name: str
    encode: Callable[[str], Sequence[int]]
    filler: int


@dataclass(frozen=True)
class Subject:
    """The answer distributions of what was asked about, one for each kind of sample.

    Attributes:
        task: Its name.
        n: List length, side or chain length where one was given or is the default.
        tokens: Tokenizer, or "items".
        parts: (distribution, number of samples it stands for); isomorphic samples are one part.
    """

    task: str
    n: int | None
    tokens: str
    parts: tuple[tuple[Answers, int], ...]

    @property
    def samples(self) -> int:
        """Samples averaged over (Theorem 3)."""
        return sum(count for _, count in self.parts)

    @property
    def undecided(self) -> int:
        """Steps that suffice for every part: its positions, or those of them that are not certain."""
        if self.tokens == "items":
            return max(part.length for part, _ in self.parts)
        return max(1, *(_undecided(part) for part, _ in self.parts))


def _undecided(part: Answers) -> int:
    return part.length - len(reduce_table(part).constant) if isinstance(part, TableDistribution) else part.length


def subject(
    task: str, n: int | None, encoder: Callable[[], Encoder], as_text: bool = False, samples: int = 100, seed: int = 0
) -> Subject:
    """Find what a name stands for.

    Args:
        task: A bare operation (`shuffle`: one token an item), `synthetic/markov@...`, or any benchmark task by its
            full name (`waiting_line/shuffle`).
        n: Items, side or length.
        encoder: Makes the tokenizer, where texts are asked for.
        as_text: Take the operation's lists as texts.
        samples: Samples of a benchmark task.
        seed: Their seed.

    Raises:
        UsageError: an unknown name, or a size that is out of reach.
    """
    name, options = parse_setting(task, "@")
    if name in OPERATIONS and not options:
        size = DEFAULT_N[name] if n is None else n
        items = operation(name, size)
        if not as_text:
            return Subject(name, size, "items", ((items, 1),))
        tokens = encoder()
        return Subject(name, size, tokens.name, ((_list_texts(name, items, tokens), 1),))
    if name == MARKOV:
        length = DEFAULT_LENGTH if n is None else n
        return Subject(task, length, "items", ((markov(options, length), 1),))
    if "/" not in name:
        raise unknown("task", name, [*OPERATIONS, MARKOV, *task_names()])
    full = task if n is None else format_setting(name, {**options, "n": n}, "@")
    return Subject(full, n, *_samples(full, encoder, samples, seed))


def markov(options: dict[str, Any], length: int) -> MarkovDistribution:
    """The chain of `synthetic/markov@tokens=V,stickiness=S,forbidden=F,seed=R`.

    Raises:
        UsageError: an unknown option or an impossible value.
    """
    for key in options:
        if key not in MARKOV_DEFAULTS:
            raise unknown(f"option of {MARKOV}:", key, MARKOV_DEFAULTS)
    chosen = {**MARKOV_DEFAULTS, **options}
    size, forbidden, stickiness, seed = (chosen[key] for key in ("tokens", "forbidden", "stickiness", "seed"))
    if not (type(size) is int and 2 <= size <= 64 and type(forbidden) is int and 0 <= forbidden < size):
        raise UsageError(f"{MARKOV}: tokens is a whole number from 2 to 64, forbidden one from 0 to below tokens.")
    if isinstance(stickiness, str | bool) or not 0 <= stickiness <= 1 or type(seed) is not int or seed < 0:
        raise UsageError(f"{MARKOV}: stickiness is a number from 0 to 1, seed a whole number from 0.")
    if not 1 <= length <= 64:
        raise UsageError(f"{MARKOV}: n={length} is out of reach; n goes from 1 to 64.")
    return MarkovDistribution([1 / size] * size, markov_matrix(size, float(stickiness), forbidden, seed), length)


def listed_answers(part: Answers, limit: int = LISTED) -> TableDistribution:
    """The answers as a table.

    Raises:
        UsageError: there are more than `limit`.
    """
    if isinstance(part, MarkovDistribution):
        count = part.count()
        if count > limit:
            fits = max(g for g in range(1, part.length) if part.count(g) <= limit)
            raise UsageError(f"{count:,} sequences are too many to list ({limit:,} at most); n={fits} works.")
        return part.table()
    if isinstance(part, PermutationDistribution):
        _check_orders(part.n, limit)
        return rows_of(part)
    return part


def _check_orders(n: int, limit: int = LISTED) -> None:
    count, fits, size = 1, 1, 1
    for size in range(1, n + 1):
        count *= size
        fits = size if count <= limit else fits
    if count > limit:
        raise UsageError(f"{count:,} orders of {n} items are too many to list ({limit:,} at most); n={fits} works.")


def _list_texts(name: str, answers: ItemDistribution, tokens: Encoder) -> TableDistribution:
    """An operation on letters, written as lists and tokenised."""
    if name in SQUARES:
        raise UsageError(f"{name}: a bare square has one token a cell; for its text ask for puzzle/{name}.")
    table = listed_answers(answers)
    newcomer = max(table.tokens.tolist()) if name.startswith(("insert", "replace")) else None
    letters = {i: NEWCOMER if i == newcomer else ITEMS[i] for i in table.tokens.tolist()}
    lists = Texts({list_text([letters[i] for i in row]): 1.0 for row in table.rows.tolist()})
    length = max(len(tokens.encode(text)) for text, _ in lists)
    return table_of(lists, tokens, length)


def table_of(support: Support, tokens: Encoder, length: int) -> TableDistribution:
    """See `theory.texts.table_of`; what does not fit is refused as bad usage."""
    try:
        return texts.table_of(support, tokens.encode, tokens.filler, length)
    except ValueError as error:
        raise UsageError(f"{tokens.name}: {error}.") from error


def _samples(
    name: str, encoder: Callable[[], Encoder], count: int, seed: int
) -> tuple[str, tuple[tuple[Answers, int], ...]]:
    """The tokenizer's name and the samples' answers, isomorphic ones merged."""
    task = load_task(name)
    found = [(sample, task.support(sample)) for sample in task.samples(seed, count)]
    for sample, support in found:
        if support is None:
            raise UsageError(f"{task.name}: the correct answers of {sample.id} can't be listed.")
        if isinstance(support, Orderings):
            _check_orders(len(support.items))
    tokens = encoder()
    merged: dict[tuple[object, ...], tuple[Answers, int]] = {}
    for _, support in found:
        assert support is not None
        table = table_of(support, tokens, task.max_tokens)
        reduced = reduce_table(table)
        key = (*reduced.signature, len(reduced.constant))
        part, seen = merged.get(key, (table, 0))
        merged[key] = part, seen + 1
    return tokens.name, tuple(merged.values())
