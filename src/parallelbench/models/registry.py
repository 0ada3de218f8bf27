"""The table of models: everything `--model` accepts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from parallelbench.errors import UsageError, lookup
from parallelbench.models.base import Denoiser, DenoiserSpec, Tokenizer
from parallelbench.models.families.load import PARAMETERS, checkpoint_tokenizer, is_checkpoint, load_checkpoint
from parallelbench.models.generators.api import PROVIDERS, load_api
from parallelbench.models.generators.base import Generator, by_itself, decoded_by_steps
from parallelbench.models.generators.causal import load_smollm2
from parallelbench.models.ideal import NOISE, IdealDenoiser, Special
from parallelbench.models.native.files import is_built_in, load_built_in
from parallelbench.models.native.samplers import STEPS
from parallelbench.models.native.verified import verified_native
from parallelbench.models.words import EOS, MASK, PAD, WordTokenizer
from parallelbench.settings import Value, format_setting, parse_setting
from parallelbench.tasks.base import Sample, Task
from parallelbench.tasks.corpus import corpus, published_corpus

Problems = Sequence[tuple[Task, Sample]]

__all__ = [
    "MODELS",
    "Denoiser",
    "DenoiserSpec",
    "Generator",
    "Tokenizer",
    "load_denoiser",
    "load_model",
    "load_tokenizer",
]
CHECKPOINT = "DIR|ORG/NAME@REVISION"
GENERATORS = frozenset({*PROVIDERS, "smollm2"})
"""Rows of the table that decode by themselves: told apart without a key or weights."""


@dataclass(frozen=True)
class ModelEntry:
    """A row of the table of models.

    Attributes:
        name: What `--model` is given.
        summary: One line about it.
        parameters: Parameters with their defaults.
        load: (canonical name, parameters, the samples it will see) -> denoiser or generator.
    """

    name: str
    summary: str
    parameters: Mapping[str, Value]
    load: Callable[[str, Mapping[str, Value], Problems], Denoiser | Generator]


@lru_cache(maxsize=1)
def word_tokenizer() -> WordTokenizer:
    """The built-in tokenizer over every text the package ships."""
    return WordTokenizer(corpus())


def _load_ideal(name: str, parameters: Mapping[str, Value], problems: Problems) -> Denoiser:
    noise = parameters["noise"]
    if isinstance(noise, str | bool) or not 0 <= noise < 1:
        raise UsageError(f"{name}: noise={noise} is not allowed; noise is a number from 0 to below 1.")
    more = frozenset(published_corpus({task.name: task for task, _ in problems}.values()))
    words = WordTokenizer([*corpus(), *more]) if more else word_tokenizer()
    return IdealDenoiser(
        name,
        words,
        words.encode_chat,
        words.vocab_size,
        Special(MASK, EOS, PAD),
        problems,
        float(noise),
        words.digest,
        corpus,
    )


def _learned(name: str, process: str, parameters: Mapping[str, Value] = MappingProxyType({})) -> ModelEntry:
    def load(canonical: str, given: Mapping[str, Value], problems: Problems) -> Denoiser | Generator:
        steps = given.get("steps", 0)
        if isinstance(steps, bool) or not isinstance(steps, int) or ("steps" in given and steps < 1):
            raise UsageError(f"{name}: steps={steps} is not allowed; steps is a whole number of at least 1.")
        model = load_built_in(name, canonical, steps)
        return verified_native(model, load_model(str(given["verifier"])), canonical) if given.get("verifier") else model

    summary = f"a small learned {process} for the list tasks and puzzles (docs/tiny.md)"
    return ModelEntry(name, summary, parameters, load)


LEARNED = (
    _learned("tiny", "masked diffusion model", {"verifier": ""}),
    _learned("tiny-uniform", "uniform diffusion model", {"steps": STEPS}),
    _learned("tiny-ar", "autoregressive model"),
)
"""Trained for the package, all in the same way."""


def shipped() -> list[ModelEntry]:
    """Those of `LEARNED` whose weights are in the package."""
    return [entry for entry in LEARNED if is_built_in(entry.name)]


MODELS: Mapping[str, ModelEntry] = {
    entry.name: entry
    for entry in (
        ModelEntry(
            "ideal",
            "exact marginals of each task's correct answers: the best any model could do",
            {"noise": NOISE},
            _load_ideal,
        ),
        *shipped(),
        ModelEntry(
            CHECKPOINT,
            "a checkpoint: a directory, or a hub id with an optional revision; see `pb models families`",
            PARAMETERS,
            lambda name, parameters, problems: load_checkpoint(name),
        ),
        ModelEntry(
            "smollm2",
            "SmolLM2-135M-Instruct, the autoregressive model that runs everywhere",
            {},
            lambda name, parameters, problems: load_smollm2(name),
        ),
        ModelEntry(
            "openai",
            "any OpenAI-compatible endpoint (vLLM, SGLang, llama.cpp, Mercury ...), e.g. openai:model=NAME,url=URL",
            PROVIDERS["openai"].defaults,
            lambda name, parameters, problems: load_api("openai", parameters),
        ),
        ModelEntry(
            "anthropic",
            "Anthropic's models, e.g. anthropic:model=NAME",
            PROVIDERS["anthropic"].defaults,
            lambda name, parameters, problems: load_api("anthropic", parameters),
        ),
    )
}


def load_model(text: str, problems: Problems = ()) -> Denoiser | Generator:
    """Load the model of a string such as `ideal`, `ideal:noise=0`, `checkpoints/dream` or `ORG/NAME@REVISION`.

    Args:
        text: Model string: a row of the table, a directory, or a hub id.
        problems: (task, sample) pairs it will be asked about; only the ideal denoiser needs them.

    Raises:
        UsageError: unknown model or parameter.
    """
    name = text.partition(":")[0]
    if name not in MODELS and is_checkpoint(text):
        return load_checkpoint(text)
    entry = lookup(MODELS, name, "model")
    try:
        _, given = parse_setting(text)
    except UsageError:
        if name in PROVIDERS:  # the text may hold a key in the wrong place: say nothing of it
            raise UsageError(f"{name}: expected key=value parts, separated by commas, after {name + ':'!r}.") from None
        raise
    for key in given:
        lookup(entry.parameters, key, f"parameter of {name}")
    changed = {key: value for key, value in given.items() if value != entry.parameters[key]}
    return entry.load(format_setting(name, changed), {**entry.parameters, **given}, problems)


def load_denoiser(text: str, problems: Problems = ()) -> Denoiser:
    """`load_model` for those who decode step by step.

    Raises:
        UsageError: unknown model or parameter, or a model that decodes by itself.
    """
    return decoded_by_steps(load_model(text, problems), text)


def load_tokenizer(text: str) -> tuple[Tokenizer, int]:
    """The tokenizer of a model and its end-of-text token, without the weights of a published checkpoint.

    Raises:
        UsageError: unknown model, one that is not at hand, or one that decodes by itself.
    """
    name = text.partition(":")[0]
    if name not in MODELS and is_checkpoint(text):
        return checkpoint_tokenizer(text)
    if name in GENERATORS:
        raise by_itself(name)  # the rest of the text may hold a key in the wrong place
    model = load_denoiser(text)
    return model.tokenizer, model.spec.eos_id
