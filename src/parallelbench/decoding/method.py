"""What an unmasking method is made of, and how a setting string becomes one."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from torch import Tensor

from parallelbench.decoding.proposal import Moment, Numerics, Proposal
from parallelbench.decoding.rules import Memory, Rule
from parallelbench.errors import UsageError, lookup, unknown
from parallelbench.settings import Value, format_setting

Kind = Literal["static", "adaptive", "revising"]
Rows = Literal["active", "masked", "block", "region", "canvas", "none"]
Reach = Literal["block", "prefix", "region"]
Cache = Literal["prefix", "dual", "block"]
Fault = Literal["empty_steps", "filled_blocks", "one_pass", "masks_stay", "given_remasked", "prompt_overwritten"]

Score = Callable[[Proposal], Tensor]
Revise = Callable[[Proposal, Tensor, Memory], tuple[Tensor, Memory]]
Prepare = Callable[[Moment, Memory], tuple[Tensor, Memory]]
Adjust = Callable[[Proposal, Memory], tuple[Tensor, Memory]]
Leave = Callable[[Proposal, Tensor, Memory], Tensor]


def no_memory(length: int, columns: int) -> Memory:
    """The memory of a method that has none."""
    return {}


@dataclass(frozen=True)
class Method:
    """A configured unmasking method. Pure: it sees proposals, never the model or the canvas.

    Attributes:
        name: Row of the table.
        parameters: Every resolved parameter, defaults included: what a lane id hashes.
        kind: "static" commits a fixed number a step, "adaptive" decides, "revising" also re-masks or edits.
        score: Proposal -> [B, G] float32, larger is safer.
        rule: (proposal, score, memory) -> ([B, G] commit, memory). Instead of True and False it may name the tokens
            to commit, -1 for none.
        revise: (proposal, commit, memory) -> ([B, G] positions to mask again, memory), or None. Given tokens
            and those committed in this very step stay as they are.
        prepare: (moment, memory) -> ([B, G] positions to mask before the forward, memory), or None.
        adjust: (proposal, memory) -> ([N, K] logits to choose and score by instead, memory), or None.
        leave: (proposal, undecided [B, G] after the step, memory) -> [B] bool, whether a lane is through with its
            block; None when it is as soon as nothing within reach is undecided.
        start: (G, K) -> memory of a fresh lane as a mapping of tensors without the lane dimension.
        rows: Positions that need logits: the candidates ("active"), all masks of the region ("masked"), every
            position of the block ("block") or of the whole "region", of prompt and region up to the end of the
            block ("canvas"). With "none" the loop makes no forward: the rule asks for its own (`Proposal.ask`).
        reach: Which masks are candidates: those of the "block", of it and what is before it ("prefix"), or of the
            whole "region".
        edits: A commit may replace a token decided at an earlier step.
        faults: What published code does and ours does not; only `name@source` variants have any. "empty_steps":
            a forward may commit nothing. "filled_blocks": blocks without a mask cost a forward. "one_pass": a
            block is left for good. "masks_stay": the result may hold masks. "given_remasked": given tokens may
            be masked. "prompt_overwritten": the first token of the prompt may be replaced (memory "first").
        block: Block length; None means the whole region.
        aligned: Blocks are counted from the start of the prompt, so that the first one may be shorter.
        temperature: 0 for greedy.
        top_k: Sample among the so many most probable tokens; None for all.
        top_p: Sample among the most probable tokens that reach this mass; None for all.
        tempered: Scores see the tempered distribution the token is drawn from, not the model's own.
        eos: "never" commits EOS, commits it "last" (its confidence is 0), or None: an ordinary token.
        cache: Kind of key-value cache, or None.
        numerics: Precision and tie order.
        requires: Capabilities the denoiser must have.
        layers: Of which layers it wants to see attention or hidden states: the last so many, or that share of them.
        cut: The canvas ends with the active block, as in engines that decode block after block.
        setting: The setting string.
    """

    name: str
    parameters: Mapping[str, Value]
    kind: Kind
    score: Score
    rule: Rule
    revise: Revise | None = None
    prepare: Prepare | None = None
    adjust: Adjust | None = None
    leave: Leave | None = None
    start: Callable[[int, int], Memory] = no_memory
    rows: Rows = "active"
    reach: Reach = "block"
    edits: bool = False
    faults: frozenset[Fault] = frozenset()
    block: int | None = None
    aligned: bool = False
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    tempered: bool = True
    eos: str | None = None
    cache: Cache | None = None
    numerics: Numerics = Numerics()
    requires: frozenset[str] = frozenset()
    layers: int | float = 0
    cut: bool = False
    setting: str = ""

    @property
    def plain(self) -> bool:
        """Whether every candidate token is simply the most probable one."""
        return self.temperature == 0 and self.eos is None and self.adjust is None and "verifier" not in self.requires

    def check_length(self, length: int) -> None:
        """Refuse a length that the block does not divide, or a k that does not divide the block."""
        block = self.block or length
        if length % block:
            raise UsageError(_does_not_divide("block", block, "max_tokens", length, self.setting))
        k = self.parameters.get("k", 1)
        if isinstance(k, int) and block % k:
            raise UsageError(_does_not_divide("k", k, "the block of", block, self.setting))
        steps, blocks = self.parameters.get("steps"), length // block
        if isinstance(steps, int) and not blocks <= steps <= length:
            raise UsageError(f"{self.setting!r}: steps={steps} is not from {blocks} (blocks) to {length} (max_tokens).")


def parts(score: Score, rule: Rule, **rest: Any) -> Method:
    """A method without a name yet: what `Entry.build` returns."""
    return Method("", {}, "static", score, rule, **rest)


def _does_not_divide(what: str, given: int, of: str, length: int, setting: str) -> str:
    allowed = ", ".join(str(d) for d in range(1, length + 1) if length % d == 0)
    return f"{setting!r}: {what}={given} does not divide {of} {length}; allowed: {allowed}."


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method: its type, default, allowed values and meaning.

    Attributes:
        name: Key in the setting string.
        default: None when it is off by default.
        doc: Meaning.
        low: Smallest allowed value.
        high: Largest allowed value.
        choices: The allowed words; none for a number.
        text: Any text is allowed (a path).
        fraction: A number that need not be whole although its default is None.
    """

    name: str
    default: Value | None
    doc: str
    low: int | float | None = None
    high: int | float | None = None
    choices: tuple[str, ...] = ()
    text: bool = False
    fraction: bool = False

    def check(self, value: Value, method: str) -> Value:
        """The value in the parameter's own type.

        Raises:
            UsageError: wrong type or out of range, with what is allowed.
        """
        if self.text:
            return str(value)
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
        return isinstance(self.default, int) or (self.default is None and not self.fraction)

    def _in_range(self, number: float) -> bool:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return math.isfinite(number) and low <= number <= high

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        if self.text:
            return "a text"
        if self.choices:
            return "one of " + ", ".join(self.choices)
        noun = "a whole number" if self._whole else "a number"
        if self.high is not None:
            return f"{noun} from {self.low:g} to {self.high:g}"
        return f"{noun} of at least {self.low:g}" if self.low is not None else noun


