"""Key-value caches of a small network: what is stored goes stale, as it does in a large one.

The forward still runs over the whole canvas, and keys and values outside the window are exchanged for the stored
ones. So the window sees what a cached forward shows it, exactly; canvases this short have no time to save.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from parallelbench.models.native.network import AnswerNetwork, Block


@dataclass(frozen=True)
class Cache:
    """What a canvas looked like when it was stored.

    Attributes:
        canvas: Its token ids.
        present: False at its padding.
        kept: What every layer's keys and values were, and what the pointer looked at.
    """

    canvas: Int[Tensor, "B L"]
    present: Bool[Tensor, "B L"]
    kept: Mapping[nn.Module, Tensor]


@contextmanager
def recorded(network: AnswerNetwork) -> Iterator[dict[nn.Module, Tensor]]:
    """Keys and values of the forward inside the context."""
    kept: dict[nn.Module, Tensor] = {}

    def keep(part: nn.Module, _: object, out: Tensor) -> None:
        kept[part] = out

    with _hooked(network, keep):
        yield kept


@contextmanager
def exchanged(network: AnswerNetwork, kept: Mapping[nn.Module, Tensor], fresh: Bool[Tensor, "B N"]) -> Iterator[None]:
    """Forwards inside the context see the stored keys and values everywhere but at the `fresh` positions."""

    def exchange(part: nn.Module, _: object, out: Tensor) -> Tensor:
        return torch.where(fresh[:, : out.shape[1], None], out, kept[part])

    with _hooked(network, exchange):
        yield


@contextmanager
def _hooked(network: AnswerNetwork, hook: Callable[[nn.Module, object, Tensor], Tensor | None]) -> Iterator[None]:
    parts = [part for block in cast(Iterable[Block], network.blocks) for part in (block.k, block.v)]
    with ExitStack() as stack:
        for part in (*parts, network.point_at):
            stack.callback(part.register_forward_hook(hook).remove)
        yield
