"""Block-diffusion decoding (SDAR, arXiv 2510.06303; TraDo, 2509.06949; LLaDA2): short blocks from left to right.

The blocks are counted from the start of the prompt, as a block-causal model was trained; the first one may hold the
prompt's tail. With cache=block every block sees exact keys and values of those before it.
"""

import torch
from torch import Tensor

from parallelbench.decoding import scores
from parallelbench.decoding.method import BLOCK, Entry, Method, Parameter, over, parts
from parallelbench.decoding.proposal import Proposal
from parallelbench.decoding.rules import Memory, Rule, best_first, top_k
from parallelbench.settings import Value


def dynamic(tau: float, k: int) -> Rule:
    """Every mask with confidence > tau if there are k of them, else the k best."""

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        high = proposal.masked & (score > tau)
        return torch.where(high.sum(-1, keepdim=True) >= k, high, best_first(proposal, score, k)), memory

    return rule


def _static(k: int) -> Method:
    return parts(scores.confidence, top_k(k), aligned=True)


def _sequential(k: int) -> Method:
    return parts(scores.left_to_right, top_k(k), aligned=True)


def _dynamic(tau: float, k: int) -> Method:
    return parts(scores.confidence, dynamic(tau, k), aligned=True)


def _by_k(length: int) -> list[dict[str, Value]]:
    return [{"k": k} for k in (1, 2, 4)]


FOUR = Parameter(BLOCK.name, 4, "block length of the model", low=1)
K = Parameter("k", 1, "tokens committed a step", low=1)
FEWEST = Parameter("k", 1, "tokens committed a step at least", low=1)
TAU = Parameter("tau", 0.85, "confidence to exceed", low=0.0, high=1.0)
PAPER = "arXiv 2510.06303"

ENTRIES = (
    Entry("block_static", "static", "the k most confident masks of the model's own block", PAPER,
          (K, FOUR), _static, _by_k),
    Entry("block_dynamic", "adaptive", "every confident mask of the model's own block, k at least", PAPER,
          (TAU, FEWEST, FOUR), _dynamic, over("tau", 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 1.0)),
    Entry("block_sequential", "static", "the k leftmost masks of the model's own block", PAPER,
          (K, FOUR), _sequential, _by_k),
)  # fmt: skip
