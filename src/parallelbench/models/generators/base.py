"""What a run asks of a model that decodes by itself: texts for prompts, and how many tokens they took."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from parallelbench.errors import UsageError
from parallelbench.models.base import Denoiser, Message
from parallelbench.settings import Value


@dataclass(frozen=True)
class GeneratorSpec:
    """Identity of a generator.

    Attributes:
        name: Canonical model string, part of every lane id and signature.
        revision: Version of weights or definition.
        dtype: Number format it computes in, "text" when it does not tell.
        method: How it decodes; the method name of its lanes.
        parameters: What the method was given; part of every lane id.
        setting: Setting string of its lanes.
        tasks: Names of the only tasks it was made for, without options; None for a model that takes any.
    """

    name: str
    revision: str
    dtype: str = "text"
    method: str = "autoregressive"
    parameters: Mapping[str, Value] = field(default_factory=dict)
    setting: str = "autoregressive"
    tasks: frozenset[str] | None = None


@dataclass(frozen=True)
class Request:
    """One prompt.

    Attributes:
        id: Whatever identifies the result (the lane id).
        messages: Chat turns.
        max_tokens: Longest answer.
        seed: Seed of its randomness.
    """

    id: str
    messages: Sequence[Message]
    max_tokens: int
    seed: int


@dataclass(frozen=True)
class Generation:
    """One answer, or why there is none.

    Attributes:
        id: The request's.
        text: The answer without special tokens.
        tokens: Its ids where the model tells them.
        nfe: Forwards it took: the tokens, for a model that writes one by one.
        effective: Tokens up to and including the end of the text.
        seconds: Time it took.
        error: Why there is no answer, or None.
    """

    id: str
    text: str
    tokens: tuple[int, ...]
    nfe: int
    effective: int
    seconds: float
    error: str | None = None


@runtime_checkable
class Generator(Protocol):
    """Anything that answers prompts by itself."""

    spec: GeneratorSpec

    def generate(self, requests: Iterable[Request], batch_size: int) -> Iterator[Generation]:
        """Answer every request, in any order; a request that fails yields a Generation with `error`.

        Args:
            requests: May be lazy.
            batch_size: How many to hold in flight; changes no result.
        """
        ...


def by_itself(name: str) -> UsageError:
    """The error for a model that decodes by itself, where one is wanted that methods decode."""
    return UsageError(f"{name!r} decodes by itself, so there is nothing to unmask or to look at step by step.")


def decoded_by_steps(model: Denoiser | Generator, name: str) -> Denoiser:
    """The model, where it is one that methods decode.

    Raises:
        UsageError: a model that decodes by itself.
    """
    if isinstance(model, Generator):
        raise by_itself(name)
    return model


def failed(request: Request, error: str, seconds: float) -> Generation:
    """The record of a request that got no answer."""
    return Generation(request.id, "", (), 0, 0, seconds, error)
