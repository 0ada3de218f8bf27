"""Methods from outside: a function in a file, or an entry point of an installed package."""

import hashlib
import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from torch import Tensor

from parallelbench.decoding.method import Entry, Kind, Method, Parameter, parts
from parallelbench.decoding.proposal import Proposal
from parallelbench.decoding.rules import Memory
from parallelbench.decoding.scores import SCORES
from parallelbench.errors import UsageError, unknown
from parallelbench.settings import Value

GROUP = "parallelbench.methods"
"""Entry points of this group are methods: a function, or an `Entry`."""
SCORE = Parameter("score", "confidence", "score the rule is handed", choices=tuple(SCORES))


def from_file(name: str) -> Entry:
    """The method of `FILE.py:function`.

    Raises:
        UsageError: no such file or function, or one that is not a method.
    """
    path, _, attribute = name.rpartition(":")
    return described(name, load(path, attribute))


@lru_cache(maxsize=16)
def load(path: str, attribute: str) -> Any:
    """An attribute of a Python file.

    Raises:
        UsageError: the file is missing, does not run, or has no such attribute.
    """
    file = Path(path)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise UsageError(f"{path}: no such Python file.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a stranger's file may raise
        raise UsageError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    if not hasattr(module, attribute):
        names = (key for key, value in vars(module).items() if inspect.isfunction(value) and not key.startswith("_"))
        raise unknown(f"function of {path}", attribute, names)
    return getattr(module, attribute)


def installed() -> Iterator[Entry]:
    """The methods that installed packages offer."""
    for point in entry_points(group=GROUP):
        yield described(point.name, point.load())


def described(name: str, found: Any) -> Entry:
    """An `Entry` as it is, a function as one.

    A function is `(proposal, score, memory, **parameters) -> commit`, or -> (commit, memory); parameters need
    defaults. `kind`, `start`, `rows`, `reach`, `revise` and the other fields of `Method` may stand on it as
    attributes.

    Raises:
        UsageError: it is neither.
    """
    if isinstance(found, Entry):
        return found
    if not inspect.isfunction(found) or len(inspect.signature(found).parameters) < 3:
        raise UsageError(f"{name} is not a method: a function (proposal, score, memory, ...) or an Entry.")
    extra = list(inspect.signature(found).parameters.values())[3:]
    if any(p.default is p.empty for p in extra):
        raise UsageError(f"{name}: its parameters need defaults.")
    own = tuple(Parameter(p.name, p.default, "see its source", text=isinstance(p.default, str)) for p in extra)
    summary = (inspect.getdoc(found) or "a method from outside").splitlines()[0]
    kind: Kind = getattr(found, "kind", "adaptive")
    return Entry(name, kind, summary, name, (*own, SCORE), partial(_build, found), lambda length: [{}], "nothing")


def _build(function: Callable[..., Any], score: str, **parameters: Value) -> Method:
    def rule(proposal: Proposal, values: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        decided = function(proposal, values, memory, **parameters)
        return decided if isinstance(decided, tuple) else (decided, memory)

    code = hashlib.sha256(inspect.getsource(inspect.getmodule(function) or function).encode()).hexdigest()[:12]
    return replace(parts(SCORES[score], rule, **_fields(function)), parameters={"code": code})


def _fields(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Fields of `Method` that stand on the function as attributes."""
    known = set(Method.__dataclass_fields__) - {"name", "parameters", "kind", "rule", "setting"}
    return {name: value for name, value in vars(function).items() if name in known}
