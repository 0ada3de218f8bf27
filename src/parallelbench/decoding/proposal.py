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


PREFILLED = -1
"""Commit step of a position that was given, not decoded."""
UNDECIDED = -2
"""Commit step of a position that is still masked."""


@dataclass(frozen=True)
class Moment:
    """Where B lanes of one method stand before a forward. G = generated positions.

    Attributes:
        commit_step: Forward that decided each token; `PREFILLED` where it was given, `UNDECIDED` where masked.
        step: Forwards a lane has spent.
        block: First and last-plus-one position of the active block.
        block_step: Forwards spent in this block.
        block_masks: Masks the block had when it was entered.
    """

    commit_step: Int[Tensor, "B G"]
    step: Int[Tensor, " B"]
    block: Int[Tensor, "B 2"]
    block_step: Int[Tensor, " B"]
    block_masks: Int[Tensor, " B"]

    @cached_property
    def undecided(self) -> Bool[Tensor, "B G"]:
        """Masked positions."""
        return self.commit_step == UNDECIDED

    @cached_property
    def given(self) -> Bool[Tensor, "B G"]:
        """Positions whose token was given."""
        return self.commit_step == PREFILLED

    @cached_property
    def offset(self) -> Int[Tensor, "B G"]:
        """Position counted from the start of the active block."""
        return torch.arange(self.commit_step.shape[1]) - self.block[:, :1]

    @cached_property
    def inside(self) -> Bool[Tensor, "B G"]:
        """Positions of the active block."""
        return (self.offset >= 0) & (self.offset < self.size.unsqueeze(-1))

    @cached_property
    def size(self) -> Int[Tensor, " B"]:
        """Length of the active block."""
        return self.block[:, 1] - self.block[:, 0]


@dataclass(frozen=True)
class Prompt:
    """What the model says of the Q columns left of the region, as if their tokens were not known.

    Attributes:
        confidence: Probability of its favourite token; `NEVER` on padding.
        token: That token.
    """

    confidence: Float[Tensor, "B Q"]
    token: Int[Tensor, "B Q"]


@dataclass(frozen=True)
class Layered:
    """What D layers would answer if the output head read them, the last layer last.

    Attributes:
        agrees: Whether a layer's favourite token is the last layer's.
        probability: What a layer gives to the last layer's favourite token.
    """

    agrees: Bool[Tensor, "D N"]
    probability: Float[Tensor, "D N"]


Ask = Callable[[Int[Tensor, " n"], Int[Tensor, "n G"], Bool[Tensor, "n G"]], Float[Tensor, "N K"]]
"""(numbers of lanes, a region for each, rows wanted) -> logits; one more forward for each lane named."""


@dataclass(frozen=True)
class Proposal(Moment):
    """The model's view of B lanes of one method, before anything is committed.

    Attributes:
        tokens: Current ids of the generation region, the mask id where undecided.
        masked: Candidates: undecided positions within the method's reach, the active block by default.
        rows: Positions that have a logits row.
        logits: The rows of `rows` in row-major order, mask token at -inf. K = V, the vocabulary, unless
            `columns` names fewer.
        columns: Token ids of the K columns; all others have probability 0. None for the whole vocabulary.
        choice: Column of each row's candidate token.
        token: The id each position would become (argmax, or a sample at temperature > 0); the current id
            where there is no logits row.
        temperature: 0 for greedy.
        numerics: Precision and tie order.
        draw: One uniform number in [0, 1) a position, from each lane's own generator.
        advise: [B] steps left to the positions that the denoiser's own policy would commit; None where it has
            no policy.
        verifier: What a causal model says at `rows` about the draft in which every mask holds its candidate
            token; None unless the method requires "verifier".
        frequency: How often each of the K columns occurs in a corpus, sums to 1; None unless the denoiser has
            "frequencies".
        attention: How much position i (row) looks at position j of the whole canvas, averaged over heads and the
            method's layers, on the model's device; the region is its last G rows and columns, padding is 0. Bits
            of conditional mutual information instead where the model knows it. None unless "attention" is
            required.
        layered: What earlier layers say at `rows`; None unless "layers" is required.
        context: Tokens of each lane's canvas, prompt and region.
        prompt: The model on the prompt, None unless the method's rows are those of the "canvas" and the model has
            an opinion.
        newline: Ids of the M tokens of a line break; None unless "newline" is required.
        ask: Logits of other regions than the lanes' own.
    """

    tokens: Int[Tensor, "B G"]
    masked: Bool[Tensor, "B G"]
    rows: Bool[Tensor, "B G"]
    logits: Float[Tensor, "N K"]
    columns: Int[Tensor, " K"] | None
    choice: Int[Tensor, " N"]
    token: Int[Tensor, "B G"]
    temperature: float
    numerics: Numerics
    draw: Callable[[], Float[Tensor, "B G"]]
    advise: Callable[[Int[Tensor, " B"]], Bool[Tensor, "B G"]] | None = None
    verifier: Float[Tensor, "N K"] | None = None
    frequency: Float[Tensor, " K"] | None = None
    attention: Float[Tensor, "B L L"] | None = None
    layered: Layered | None = None
    context: Int[Tensor, " B"] | None = None
    prompt: Prompt | None = None
    newline: Int[Tensor, " M"] | None = None
    ask: Ask | None = None

    @cached_property
    def probabilities(self) -> Float[Tensor, "N K"]:
        """Softmax of the (tempered) logits in the precision of `numerics`."""
        return softmax(self.logits, self.temperature, self.numerics.precision)

    @cached_property
    def held(self) -> Int[Tensor, " N"]:
        """Column of the token each row would hold after the step: the visible one, else the candidate.

        A visible token outside the columns has probability 0; the candidate stands for it.
        """
        visible = ~self.undecided[self.rows]
        tokens = self.tokens[self.rows].to(self.choice.device)
        if self.columns is None:
            return torch.where(visible.to(tokens.device), tokens, self.choice)
        column = torch.searchsorted(self.columns, tokens).clamp(max=len(self.columns) - 1)
        known = visible & (self.columns[column] == tokens)
        return torch.where(known, column, self.choice)

    def spread(self, values: Float[Tensor, " N"]) -> Float[Tensor, "B G"]:
        """Put one number a logits row at its position, float32; positions without a row get `NEVER`."""
        return torch.full(self.rows.shape, NEVER).masked_scatter_(self.rows, values.float().cpu())


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
