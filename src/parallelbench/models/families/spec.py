"""What a family of checkpoints is: one row of facts that the common loader, masks and caches work from."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from parallelbench.errors import UsageError, lookup
from parallelbench.models.base import Message
from parallelbench.models.families.weights import Place, Placing

Config = Mapping[str, Any]
Kind = Literal["transformers", "sedd", "generate"]


@dataclass(frozen=True)
class Tokens:
    """Published special tokens, looked up by name in the checkpoint's own tokenizer.

    Attributes:
        mask: Name and published id of the mask token.
        eos: Name and published id of the token that ends (and fills up) a text.
        stop: Names of tokens that end a chat turn.
    """

    mask: tuple[str, int] | None = None
    eos: tuple[str, int] | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Family:
    """A row of the table of families.

    Attributes:
        name: Its name, e.g. for `family=` in a model string.
        summary: Checkpoints of it.
        signs: Alternatives; each maps config.json fields (dots go inwards) to the exact value that tells.
        kind: "transformers" for a decoder of transformers under our masks, "sedd" for the small module of our
            own, "generate" for a class of transformers with its own sampler.
        architecture: transformers class that computes it.
        config: config.json -> arguments of the class's configuration.
        fixed: Fields that may only have these values (anything else would need other code); absent is fine.
        placing: config.json -> stored tensor name -> places in the class's state dict.
        layers: Field with the number of layers, and a pattern whose group counts them in tensor names.
        block: config.json -> block length of block-causal attention, None for full attention.
        shift: Whether position i's raw logits predict token i + 1.
        tokens: Special tokens.
        chat: Messages to text where the tokenizer brings no chat template.
        tokenizer: transformers class for checkpoints without a tokenizer.json.
        rope_float32: Rotations of queries and keys happen in float32 whatever the dtype.
        norm_float32: RMSNorm's weight is multiplied in float32, before the cast.
    """

    name: str
    summary: str
    signs: tuple[Mapping[str, object], ...]
    architecture: str = ""
    kind: Kind = "transformers"
    config: Callable[[Config], dict[str, Any]] = field(default=dict)
    fixed: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    placing: Callable[[Config], Placing] = field(default=lambda config: identity)
    layers: tuple[str, str] = ("num_hidden_layers", r"model\.layers\.(\d+)\.")
    block: Callable[[Config], int | None] = field(default=lambda config: None)
    shift: bool = False
    tokens: Tokens = Tokens()
    chat: Callable[[Sequence[Message]], str] = field(default=lambda messages: blank_lines(messages))
    tokenizer: str = "Qwen2TokenizerFast"
    rope_float32: bool = False
    norm_float32: bool = False

    def recognises(self, config: Config) -> bool:
        """Whether every field of one of the signs has its value."""
        return any(all(lookup_field(config, key) == value for key, value in sign.items()) for sign in self.signs)

    def check(self, config: Config) -> None:
        """Refuse a configuration that asks for a computation this family's class does not do."""
        for key, allowed in self.fixed.items():
            if key in config and config[key] not in allowed:
                shown = " or ".join(map(str, allowed))
                raise UsageError(f"{self.name}: config.json has {key}={config[key]!r}; supported is {shown}.")


def lookup_field(config: Config, path: str) -> Any:
    """The value of a dotted field, None where there is none."""
    value: Any = config
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def whole(config: Config, key: str, default: int | None = None) -> int:
    """A positive whole number of the configuration.

    Raises:
        UsageError: it is missing, or no such number.
    """
    value = lookup_field(config, key)
    if value is None:
        value = default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"config.json: {key} must be a whole number of at least 1, got {value!r}.")
    return value


def number(config: Config, key: str) -> float:
    """A positive number of the configuration; no default, since a guessed theta is silently wrong."""
    value = lookup_field(config, key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise UsageError(f"config.json: {key} must be a number above 0, got {value!r}.")
    return float(value)


def rope(config: Config) -> dict[str, Any]:
    """Rotary parameters in the spelling of transformers 5, from either spelling."""
    if "rope_parameters" in config:
        return {"rope_type": "default", **config["rope_parameters"]}
    return {"rope_type": "default", "rope_theta": number(config, "rope_theta")}


def recognise(config: Config, table: Mapping[str, Family], forced: str | None = None) -> Family | None:
    """The family whose signs the configuration bears, or the forced one; None when there is none.

    Raises:
        UsageError: `forced` is no family.
    """
    if forced is not None:
        return lookup(table, forced, "family")
    return next((family for family in table.values() if family.recognises(config)), None)


def identity(name: str) -> list[Place]:
    """The names of the class itself, per-expert weights stacked; rotary tables are computed, not stored."""
    if name.endswith("rotary_emb.inv_freq"):
        return []
    return [stacked(name) or Place(name)]


EXPERT = re.compile(r"(.*\.mlp\.experts)\.(\d+)\.(gate|up|down)_proj\.weight")


def stacked(name: str, width: int | None = None) -> Place | None:
    """Place of one expert's weight among the stacked ones, None for any other tensor.

    transformers 5 keeps [experts, 2 * width, hidden], the gates above the ups, and [experts, hidden, width].
    """
    match = EXPERT.fullmatch(name)
    if match is None:
        return None
    layer, expert, role = match.group(1), int(match.group(2)), match.group(3)
    if role == "down":
        return Place(f"{layer}.down_proj", (expert,))
    rows = slice(None, width) if role == "gate" else slice(width, None)
    return Place(f"{layer}.gate_up_proj", (expert, rows))


def moe_identity(width_field: str) -> Callable[[Config], Placing]:
    """`identity` with experts of the width a config field names."""

    def placing_of(config: Config) -> Placing:
        width = whole(config, width_field)
        return lambda name: [place] if (place := stacked(name, width)) is not None else identity(name)

    return placing_of


def renamed(rules: Sequence[tuple[str, str]]) -> Placing:
    """Whole tensors under other names: the first rule whose pattern matches fully replaces the name."""
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]

    def placing(name: str) -> list[Place]:
        for pattern, replacement in compiled:
            if pattern.fullmatch(name):
                return [Place(pattern.sub(replacement, name))]
        return identity(name)

    return placing


def blank_lines(messages: Sequence[Message]) -> str:
    """A prompt for models without chat: the contents, a blank line after each."""
    return "".join(f"{message['content']}\n\n" for message in messages)
