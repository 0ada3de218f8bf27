"""PC-sampler (arXiv 2508.13021): sure, informative tokens first, early positions before late ones."""

from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from parallelbench.decoding.method import Entry, Method, Parameter, parts
from parallelbench.decoding.proposal import NEVER, Proposal
from parallelbench.decoding.rules import top_k
from parallelbench.errors import UsageError
from parallelbench.settings import Value

EPS = 1e-9
"""Added to frequencies inside the logarithm."""


def surprise(proposal: Proposal, alpha: float, table: str | None) -> Tensor:
    """[B, G] min(alpha, -p log f): confidence of the candidate token times its surprise in a corpus.

    At a visible position f is that of the token it holds, as published (only `linear` looks there).
    """
    p = proposal.probabilities.gather(-1, proposal.choice.unsqueeze(-1)).squeeze(-1).float()
    frequency = _frequency(proposal, table).to(p.device)
    value = -p * (frequency[proposal.held] + EPS).log()
    return proposal.spread(value.clamp_max(alpha))


def _frequency(proposal: Proposal, table: str | None) -> Tensor:
    if table is None:
        if proposal.frequency is None:
            raise UsageError("pc_sampler needs token frequencies: table=FILE, made by `pb frequencies`.")
        return proposal.frequency
    found = read_table(table)
    if proposal.columns is not None:
        return found[proposal.columns.cpu()]
    width = proposal.logits.shape[-1]
    if len(found) != width:
        raise UsageError(f"{table} has {len(found)} frequencies, the vocabulary {width} tokens.")
    return found


@lru_cache(maxsize=4)
def read_table(path: str) -> Tensor:
    """Frequencies by token id from a .npy file.

    Raises:
        UsageError: no such file, or not a list of numbers from 0 to 1.
    """
    try:
        found = np.load(Path(path), allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as a .npy table of frequencies: {error}") from error
    if found.ndim != 1 or not ((found >= 0) & (found <= 1)).all():
        raise UsageError(f"{path} is not a list of frequencies from 0 to 1.")
    return torch.from_numpy(found.astype(np.float32))


def positional(proposal: Proposal, lam: float, alpha: float, table: str | None) -> Tensor:
    """exp(-lam * offset in the block) * min(alpha, -p log f)."""
    offset = torch.arange(proposal.tokens.shape[1]) - proposal.block[:, :1]
    value = surprise(proposal, alpha, table) * torch.exp(-lam * offset.float())
    return torch.where(proposal.rows, value, NEVER)


def linear(proposal: Proposal, lam: float, alpha: float, table: str | None) -> Tensor:
    """(1 - lam) * min(alpha, -p log f) scaled to [0, 1] over the block + lam * share of the block behind it."""
    value = surprise(proposal, alpha, table)
    low = torch.where(proposal.inside, value, torch.inf).amin(-1, keepdim=True)
    high = torch.where(proposal.inside, value, NEVER).amax(-1, keepdim=True)
    size = (proposal.block[:, 1:] - proposal.block[:, :1]).float()
    offset = torch.arange(proposal.tokens.shape[1]) - proposal.block[:, :1]
    scaled = (value - low) / (high - low).clamp_min(EPS)
    return torch.where(proposal.rows, (1 - lam) * scaled + lam * (size - offset) / size, NEVER)


def _build(k: int, lam: float, alpha: float, table: str | None) -> Method:
    score = partial(positional, lam=lam, alpha=alpha, table=table)
    return parts(score, top_k(k), requires=_needs(table))


def _linear(k: int, lam: float, alpha: float, table: str | None) -> Method:
    score = partial(linear, lam=lam, alpha=alpha, table=table)
    return parts(score, top_k(k), requires=_needs(table), rows="block")


def _needs(table: str | None) -> frozenset[str]:
    if table is None:
        return frozenset({"frequencies"})
    read_table(table)  # refuses at once
    return frozenset()


def by_k(length: int) -> list[dict[str, Value]]:
    """Powers of two up to 32, as far as they divide the length."""
    return [{"k": k} for k in (1, 2, 4, 8, 16, 32) if length % k == 0]


K = Parameter("k", 1, "tokens committed a step", low=1)
LAM = Parameter("lam", 0.25, "how fast later positions lose", low=0.0)
SHARE = Parameter("lam", 0.3, "weight of the position", low=0.0, high=1.0)
ALPHA = Parameter("alpha", 10.0, "largest value of the content part", low=0.0)
TABLE = Parameter("table", None, "token frequencies, .npy; default: the model's own, if it has any", text=True)
PAPER = "arXiv 2508.13021"

ENTRIES = (
    Entry("pc_sampler", "static", "sure, informative tokens first, early positions before late ones", PAPER,
          (K, LAM, ALPHA, TABLE), _build, by_k, "traces", frozenset({"frequencies"})),
    Entry("pc_linear", "static", "pc_sampler with a linear weight of the position", PAPER,
          (K, SHARE, ALPHA, TABLE), _linear, by_k, "traces", frozenset({"frequencies"})),
)  # fmt: skip
