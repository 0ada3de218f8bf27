"""The named table of unmasking methods: score x rule x optional revision, with their parameters."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from torch import Tensor

from parallelbench.decoding import rules, scores
from parallelbench.decoding.proposal import Numerics, Proposal
from parallelbench.decoding.rules import Memory, Rule
from parallelbench.errors import UsageError, lookup, unknown
from parallelbench.settings import Value, format_setting, parse_setting

Kind = Literal["static", "adaptive", "revising"]
Rows = Literal["active", "region"]
Score = Callable[[Proposal], Tensor]
Revise = Callable[[Proposal, Tensor, Memory], tuple[Tensor, Memory]]

SCORES: Mapping[str, Score] = {
    "confidence": scores.confidence,
    "margin": scores.margin,
    "entropy": scores.entropy,
    "random": scores.random,
    "left_to_right": scores.left_to_right,
}


@dataclass(frozen=True)
class Method:
    """A configured unmasking method. Pure: it sees proposals, never the model or the canvas.

    Attributes:
        name: Row of the table.
        parameters: Every resolved parameter, defaults included: what a lane id hashes.
        kind: "static" commits a fixed number a step, "adaptive" decides, "revising" also re-masks.
        score: Proposal -> [B, G] float32, larger is safer.
        rule: (proposal, score, memory) -> ([B, G] commit, memory).
        revise: (proposal, commit, memory) -> ([B, G] positions to mask again, memory), or None.
        start: Memory of a fresh lane as a mapping of tensors without the lane dimension.
        rows: Positions that need logits: masks of the "active" block, or the whole "region".
        block: Block length; None means the whole region.
        temperature: 0 for greedy.
        numerics: Precision and tie order.
        requires: Capabilities the denoiser must have.
    """

    name: str
    parameters: Mapping[str, Value]
    kind: Kind
    score: Score
    rule: Rule
    revise: Revise | None = None
    start: Callable[[int, int], Memory] = field(default=lambda length, vocabulary: {})
    rows: Rows = "active"
    block: int | None = None
    temperature: float = 0.0
    numerics: Numerics = Numerics()
    requires: frozenset[str] = frozenset()
    setting: str = ""

    def check_length(self, length: int) -> None:
        """Refuse a length that the block does not divide, or a k that does not divide the block."""
        block = self.block or length
        if length % block:
            raise UsageError(_does_not_divide("block", block, "max_tokens", length, self.setting))
        k = self.parameters.get("k", 1)
        if isinstance(k, int) and block % k:
            raise UsageError(_does_not_divide("k", k, "the block of", block, self.setting))


def _does_not_divide(what: str, given: int, of: str, length: int, setting: str) -> str:
    allowed = ", ".join(str(d) for d in range(1, length + 1) if length % d == 0)
    return f"{setting!r}: {what}={given} does not divide {of} {length}; allowed: {allowed}."


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method: its type, default, allowed values and meaning."""

    name: str
    default: Value | None
    doc: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def check(self, value: Value, method: str) -> Value:
        """The value in the parameter's own type.

        Raises:
            UsageError: wrong type or out of range, with what is allowed.
        """
        if self.choices:
            if value not in self.choices:
                raise unknown(f"{self.name} of {method}", str(value), self.choices)
            return value
        number = None if isinstance(value, str | bool) else float(value)
        if number is None or not self._in_range(number) or (self._whole and number != int(number)):
            raise UsageError(f"{method}: {self.name}={value} is not allowed; {self.name} is {self.allowed}.")
        return int(number) if self._whole else number

    @property
    def _whole(self) -> bool:
        return self.default is None or isinstance(self.default, int)

    def _in_range(self, number: float) -> bool:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return math.isfinite(number) and low <= number <= high

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        noun = "a whole number" if self._whole else "a number"
        if self.high is not None:
            return f"{noun} from {self.low:g} to {self.high:g}"
        return f"{noun} of at least {self.low:g}" if self.low is not None else noun


@dataclass(frozen=True)
class Entry:
    """A row of the table of methods: how to build it and what to tell about it."""

    name: str
    kind: Kind
    summary: str
    source: str
    parameters: tuple[Parameter, ...]
    build: Callable[..., tuple[Score, Rule]]
    sweep: Callable[[int], Sequence[Mapping[str, Value]]]


