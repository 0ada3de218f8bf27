"""A small transformer for short answers to short prompts, with a head that can point at words of the prompt."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

POSITION_SHARE = 4
"""One channel in so many starts out for positions, the others for tokens."""
MATCHING_LAYERS = 2
"""Layers, from the first, in which half of the heads start out looking for their own token elsewhere."""
WAVES = (0.5, 1, 2, 4, 8, 16)
"""Half-turns over the alphabet of the waves that tell a token's place in it; they take at most every eighth channel."""


@dataclass(frozen=True)
class Size:
    """The shape of a network.

    Attributes:
        vocabulary: Tokens it can read.
        outputs: Tokens it can write.
        prompt: Prompt positions with an embedding of their own, from either end.
        answer: Answer positions it sees; whatever comes after them is the end of the text.
        width: Channels.
        layers: Blocks.
        heads: Attention heads of a block.
        hidden: Channels inside the feed-forward part.
        causal: Whether an answer token sees only what is to its left.
    """

    vocabulary: int
    outputs: int
    prompt: int
    answer: int
    width: int = 128
    layers: int = 4
    heads: int = 4
    hidden: int = 320
    causal: bool = False


class Block(nn.Module):
    """Attention with rotary positions, then a gated feed-forward part, each after a root-mean-square norm."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads = size.heads
        self.before_attention, self.before_mlp = nn.RMSNorm(size.width), nn.RMSNorm(size.width)
        self.q, self.k, self.v, self.o = (nn.Linear(size.width, size.width, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(size.width, size.hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(size.hidden, size.width, bias=False)

    def forward(
        self,
        x: Float[Tensor, "B L D"],
        turn: tuple[Tensor, Tensor],
        bias: Float[Tensor, "B 1 _ L"],
        looks: list[Tensor] | None = None,
    ) -> Float[Tensor, "B L D"]:
        """The next hidden states.

        Args:
            x: The hidden states.
            turn: Cos and sin of the rotary positions.
            bias: Added to the scores.
            looks: Where to put the attention [B, L, L], averaged over heads.
        """
        normed = self.before_attention(x)
        q, k, v = (part(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.q, self.k, self.v))
        # Plain products: on a CPU, and for canvases this short, they beat the fused attention kernel.
        scores = rotate(q, *turn) @ rotate(k, *turn).transpose(-1, -2) * q.shape[-1] ** -0.5
        weights = torch.softmax(scores + bias, dim=-1)
        if looks is not None:
            looks.append(weights.mean(1))
        x = x + self.o((weights @ v).transpose(1, 2).flatten(2))
        normed = self.before_mlp(x)
        added: Tensor = self.down(F.silu(self.gate(normed)) * self.up(normed))
        return x + added


class AnswerNetwork(nn.Module):
    """Logits of answer tokens, given a prompt and an answer that is partly hidden.

    Args:
        size: See `Size`.
        written: Ids of the tokens it can write, one an output.
    """

    written: Tensor
    column: Tensor

    def __init__(self, size: Size, written: Int[Tensor, " O"]) -> None:
        super().__init__()
        self.size = size
        self.token = nn.Embedding(size.vocabulary, size.width)
        self.from_start = nn.Embedding(size.prompt, size.width)
        self.from_end = nn.Embedding(size.prompt, size.width)
        self.in_answer = nn.Embedding(size.answer, size.width)
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.layers))
        self.norm = nn.RMSNorm(size.width)
        self.head = nn.Linear(size.width, size.outputs, bias=False)
        self.point_from, self.point_at = (nn.Linear(size.width, size.width, bias=False) for _ in range(2))
        self.register_buffer("written", written)
        # Tokens it can't write share a column behind the last one.
        column = torch.full((size.vocabulary,), size.outputs)
        column[written] = torch.arange(size.outputs)
        self.register_buffer("column", column, persistent=False)

    def forward(
        self,
        prompt: Int[Tensor, "B P"],
        present: Bool[Tensor, "B P"],
        answer: Int[Tensor, "B A"],
        looks: list[Tensor] | None = None,
    ) -> Float[Tensor, "B A O"]:
        """Logits of every answer position over the tokens that can be written.

        Args:
            prompt: Token ids, padded on the left.
            present: False at the padding.
            answer: Token ids, hidden ones included; A is at most `size.answer`.
            looks: Where every block puts its attention [B, P + A, P + A], averaged over heads.
        """
        x = self._embed(prompt, present, answer)
        turn = rotary(x.shape[1], self.size.width // self.size.heads)
        bias = self._bias(present, answer.shape[1])
        for block in self.blocks:
            x = block(x, turn, bias, looks)
        return self.read(x, prompt, present)

    def read(
        self, x: Float[Tensor, "B L D"], prompt: Int[Tensor, "B P"], present: Bool[Tensor, "B P"]
    ) -> Float[Tensor, "B A O"]:
        """What hidden states of a prompt and an answer say, the last block's or an earlier one's; see `forward`."""
        x = self.norm(x)
        prompts = prompt.shape[1]
        places = prompts - self.size.causal  # an autoregressive model says the next token
        asking, prompted = x[:, places : places + x.shape[1] - prompts], x[:, :prompts]
        pointed = self.point_from(asking) @ self.point_at(prompted).transpose(-1, -2) * self.size.width**-0.5
        column = torch.where(present, self.column[prompt], self.size.outputs)
        logits = F.pad(self.head(asking), (0, 1))
        return logits.scatter_add(2, column.unsqueeze(1).expand_as(pointed), pointed)[..., :-1]

    def _embed(self, prompt: Tensor, present: Tensor, answer: Tensor) -> Tensor:
        length = prompt.shape[1]
        end = torch.arange(length - 1, -1, -1)
        start = (present.cumsum(-1) - 1).clamp(0, self.size.prompt - 1)
        asked = self.token(prompt) + self.from_start(start) + self.from_end(end.clamp_max(self.size.prompt - 1))
        said = self.token(answer) + self.in_answer.weight[: answer.shape[1]]
        return torch.cat([asked, said], dim=1)

    def _bias(self, present: Tensor, answers: int) -> Tensor:
        seen = F.pad(present, (0, answers), value=True)[:, None, None, :]
        if self.size.causal:
            place = torch.arange(seen.shape[-1])
            prompts = present.shape[1]
            seen = seen & ((place <= place[:, None]) | (place < prompts) & (place[:, None] < prompts))
        return torch.where(seen, 0.0, -1e9)


def rotary(length: int, channels: int, base: float = 1000.0) -> tuple[Float[Tensor, "L C"], Float[Tensor, "L C"]]:
    """Cos and sin of rotary positions (Su et al. 2021) for heads of so many channels."""
    angle = torch.arange(length)[:, None] * base ** (-torch.arange(0, channels, 2) / channels)
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos(), angle.sin()


def rotate(x: Float[Tensor, "B H L C"], cos: Float[Tensor, "L C"], sin: Float[Tensor, "L C"]) -> Tensor:
    """Queries or keys turned by their positions."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


