"""Which token each position would become: greedy, or drawn at a temperature from what top-k and top-p leave."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from parallelbench.decoding.method import Method
from parallelbench.decoding.proposal import NEVER, sample_tokens, softmax


def choose(
    method: Method, logits: Float[Tensor, "N K"], uniform: Float[Tensor, " N"] | None, eos: int | None
) -> tuple[Float[Tensor, "N K"], Int[Tensor, " N"]]:
    """The logits that scores see, and the column of each row's candidate token.

    Args:
        method: Its temperature, top_k, top_p, tempered and eos.
        logits: Rows of the model.
        uniform: A number in [0, 1) a row, None when greedy.
        eos: Column of EOS, None where it has none.
    """
    if method.eos == "never" and eos is not None:
        logits = _without(logits, eos)
    kept = logits
    if uniform is not None:
        kept = restricted(logits, method.temperature, method.top_k, method.top_p)
        p = softmax(kept, method.temperature, method.numerics.precision)
        choice = sample_tokens(p, uniform.to(logits.device))
    else:
        choice = logits.argmax(-1)
    seen = kept if method.tempered else logits
    if method.eos == "last" and eos is not None:  # the token stays EOS, its confidence becomes 0
        seen = seen.clone()
        seen[:, eos] = NEVER
        seen[seen.isneginf().all(-1)] = 0.0
    return seen, choice


def _without(logits: Float[Tensor, "N K"], column: int) -> Float[Tensor, "N K"]:
    """Logits with one column at -inf, except in rows that have nothing else."""
    out = logits.clone()
    out[:, column] = NEVER
    empty = out.isneginf().all(-1)
    out[empty] = logits[empty]
    return out


def restricted(
    logits: Float[Tensor, "N K"], temperature: float, top_k: int | None, top_p: float | None
) -> Float[Tensor, "N K"]:
    """Logits with all but the most probable tokens at -inf.

    top_p keeps the smallest set that reaches the mass, always the first token; top_k cuts after that, as Dream does.
    """
    keep = torch.ones_like(logits, dtype=torch.bool)
    if top_p is not None:
        p, order = softmax(logits, temperature, "float32").sort(dim=-1, descending=True, stable=True)
        before = p.cumsum(-1) - p
        keep &= torch.zeros_like(keep).scatter(-1, order, (before < top_p) | (before == 0))
    if top_k is not None:
        best = logits.topk(min(top_k, logits.shape[-1]), dim=-1).indices
        keep &= torch.zeros_like(keep).scatter(-1, best, True)
    return logits.masked_fill(~keep, NEVER)


def column_of(token: int, columns: Int[Tensor, " K"] | None) -> int | None:
    """Column of a token; None where it has none."""
    if columns is None:
        return token
    found: Bool[Tensor, " K"] = columns == token
    return int(found.nonzero()[0]) if bool(found.any()) else None