BLOCK = Parameter("block", None, "block length in tokens; default: the whole region", low=1.0)
TEMPERATURE = Parameter("temperature", 0.0, "0 is greedy; above it tokens are sampled", low=0.0)
SCORE = Parameter("score", "confidence", "score the rule looks at", choices=tuple(SCORES))
K = Parameter("k", 1, "tokens committed a step", low=1.0)


def powers_of_two(length: int) -> list[Mapping[str, Value]]:
    """The paper's parallelism sweep: k = 1, 2, 4, ... 32, as far as it divides the length."""
    return [{"k": k} for k in (1, 2, 4, 8, 16, 32) if length % k == 0]


def _top_k_entry(name: str, summary: str, source: str) -> Entry:
    def build(k: int) -> tuple[Score, Rule]:
        return SCORES[name], rules.top_k(k)

    return Entry(name, "static", summary, source, (K,), build, powers_of_two)


def _rule_entry(
    name: str,
    parameter: Parameter,
    rule: Callable[[float], Rule],
    sweep: Sequence[float],
    summary: str,
    source: str,
) -> Entry:
    def build(score: str, **value: float) -> tuple[Score, Rule]:
        return SCORES[score], rule(value[parameter.name])

    return Entry(
        name, "adaptive", summary, source, (parameter, SCORE), build,
        lambda length: [{parameter.name: value} for value in sweep],
    )  # fmt: skip


TAU = Parameter("tau", 0.9, "commit scores of at least this", low=0.0, high=1.0)
F = Parameter("f", 1.0, "larger commits more", low=0.0)
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
FACTORS = (0.7, 1.0, 1.3, 1.6, 1.9)

METHODS: Mapping[str, Entry] = {
    entry.name: entry
    for entry in (
        _top_k_entry("random", "k positions in random order", "MaskGIT baseline"),
        _top_k_entry("left_to_right", "the k leftmost masks", "autoregressive order"),
        _top_k_entry("confidence", "the k positions with the most probable tokens", "arXiv 2202.04200, 2502.09992"),
        _top_k_entry("margin", "the k largest gaps between best and second token", "arXiv 2502.06768"),
        _top_k_entry("entropy", "the k positions of lowest entropy", "arXiv 2508.15487"),
        _rule_entry(
            "threshold", TAU, rules.threshold, THRESHOLDS,
            summary="every position with a score of at least tau", source="arXiv 2505.22618",
        ),
        _rule_entry(
            "factor", F, rules.factor, FACTORS,
            summary="the longest ranked prefix with (n+1)(1-c_n) <= f", source="arXiv 2505.22618",
        ),
        _rule_entry(
            "factor@pb", F, rules.factor_at_pb, FACTORS,
            summary="factor, committing a failing last candidate as published", source="ParallelBench 2025",
        ),
    )
}  # fmt: skip

PB2025 = Numerics(precision="model", ties="torch")


def parse_method(text: str, profile: str = "native") -> Method:
    """Build the method of a setting string such as `threshold:tau=0.9,block=8`.

    Raises:
        UsageError: unknown method or parameter, or a value out of range.
    """
    name, given = parse_setting(text)
    entry = lookup(METHODS, name, "method")
    return build_method(entry, given, profile)


def build_method(entry: Entry, given: Mapping[str, Value], profile: str = "native") -> Method:
    """Resolve defaults, check every value and compose score and rule."""
    declared = {p.name: p for p in (*entry.parameters, BLOCK, TEMPERATURE)}
    for key in given:
        lookup(declared, key, f"parameter of {entry.name}")
    resolved = {name: p.check(given[name], entry.name) if name in given else p.default for name, p in declared.items()}
    parameters = {key: value for key, value in resolved.items() if value is not None}
    block, temperature = resolved.pop("block"), resolved.pop("temperature")
    score, rule = entry.build(**resolved)
    leading = entry.parameters[0].name
    shown = {key: value for key, value in parameters.items() if key == leading or value != declared[key].default}
    method = Method(
        name=entry.name, parameters=parameters, kind=entry.kind, score=score, rule=rule,
        block=block if isinstance(block, int) else None, temperature=float(temperature or 0),
        setting=format_setting(entry.name, shown),
    )  # fmt: skip
    return replace(method, numerics=PB2025) if profile == "pb2025" else method


def default_sweep(name: str, length: int) -> list[str]:
    """Setting strings of a method's default sweep at a generation length."""
    entry = lookup(METHODS, name, "method")
    return [format_setting(name, parameters) for parameters in entry.sweep(length)]
