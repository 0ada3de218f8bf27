"""Denoisers that decode by a sampler of their own, as Generators: SEDD's analytic one, and DiffusionGemma's."""

import time
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from parallelbench.errors import UsageError
from parallelbench.models.families.build import Checkpoint, Options
from parallelbench.models.families.extras import optional
from parallelbench.models.families.pretrained import pretrained
from parallelbench.models.families.sedd import SeddNetwork
from parallelbench.models.families.tokens import HubTokenizer, Special
from parallelbench.models.generators.base import Generation, GeneratorSpec, Request, failed

LAST_TIME = 1e-5
"""Time at which the noise that is left is removed in one step."""


class SeddSampler:
    """SEDD's analytic predictor (algorithm 2 of arXiv 2310.16834), the prompt held fixed.

    `steps` forwards a sample: steps - 1 predictor steps from time 1 down, then one that removes what noise is
    left. Under absorbing noise the region begins as masks, under uniform noise as random tokens.
    """

    def __init__(
        self, spec: GeneratorSpec, network: SeddNetwork, tokenizer: HubTokenizer, special: Special, steps: int
    ) -> None:
        self.spec, self.network, self.tokenizer, self._special = spec, network, tokenizer, special
        self.steps = steps

    def generate(self, requests: Iterable[Request], batch_size: int) -> Iterator[Generation]:
        """Answers in batches of the same length; each draws from its own generator."""
        queue = iter(requests)
        while batch := list(islice(queue, batch_size)):
            ordered = sorted(batch, key=lambda request: request.max_tokens)
            for _, group in groupby(ordered, key=lambda request: request.max_tokens):
                yield from self._answer(list(group))

    def _answer(self, group: list[Request]) -> Iterator[Generation]:
        began, length = time.perf_counter(), group[0].max_tokens
        prompts = [self.tokenizer.encode_chat(request.messages) for request in group]
        regions = self.sample(prompts, length, [request.seed for request in group])
        seconds = (time.perf_counter() - began) / len(group)
        for request, row in zip(group, regions.tolist(), strict=True):
            ends = (place for place, token in enumerate(row) if token == self._special.eos)
            end = next(ends, length)
            text = self.tokenizer.decode(row[:end])
            yield Generation(request.id, text, tuple(row), self.steps, min(end + 1, length), seconds)

    def sample(self, prompts: list[list[int]], length: int, seeds: list[int]) -> Int[Tensor, "B G"]:
        """Regions of `length` tokens behind the prompts."""
        network, graph, noise = self.network, self.network.graph, self.network.noise
        draws = [torch.Generator().manual_seed(seed) for seed in seeds]
        canvas, present = self._start(prompts, length, draws)
        times = torch.linspace(1, LAST_TIME, self.steps)
        for step, now in enumerate(times):
            sigma = noise.total(now)
            last = step == self.steps - 1
            change = sigma if last else sigma - noise.total(times[step + 1])
            score = network.log_score(canvas, sigma.expand(len(canvas)), present)[:, -length:].exp().cpu()
            region, dsigma = canvas[:, -length:], change.expand(len(canvas), 1)
            odds = graph.staggered_score(score, dsigma) * graph.transp_transition(region, dsigma)
            if last and graph.kind == "absorb":
                odds[..., -1] = 0
            canvas[:, -length:] = categorical(
                odds.clamp_min(0), torch.stack([torch.rand(length, generator=d) for d in draws])
            )
        return canvas[:, -length:]

    def _start(
        self, prompts: list[list[int]], length: int, draws: list[torch.Generator]
    ) -> tuple[Int[Tensor, "B L"], Bool[Tensor, "B L"]]:
        """Left-padded prompts and a region of pure noise."""
        width = max(map(len, prompts)) + length
        canvas = torch.full((len(prompts), width), self._special.pad)
        present = torch.zeros_like(canvas, dtype=torch.bool)
        for row, (prompt, draw) in enumerate(zip(prompts, draws, strict=True)):
            start = width - length - len(prompt)
            canvas[row, start : width - length] = torch.tensor(prompt, dtype=torch.int64)
            present[row, start:] = True
            size = self.network.graph.size
            mask = torch.full((length,), size - 1)
            canvas[row, -length:] = (
                mask if self._special.mask is not None else torch.randint(size, (length,), generator=draw)
            )
        return canvas, present


def categorical(odds: Float[Tensor, "B G V"], uniform: Float[Tensor, "B G"]) -> Int[Tensor, "B G"]:
    """One token a position with probability proportional to its odds, by the inverse of the cumulative sum."""
    total = odds.double().cumsum(-1)
    point = uniform.double().unsqueeze(-1) * total[..., -1:]
    return torch.searchsorted(total, point, right=True).squeeze(-1).clamp_max(odds.shape[-1] - 1)


class OwnSampler:
    """A class of transformers that brings its own diffusion sampler (DiffusionGemma), one prompt at a time.

    NFE counts every forward of the encoder and of the decoder.
    """

    def __init__(self, spec: GeneratorSpec, model: Any, tokenizer: HubTokenizer, special: Special, steps: int) -> None:
        self.spec, self.model, self.tokenizer, self._special = spec, model, tokenizer, special
        self._steps, self._forwards = steps, 0
        for part in (model.model.encoder, model.model.decoder):
            part.register_forward_hook(self._count)

    def _count(self, *_: Any) -> None:
        self._forwards += 1

    def generate(self, requests: Iterable[Request], batch_size: int) -> Iterator[Generation]:
        """Answers one by one, so that none depends on its company."""
        for request in requests:
            yield self._answer(request)

    def _answer(self, request: Request) -> Generation:
        began, self._forwards = time.perf_counter(), 0
        prompt = torch.tensor([self.tokenizer.encode_chat(request.messages)], device=self.model.device)
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(request.seed)
            try:
                out = self.model.generate(
                    prompt, max_new_tokens=request.max_tokens, max_denoising_steps=self._steps,
                    eos_token_id=self._special.eos, pad_token_id=self._special.pad, disable_compile=True,
                )  # fmt: skip
            except (RuntimeError, ValueError) as error:
                return failed(request, f"{type(error).__name__}: {error}", time.perf_counter() - began)
        row = out.sequences[0, prompt.shape[1] :].tolist()[: request.max_tokens]
        ends = {self._special.eos, *self._special.stop}
        end = next((place for place, token in enumerate(row) if token in ends), len(row))
        text = self.tokenizer.decode(row[:end])
        return Generation(
            request.id, text, tuple(row), self._forwards, min(end + 1, len(row)), time.perf_counter() - began
        )


def load_own_sampler(checkpoint: Checkpoint, options: Options) -> Any:
    """The class of transformers with its weights.

    Raises:
        UsageError: weights that do not match, or more than the memory holds.
    """
    transformers = optional("transformers", "models")
    cls = getattr(transformers, checkpoint.family.architecture, None)
    if cls is None:
        raise UsageError(
            f"{checkpoint.family.name} needs a newer transformers: pip install -U 'parallelbench[models]'."
        )
    directory = checkpoint.directory
    return pretrained(
        cls, lambda: cls(cls.config_class.from_pretrained(directory)), directory, checkpoint.dtype(options), options
    )


def sampler_spec(name: str, revision: str, dtype: str, method: str, steps: int) -> GeneratorSpec:
    """Identity of a sampler: its name and steps are what an unmasking method's setting is elsewhere."""
    return GeneratorSpec(name, revision, dtype, method, {"steps": steps}, f"{method}:steps={steps}")
