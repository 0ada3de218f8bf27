"""`--model DIR` and `--model ORG/NAME@REVISION`: a Denoiser where the checkpoint is one, else a Generator."""

import os
from collections.abc import Mapping
from pathlib import Path

from parallelbench.errors import UsageError
from parallelbench.models.base import Denoiser, Tokenizer
from parallelbench.models.families.build import Checkpoint, Options, build, inspect, unknown_family
from parallelbench.models.families.denoiser import FamilyDenoiser
from parallelbench.models.families.extras import optional
from parallelbench.models.families.files import checkpoint_digest, find_checkpoint, read_json
from parallelbench.models.families.samplers import OwnSampler, SeddSampler, load_own_sampler, sampler_spec
from parallelbench.models.families.sedd import SeddNetwork
from parallelbench.models.families.tokens import end_token, load_tokenizer, special_tokens
from parallelbench.models.generators.base import Generator, decoded_by_steps
from parallelbench.models.generators.causal import CausalGenerator, load_causal
from parallelbench.models.guidance import GuidedDenoiser
from parallelbench.models.native.files import is_native, load_directory
from parallelbench.models.native.verified import verified_native
from parallelbench.models.verified import verified
from parallelbench.settings import Value, format_setting, parse_setting

PARAMETERS: Mapping[str, Value] = {
    "family": "", "dtype": "auto", "device": "auto", "attention": "sdpa", "block": 0, "steps": 0, "adapter": "",
    "guidance": 0.0, "verifier": "",
}  # fmt: skip
"""What may follow the path: `DIR:dtype=bfloat16,steps=16`; 0 and empty mean the checkpoint's own."""
OPERATIONAL = ("device",)
STEPS = 32
"""Steps of a sampler where none are given."""


def split_parameters(text: str) -> tuple[str, dict[str, Value]]:
    """Path or hub id, and its parameters; a colon inside a path is no separator."""
    if Path(text).expanduser().is_dir():
        return text, {}
    for colon in (place for place, letter in enumerate(text) if letter == ":"):
        rest = text[colon + 1 :]
        if "=" in rest and rest.partition("=")[0] in PARAMETERS:
            return text[:colon], parse_setting(f"model:{rest}")[1]
    return text, {}


def is_checkpoint(text: str) -> bool:
    """Whether a model string names a directory or a hub id rather than a row of the table."""
    place, _ = split_parameters(text)
    return "/" in place.partition(":")[0] or place.startswith((".", "~")) or Path(place).is_dir()


def with_parameter(text: str, key: str, value: Value) -> str:
    """The model string with one more parameter, which wins over one that stands there."""
    place, given = split_parameters(text)
    return format_setting(place, {**given, key: value})


def options_of(given: Mapping[str, Value]) -> Options:
    """Loading options from parameters.

    Raises:
        UsageError: a value that is not allowed.
    """
    values = {**PARAMETERS, **given}
    for key in ("block", "steps"):
        value = values[key]
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise UsageError(f"{key}={value} is not allowed; {key} is a whole number of at least 1.")
    return Options(
        dtype=str(values["dtype"]),
        device=str(values["device"]),
        attention=str(values["attention"]),
        family=str(values["family"]) or None,
        block=int(values["block"]) or None,
        adapter=Path(str(values["adapter"])).expanduser() if values["adapter"] else None,
    )