Sweep = Callable[[int], Sequence[Mapping[str, Value]]]


def over(name: str, *values: Value) -> Sweep:
    """The sweep of one parameter over fixed values, at any length."""
    return lambda length: [{name: value} for value in values]


@dataclass(frozen=True)
class Entry:
    """A row of the table of methods: how to build it and what to tell about it.

    Attributes:
        name: Setting name; `name@source` for a variant as some source has it.
        kind: See `Method.kind`.
        summary: One line.
        source: Paper or code it is from.
        parameters: Its own parameters; the first one leads in setting strings.
        build: Parameter values -> `parts(...)`.
        sweep: Length -> the parameter values of the default sweep.
        checked: What it was compared with.
        requires: Capabilities of the denoiser that it needs with default parameters.
    """

    name: str
    kind: Kind
    summary: str
    source: str
    parameters: tuple[Parameter, ...]
    build: Callable[..., Method]
    sweep: Sweep
    checked: str = "properties"
    requires: frozenset[str] = frozenset()


BLOCK = Parameter("block", None, "block length in tokens; default: the whole region", low=1)
TEMPERATURE = Parameter("temperature", 0.0, "0 is greedy; above it tokens are sampled", low=0.0)
TOP_K = Parameter("top_k", None, "sample among the so many most probable tokens", low=1)
TOP_P = Parameter(
    "top_p", None, "sample among the most probable tokens that reach this mass", low=0, high=1, fraction=True
)
SAMPLING = Parameter(
    "sampling", None, "gumbel: scores see the untempered distribution (LLaDA); tempered: the one sampled from",
    choices=("tempered", "gumbel"),
)  # fmt: skip
EOS = Parameter("eos", None, "never: EOS is not committed; last: it has confidence 0", choices=("never", "last"))
CACHE = Parameter(
    "cache", None, "prefix: keeps keys and values before the block; dual: those behind it too; block: a block-causal "
    "model's exact ones",
    choices=get_args(Cache),
)  # fmt: skip
COMMON = (BLOCK, TEMPERATURE, TOP_K, TOP_P, SAMPLING, EOS, CACHE)
"""Parameters that every method has beside its own."""