@torch.no_grad()
def initialise(network: AnswerNetwork, generator: torch.Generator, rank: Float[Tensor, " V"]) -> None:
    """Weights to start training from.

    Tokens and positions start in channels of their own, and half of the heads of the first layers start with
    equal query and key projections of the token channels: a token attends to its like from the first step, which
    is most of what copying, moving and leaving out need.

    Args:
        network: Its weights are overwritten.
        generator: Source of the random numbers.
        rank: Place of every token in the alphabet, in [0, 1]: a few token channels start as waves over it, as
            a network of words could not else tell their spelling.
    """
    size = network.size
    width, tokens = size.width, size.width - size.width // POSITION_SHARE
    for weight in network.parameters():
        if weight.ndim == 2:
            weight.normal_(0, weight.shape[1] ** -0.5, generator=generator)
        else:
            weight.fill_(1)
    blocks = list(cast(Iterable[Block], network.blocks))
    for block in blocks:
        block.o.weight.mul_((2 * size.layers) ** -0.5)
        block.down.weight.mul_((2 * size.layers) ** -0.5)
    network.token.weight.normal_(0, 0.5, generator=generator)[:, tokens:] = 0
    waves = torch.tensor(WAVES[: tokens // 16]) * torch.pi
    angle = rank[:, None] * waves
    network.token.weight[:, tokens - 2 * len(waves) : tokens] = torch.cat([angle.sin(), angle.cos()], dim=-1)
    for table in (network.from_start, network.from_end, network.in_answer):
        table.weight.normal_(0, 0.5, generator=generator)[:, :tokens] = 0
    matched = width // 2
    for block in blocks[:MATCHING_LAYERS]:
        shared = torch.zeros(matched, width)
        shared[:, :tokens].normal_(0, tokens**-0.5, generator=generator)
        for part in (block.q, block.k):
            noise = torch.empty(matched, width).normal_(0, 0.1 * tokens**-0.5, generator=generator)
            part.weight[:matched] = shared + noise
    network.point_from.weight.mul_(0.3)
    network.point_at.weight.copy_(network.point_from.weight)
    network.head.weight.mul_(0.1)
