"""The table of models: everything `--model` accepts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from parallelbench.errors import UsageError, lookup
from parallelbench.models.base import Denoiser, DenoiserSpec, Tokenizer
from parallelbench.models.ideal import NOISE, IdealDenoiser, Special
from parallelbench.models.words import EOS, MASK, PAD, WordTokenizer
from parallelbench.settings import Value, format_setting, parse_setting
from parallelbench.tasks.base import Sample, Task
from parallelbench.tasks.corpus import corpus

Problems = Sequence[tuple[Task, Sample]]

__all__ = ["MODELS", "Denoiser", "DenoiserSpec", "Tokenizer", "load_model"]


@dataclass(frozen=True)
class ModelEntry:
    """A row of the table of models.

    Attributes:
        name: What `--model` is given.
        summary: One line about it.
        parameters: Parameters with their defaults.
        load: (canonical name, parameters, the samples it will see) -> denoiser.
    """

    name: str
    summary: str
    parameters: Mapping[str, Value]
    load: Callable[[str, Mapping[str, Value], Problems], Denoiser]


@lru_cache(maxsize=1)
def word_tokenizer() -> WordTokenizer:
    """The built-in tokenizer over every text the package ships."""
    return WordTokenizer(corpus())


def _load_ideal(name: str, parameters: Mapping[str, Value], problems: Problems) -> Denoiser:
    noise = parameters["noise"]
    if isinstance(noise, str | bool) or not 0 <= noise < 1:
        raise UsageError(f"{name}: noise={noise} is not allowed; noise is a number from 0 to below 1.")
    words = word_tokenizer()
    return IdealDenoiser(
        name,
        words,
        words.encode_chat,
        words.vocab_size,
        Special(MASK, EOS, PAD),
        problems,
        float(noise),
        words.digest,
    )


MODELS: Mapping[str, ModelEntry] = {
    entry.name: entry
    for entry in (
        ModelEntry(
            "ideal",
            "exact marginals of each task's correct answers: the best any model could do",
            {"noise": NOISE},
            _load_ideal,
        ),
    )
}


def load_model(text: str, problems: Problems = ()) -> Denoiser:
    """Load the model of a string such as `ideal` or `ideal:noise=0`.

    Args:
        text: Model string.
        problems: (task, sample) pairs it will be asked about; only the ideal denoiser needs them.

    Raises:
        UsageError: unknown model or parameter.
    """
    name, given = parse_setting(text)
    entry = lookup(MODELS, name, "model")
    for key in given:
        lookup(entry.parameters, key, f"parameter of {name}")
    changed = {key: value for key, value in given.items() if value != entry.parameters[key]}
    return entry.load(format_setting(name, changed), {**entry.parameters, **given}, problems)
