"""What an unmasking method sees at one step, and the numbers derived from it on demand."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

NEVER = float("-inf")
"""Score of a position that cannot be committed."""


@dataclass(frozen=True)
class Numerics:
    """Where published implementations differ in arithmetic.

    Attributes:
        precision: "float32" (default), "float64", or "model" for the dtype the model returned. In bfloat16
            every p >= 0.998 becomes 1.0, so a ranking turns into a tie-break (specs of Fast-dLLM, LLaDA).
        ties: "lowest" position first (default), or "torch": whatever `torch.topk` does.
    """

    precision: str = "float32"
    ties: str = "lowest"


@dataclass(frozen=True)
class Proposal:
    """The model's view of B lanes of one method, before anything is committed. G = generated positions.

    Attributes:
        tokens: Current ids of the generation region, the mask id where undecided.
        masked: Candidates: undecided positions of the active block.
        rows: Positions that have a logits row.
        logits: The rows of `rows` in row-major order, mask token at -inf. K = V, the vocabulary, unless
            `columns` names fewer.
        columns: Token ids of the K columns; all others have probability 0. None for the whole vocabulary.
        choice: Column of each row's candidate token.
        token: The id each position would become (argmax, or a sample at temperature > 0); the current id
            where there is no logits row.
        step: Forwards a lane has spent before this one.
        block: First and last-plus-one position of the active block.
        temperature: 0 for greedy.
        numerics: Precision and tie order.
        draw: One uniform number in [0, 1) a position, from each lane's own generator.
    """

    tokens: Int[Tensor, "B G"]
    masked: Bool[Tensor, "B G"]
    rows: Bool[Tensor, "B G"]
    logits: Float[Tensor, "N K"]
    columns: Int[Tensor, " K"] | None
    choice: Int[Tensor, " N"]
    token: Int[Tensor, "B G"]
    step: Int[Tensor, " B"]
    block: Int[Tensor, "B 2"]
    temperature: float
    numerics: Numerics
    draw: Callable[[], Float[Tensor, "B G"]]

    @cached_property
    def probabilities(self) -> Float[Tensor, "N K"]:
        """Softmax of the (tempered) logits in the precision of `numerics`."""
        return softmax(self.logits, self.temperature, self.numerics.precision)

    def spread(self, values: Float[Tensor, " N"]) -> Float[Tensor, "B G"]:
        """Put one number a logits row at its position, float32; positions without a row get `NEVER`."""
        out = torch.full(self.rows.shape, NEVER)
        out[self.rows] = values.float().cpu()
        return out


def softmax(logits: Float[Tensor, "N K"], temperature: float, precision: str) -> Float[Tensor, "N K"]:
    """Probabilities along the vocabulary at a temperature; 0 means untempered."""
    if precision != "model":
        logits = logits.to(torch.float64 if precision == "float64" else torch.float32)
    if temperature > 0 and temperature != 1:
        logits = logits / temperature
    return torch.softmax(logits, dim=-1)


def sample_tokens(probabilities: Float[Tensor, "N K"], uniform: Float[Tensor, " N"]) -> Int[Tensor, " N"]:
    """Inverse-CDF samples: the first column whose cumulative probability exceeds `uniform`.

    The cumulative sum is float64, so a token of probability zero is never chosen.
    """
    total = probabilities.double().cumsum(-1)
    point = uniform.double() * total[:, -1]
    return torch.searchsorted(total, point.unsqueeze(-1), right=True).squeeze(-1)
