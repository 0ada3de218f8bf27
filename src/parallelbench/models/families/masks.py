"""Attention masks and positions from what is present and where blocks end."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def positions_of(present: Bool[Tensor, "B L"]) -> Int[Tensor, "B L"]:
    """Position of each token among those of its own row, so that padding moves nothing; padding gets 0."""
    return (present.long().cumsum(-1) - 1).clamp_min(0)


def allowed(present: Bool[Tensor, "B L"], queries: Int[Tensor, " Q"], block_size: int | None) -> Bool[Tensor, "B Q L"]:
    """Which tokens the queries (columns of the canvas) may see: all present ones, or up to their own block.

    Blocks are counted from each row's first token, so a token's block does not depend on its batch.
    """
    keys = present.unsqueeze(1)
    if block_size is None:
        return keys.expand(-1, len(queries), -1)
    block = positions_of(present) // block_size
    return keys & (block.unsqueeze(1) <= block[:, queries].unsqueeze(-1))


def additive(mask: Bool[Tensor, "B Q L"], dtype: torch.dtype) -> Float[Tensor, "B 1 Q L"]:
    """0 where attention is allowed, the dtype's lowest number elsewhere.

    A 4-D boolean mask is silently wrong under transformers' eager attention; an additive one is right under
    both eager and sdpa.
    """
    lowest = torch.finfo(dtype).min
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, lowest).unsqueeze(1)
