"""A bidirectional transformer with random weights: what a forward costs, without a checkpoint."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from parallelbench.models.base import DenoiserSpec, Message
from parallelbench.models.scripted import NumberTokenizer


@dataclass(frozen=True)
class Size:
    """How large the transformer is.

    Attributes:
        layers: Pre-norm blocks of attention and a four times wider MLP.
        width: Channels; heads are 64 wide (or as wide as the whole).
        vocabulary: V. The last id is the mask, the one before it EOS, the one before that the filler.
        positions: Longest canvas.
    """

    layers: int = 8
    width: int = 256
    vocabulary: int = 32_000
    positions: int = 512


class Block(nn.Module):
    """Pre-norm attention over all positions, then an MLP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // 64)
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, visible: Tensor | None) -> Tensor:
        """[B, L, width] to the same; `visible` [B, 1, 1, L] is None where nothing is padding."""
        q, k, v = self.qkv(self.before_attention(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, visible).transpose(1, 2).flatten(2))
        added: Tensor = self.mlp(self.before_mlp(x))
        return x + added


class RandomTransformer(nn.Module):
    """A `Denoiser` whose weights are drawn from a seed.

    Args:
        size: See `Size`.
        seed: Of the weights.
        sharpness: Standard deviation of the logits. Around 7, the best of 32,000 random logits has a probability
            anywhere between 0.2 and 1, so that a threshold has something to decide.
    """

    def __init__(self, size: Size = Size(), seed: int = 0, sharpness: float = 7.0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.tokenizer = NumberTokenizer()
        self.spec = DenoiserSpec(
            name="random-transformer", revision=f"{size}/{seed}", vocab_size=size.vocabulary,
            mask_id=size.vocabulary - 1, eos_id=size.vocabulary - 2, pad_id=size.vocabulary - 3,
        )  # fmt: skip
        self.token = nn.Embedding(size.vocabulary, size.width)
        self.position = nn.Embedding(size.positions, size.width)
        self.blocks = nn.ModuleList(Block(size.width) for _ in range(size.layers))
        self.norm = nn.LayerNorm(size.width)
        self.head = nn.Linear(size.width, size.vocabulary, bias=False)
        nn.init.normal_(self.head.weight, std=sharpness / size.width**0.5)
        self.requires_grad_(False)

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Ids written as numbers."""
        return [token for message in messages for token in self.tokenizer.encode(message["content"])]

    def decode(self, ids: Sequence[int]) -> str:
        """Ids as numbers."""
        return self.tokenizer.decode(ids)

    def hidden(self, canvas: Tensor, attention_mask: Tensor) -> Tensor:
        """Last hidden states [B, L, width]."""
        place = (attention_mask.cumsum(-1) - 1).clamp_min(0)
        visible = None if bool(attention_mask.all()) else attention_mask[:, None, None, :]
        x = self.token(canvas) + self.position(place)
        for block in self.blocks:
            x = block(x, visible)
        normed: Tensor = self.norm(x)
        return normed

    def logits(self, canvas: Tensor, attention_mask: Tensor, rows: Tensor) -> Tensor:
        """Logits of `rows` only, [N, V]."""
        found: Tensor = self.head(self.hidden(canvas, attention_mask)[rows])
        return found
