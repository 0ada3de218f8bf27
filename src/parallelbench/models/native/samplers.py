"""Small networks that decode by themselves: the autoregressive one, and the one of uniform diffusion."""

import time
from collections.abc import Iterable, Iterator
from itertools import islice

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from parallelbench.models.generators.base import Generation, GeneratorSpec, Request
from parallelbench.models.native.network import AnswerNetwork
from parallelbench.models.words import ASSISTANT, EOS, PAD, PhraseTokenizer

STEPS = 32
"""Steps of uniform diffusion where none are given."""


class NativeSampler:
    """A small network as a Generator; what differs is how a batch of answers is made, `_answers`.

    Args:
        spec: Its identity.
        network: In evaluation mode.
        tokenizer: Its tokenizer.
    """

    def __init__(self, spec: GeneratorSpec, network: AnswerNetwork, tokenizer: PhraseTokenizer) -> None:
        self.spec, self.network, self.tokenizer = spec, network, tokenizer

    def generate(self, requests: Iterable[Request], batch_size: int) -> Iterator[Generation]:
        """Answers in batches."""
        queue = iter(requests)
        while batch := list(islice(queue, batch_size)):
            began = time.perf_counter()
            prompt, present = self._prompts(batch)
            rows, forwards = self._answers(prompt, present, [request.seed for request in batch])
            seconds = (time.perf_counter() - began) / len(batch)
            for request, row in zip(batch, rows.tolist(), strict=True):
                yield self._generation(request, row, forwards, seconds)

    def _answers(
        self, prompt: Int[Tensor, "B P"], present: Bool[Tensor, "B P"], seeds: list[int]
    ) -> tuple[Int[Tensor, "B A"], int | None]:
        """Answers, and the forwards each took, None for as many as it has tokens."""
        raise NotImplementedError

    def _prompts(self, batch: list[Request]) -> tuple[Int[Tensor, "B P"], Bool[Tensor, "B P"]]:
        asked = [[*self.tokenizer.encode(request.messages[-1]["content"]), ASSISTANT] for request in batch]
        width = max(map(len, asked))
        prompt = torch.tensor([[PAD] * (width - len(ids)) + ids for ids in asked])
        return prompt, torch.tensor([[False] * (width - len(ids)) + [True] * len(ids) for ids in asked])

    def _generation(self, request: Request, row: list[int], forwards: int | None, seconds: float) -> Generation:
        row = row[: request.max_tokens]
        end = row.index(EOS) if EOS in row else len(row)
        effective = min(end + 1, len(row))
        if forwards is None:
            row = row[:effective]
        return Generation(
            request.id, self.tokenizer.decode(row[:end]), tuple(row), forwards or effective, effective, seconds
        )


class CausalSampler(NativeSampler):
    """Greedy, one token a forward."""

    @torch.inference_mode()
    def _answers(
        self, prompt: Int[Tensor, "B P"], present: Bool[Tensor, "B P"], seeds: list[int]
    ) -> tuple[Int[Tensor, "B A"], int | None]:
        """See `NativeSampler._answers`."""
        answer = torch.full((len(prompt), self.network.size.answer), EOS)
        for place in range(answer.shape[1]):
            # the last token is there for its row alone: row i says token i from those before it
            said = self.network(prompt, present, answer[:, : place + 1])[:, place]
            answer[:, place] = self.network.written[said.argmax(-1)]
            if (answer[:, : place + 1] == EOS).any(-1).all():
                break
        return answer, None


class UniformSampler(NativeSampler):
    """Ancestral sampling of uniform diffusion (Austin et al. 2021), and the likeliest tokens in the last step.

    `spec.parameters["steps"]` forwards an answer, from random tokens at time 1 down to 0. The network tells
    p(x0 | x_t); x_s is drawn from sum over x0 of p(x0 | x_t) q(x_s | x_t, x0).
    """

    @torch.inference_mode()
    def _answers(
        self, prompt: Int[Tensor, "B P"], present: Bool[Tensor, "B P"], seeds: list[int]
    ) -> tuple[Int[Tensor, "B A"], int | None]:
        """See `NativeSampler._answers`."""
        steps, written = int(self.spec.parameters["steps"]), self.network.written
        draws = [torch.Generator().manual_seed(seed) for seed in seeds]
        shape = (self.network.size.answer,)
        now = torch.stack([torch.randint(len(written), shape, generator=draw) for draw in draws])
        for step in range(steps, 0, -1):
            clean = self.network(prompt, present, written[now]).softmax(-1)
            if step == 1:
                now = clean.argmax(-1)
                break
            odds = earlier(clean, now, step / steps, (step - 1) / steps)
            point = torch.stack([torch.rand(shape, generator=draw) for draw in draws])
            total = odds.cumsum(-1)
            now = torch.searchsorted(total, point.unsqueeze(-1) * total[..., -1:], right=True).squeeze(-1)
            now = now.clamp_max(len(written) - 1)
        return written[now], steps


def earlier(clean: Float[Tensor, "B A O"], now: Int[Tensor, "B A"], t: float, s: float) -> Float[Tensor, "B A O"]:
    """p(x_s | x_t) of uniform diffusion with keeping probability 1 - t, from p(x0 | x_t), for s < t <= 1.

    q(x_s = i | x_t, x0 = j) = q(x_t | i) q(i | j) / q(x_t | j); only whether i and j equal x_t and each other
    matters, so the sum over j is a sum of a few terms.
    """
    tokens = clean.shape[-1]
    kept, kept_before = 1 - t, 1 - s
    step = kept / kept_before
    at = torch.zeros_like(clean).scatter_(-1, now.unsqueeze(-1), 1.0)
    forward = step * at + (1 - step) / tokens  # q(x_t | x_s = i)
    reached = kept * at + (1 - kept) / tokens  # q(x_t | x0 = j)
    share = clean / reached
    return forward * (kept_before * share + (1 - kept_before) / tokens * share.sum(-1, keepdim=True))