PB2025 = Numerics(precision="model", ties="torch")


def declared(entry: Entry) -> dict[str, Parameter]:
    """All parameters of a method; its own come first and may replace a common one's default."""
    return {p.name: p for p in (*COMMON, *entry.parameters)}


def build_method(entry: Entry, given: Mapping[str, Value], profile: str = "native") -> Method:
    """Resolve defaults, check every value and compose the method.

    Raises:
        UsageError: an unknown parameter, or a value out of range.
    """
    known = declared(entry)
    for key in given:
        lookup(known, key, f"parameter of {entry.name}")
    values = {name: p.check(given[name], entry.name) if name in given else p.default for name, p in known.items()}
    own = [p.name for p in entry.parameters]
    order = [*own, *(p.name for p in COMMON if p.name not in own)]
    parameters = {name: value for name in order if (value := values[name]) is not None}
    leading = own[0] if own else None
    shown = {key: value for key, value in parameters.items() if key == leading or value != known[key].default}
    common = {p.name for p in COMMON}
    built = entry.build(**{name: values[name] for name in own if name not in common})
    method = replace(
        built,
        name=entry.name,
        kind=entry.kind,
        parameters={**built.parameters, **parameters},
        setting=format_setting(entry.name, shown),
        requires=built.requires | ({f"{values['cache']}_cache"} if values["cache"] else set()),
        **_common_fields(values, built),
    )
    return replace(method, numerics=PB2025) if profile == "pb2025" else method


def _common_fields(values: Mapping[str, Value | None], built: Method) -> dict[str, Any]:
    """The common parameters as fields of a method; cached rows can't reach outside the window."""
    if values["cache"] and (built.reach != "block" or built.rows not in ("active", "block")):
        raise UsageError("a cache needs a method that looks at its own block only.")
    return {
        "block": values["block"] if isinstance(values["block"], int) else built.block,
        "temperature": float(values["temperature"] or 0),
        "top_k": values["top_k"],
        "top_p": values["top_p"],
        "tempered": values["sampling"] != "gumbel",
        "eos": values["eos"],
        "cache": values["cache"],
    }


__all__ = [
    "BLOCK", "COMMON", "PB2025", "TEMPERATURE", "Entry", "Fault", "Method", "Parameter", "Reach", "Rows", "Score",
    "Sweep", "build_method", "declared", "no_memory", "over", "parts",
]  # fmt: skip