def load_checkpoint(text: str) -> Denoiser | Generator:
    """Load the checkpoint of a model string.

    Raises:
        UsageError: no such place, an unknown family, or a checkpoint that cannot be loaded safely.
    """
    place, given = split_parameters(text)
    directory, commit = find_checkpoint(place)
    options = options_of(given)
    told = {key: value for key, value in given.items() if key not in OPERATIONAL and value != PARAMETERS[key]}
    name = format_setting(place if commit else os.path.normpath(place), told)
    if is_native(read_json(directory / "config.json")):
        if told.keys() - {"steps", "verifier"}:
            raise UsageError(f"{directory} is a model of `pb train`; it takes no {', '.join(told)}.")
        model = load_directory(directory, name, int(given.get("steps", 0)))
        return verified_native(model, load_checkpoint(str(told["verifier"])), name) if told.get("verifier") else model
    checkpoint = inspect(directory, options.family)
    if checkpoint is None:
        config = read_json(directory / "config.json")
        known = optional("transformers", "models").models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        if config.get("model_type") not in known:
            raise unknown_family(config)
        return load_causal(name, directory, commit, config, options)
    revision = commit or checkpoint.digest
    if options.adapter is not None:
        files = [path for path in [options.adapter / "adapter_model.safetensors"] if path.is_file()]
        revision += "+" + checkpoint_digest(options.adapter, files)
    return _joined(assemble(checkpoint, options, name, revision, int(given.get("steps", 0))), given, name)


def checkpoint_tokenizer(text: str) -> tuple[Tokenizer, int]:
    """The tokenizer of a model string's checkpoint and its end-of-text token; nothing is downloaded.

    The weights of published families are not read; those of `pb train` are few.

    Raises:
        UsageError: no such place, an unknown family, a model that decodes by itself, or no tokenizer to be read.
    """
    place, given = split_parameters(text)
    directory, _ = find_checkpoint(place, fetch=False)
    config = read_json(directory / "config.json")
    if is_native(config):
        model = decoded_by_steps(load_directory(directory, text), text)
        return model.tokenizer, model.spec.eos_id
    checkpoint = inspect(directory, options_of(given).family)
    if checkpoint is None:
        raise unknown_family(config)
    tokenizer = load_tokenizer(directory, checkpoint.family)
    return tokenizer, end_token(directory, config, checkpoint.family, tokenizer)


def _joined(model: Denoiser | Generator, given: Mapping[str, Value], name: str) -> Denoiser | Generator:
    """The model with the verifier and the guidance that were asked for.

    Raises:
        UsageError: a model that decodes by itself, a verifier that is none, or no number.
    """
    scale, verifier = given.get("guidance", 0.0), given.get("verifier")
    if not verifier and scale == 0:
        return model
    if isinstance(scale, str | bool) or scale < 0:
        raise UsageError(f"guidance={scale} is not allowed; guidance is a number of at least 0.")
    if isinstance(model, Generator):
        raise UsageError(f"{name} decodes by itself: guidance and a verifier belong to models decoded by --method.")
    if verifier and scale:
        raise UsageError(f"{name}: guidance and a verifier don't go together.")
    if scale:
        return GuidedDenoiser(model, float(scale), name)
    judge = load_checkpoint(str(verifier))
    if not isinstance(judge, CausalGenerator):
        raise UsageError(f"verifier={verifier} is not an autoregressive model.")
    return verified(model, judge, name)


def assemble(
    checkpoint: Checkpoint, options: Options, name: str, revision: str, steps: int = 0
) -> Denoiser | Generator:
    """Network, tokenizer and special tokens of a checkpoint, joined as what it can be."""
    family = checkpoint.family
    tokenizer = load_tokenizer(checkpoint.directory, family)
    dtype = str(checkpoint.dtype(options)).removeprefix("torch.")
    if family.kind == "generate":
        model = load_own_sampler(checkpoint, options)
        special = special_tokens(
            checkpoint.directory, checkpoint.config, family, tokenizer, model.config.text_config.vocab_size
        )
        return OwnSampler(
            sampler_spec(name, revision, dtype, "own_sampler", steps or STEPS),
            model,
            tokenizer,
            special,
            steps or STEPS,
        )
    network = build(checkpoint, options)
    special = special_tokens(checkpoint.directory, checkpoint.config, family, tokenizer, network.vocab_size)
    if isinstance(network, SeddNetwork) and (steps or special.mask is None):
        steps = steps or STEPS
        return SeddSampler(sampler_spec(name, revision, dtype, "analytic", steps), network, tokenizer, special, steps)
    if steps:
        raise UsageError(f"steps= belongs to models with a sampler of their own; {family.name} is decoded by --method.")
    return FamilyDenoiser(name, revision, network, tokenizer, special)
