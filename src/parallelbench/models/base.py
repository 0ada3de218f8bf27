"""What the decoder asks of a model: logits for masked positions of a canvas, and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor

Message = Mapping[str, str]


@dataclass(frozen=True)
class DenoiserSpec:
    """Identity and facts of a denoiser.

    Attributes:
        name: Canonical model string, part of every lane id and signature.
        revision: Version of weights or definition.
        vocab_size: V, width of a logits row.
        mask_id: Token that stands for "not decided yet".
        eos_id: Text ends at the first of these.
        pad_id: Filler left of shorter prompts in a batch.
        block_size: None for full attention; else tokens see the blocks up to their own (block-causal).
        stop_ids: Further tokens that end the text, such as the end of a chat turn.
        dtype: Number format of the logits before they become float32.
        capabilities: Optional abilities.
            "columns": `columns(prompt)` names the tokens that can follow a prompt at all, sorted; `logits`
            then returns only these columns, for canvases of one prompt at a time.
            "distance": `distance(prompt, region)` tells how far a result is from the model's support.
            "lane_noise": `perturb(logits, seeds, positions, columns)` adds each lane's own noise after
            identical canvases were forwarded once.
            "policy": `policy(prompt, region, steps, temperature)` names the positions that are best
            committed next with so many steps left.
        tasks: Names of the only tasks it was made for, without options; None for a model that takes any.
    """

    name: str
    revision: str
    vocab_size: int
    mask_id: int
    eos_id: int
    pad_id: int
    block_size: int | None = None
    stop_ids: frozenset[int] = frozenset()
    dtype: str = "float32"
    capabilities: frozenset[str] = frozenset()
    tasks: frozenset[str] | None = None


@runtime_checkable
class Tokenizer(Protocol):
    """Text to ids and back; `decode(encode(text)) == text`."""

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without special tokens."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids; special tokens become nothing."""
        ...


@runtime_checkable
class Denoiser(Protocol):
    """Anything that gives token logits for positions of a canvas."""

    spec: DenoiserSpec
    tokenizer: Tokenizer

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Prompt ids of a chat, the generation header included."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids, special tokens dropped."""
        ...

    def logits(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "N K"]:
        """Logits of the positions in `rows`, in row-major order. The loop sets the mask token to -inf.

        Padding is on the left: `attention_mask` is False there. Only the rows asked for go through
        the output head.
        """
        ...
