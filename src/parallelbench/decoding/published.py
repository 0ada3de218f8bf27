"""Published variants of the plain methods: schedules by number of steps, and the faults of their loops."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from parallelbench.decoding import rules, scores
from parallelbench.decoding.method import CACHE, Entry, Leave, Method, Parameter, over, parts
from parallelbench.decoding.proposal import Proposal
from parallelbench.decoding.rules import Memory, Rule, best_first
from parallelbench.decoding.schedules import leaving, steps_a_block, timesteps, uniform
from parallelbench.decoding.scores import SCORES
from parallelbench.settings import Value

STEPS = Parameter(
    "steps", None, "forwards for the whole region, shared out over its blocks; default: one a token", low=1
)
EPS = Parameter("eps", 1e-3, "time at which the schedule ends", low=0.0, high=1.0)
SCORE = Parameter("score", "confidence", "score the rule looks at", choices=tuple(SCORES))
ANY_TAU = Parameter("tau", 0.9, "commit scores of at least this; negative for entropy")


def by_steps(length: int) -> list[Mapping[str, Value]]:
    """As many steps as k = 1, 2, 4, ... 32 tokens a step need."""
    return [{"steps": length // k} for k in (1, 2, 4, 8, 16, 32) if length % k == 0]


def uniform_quota(steps: int | None) -> Rule:
    """The best of the block's masks, an equal share at each step."""

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        count = uniform(proposal.block_masks, steps_a_block(steps, proposal), proposal.block_step)
        return best_first(proposal, score, count.unsqueeze(-1)), memory

    return rule


def _uniform_entry(name: str) -> Entry:
    def build(steps: int | None) -> Method:
        return parts(SCORES[name], uniform_quota(steps), faults=frozenset({"filled_blocks"}))

    return Entry(
        f"{name}@pb", "static", f"{name} by number of steps; a given block costs a forward too", "ParallelBench 2025",
        (STEPS,), build, by_steps, "traces",
    )  # fmt: skip


def _fast_dllm(rule: Rule) -> Method:
    """Fast-dLLM's cached loop: a block takes two forwards even when the first one fills it."""

    def leave(proposal: Proposal, undecided: Tensor, memory: Memory) -> Tensor:
        return ~(undecided & proposal.inside).any(-1) & (proposal.block_step > 0)

    return parts(scores.confidence, rule, leave=leave, faults=frozenset({"empty_steps"}))


def best_or(rule: Rule) -> Rule:
    """The rule with the loop's guard inside: at least the best candidate, where the loop itself has none."""

    def guarded(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        commit, memory = rule(proposal, score, memory)
        return rules.at_least_one(commit, proposal, score), memory

    return guarded


PREFIX = Parameter(CACHE.name, "prefix", CACHE.doc, choices=CACHE.choices)


def dream_schedule(steps: int | None, eps: float) -> Rule:
    """The best of the masks left, as many as Dream's timesteps say (arXiv 2508.15487)."""

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        left = (proposal.undecided & proposal.inside).sum(-1)
        count = timesteps(left, steps_a_block(steps, proposal), proposal.block_step, eps)
        return best_first(proposal, score, count.unsqueeze(-1)), memory

    return rule


def after_steps(steps: int | None) -> Leave:
    """Through with a block when its steps are spent, full or not."""

    def leave(proposal: Proposal, undecided: Tensor, memory: Memory) -> Tensor:
        return proposal.block_step + 1 >= steps_a_block(steps, proposal)

    return leave


def _timesteps(steps: int | None, eps: float, score: str) -> Method:
    return parts(SCORES[score], dream_schedule(steps, eps))


def _timesteps_dream(steps: int | None, eps: float, score: str) -> Method:
    return parts(
        SCORES[score], dream_schedule(steps, eps), leave=after_steps(steps),
        faults=frozenset({"empty_steps", "filled_blocks"}),
    )  # fmt: skip


def _timesteps_pb(steps: int | None, eps: float, score: str) -> Method:
    return parts(SCORES[score], dream_schedule(steps, eps), faults=frozenset({"empty_steps"}))


def ancestral(steps: int | None, eps: float) -> Rule:
    """Commit each mask on its own with probability 1 - t[step + 1] / t[step] (Dream's "origin")."""

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        stay = leaving(steps_a_block(steps, proposal), proposal.block_step, eps)
        return proposal.masked & (score >= stay.unsqueeze(-1)), memory

    return rule


def _origin(steps: int | None, eps: float) -> Method:
    return parts(scores.random, ancestral(steps, eps))


def _origin_dream(steps: int | None, eps: float) -> Method:
    return parts(
        scores.random, ancestral(steps, eps), leave=after_steps(steps),
        faults=frozenset({"empty_steps", "filled_blocks"}),
    )  # fmt: skip


def deferring_threshold(steps: int | None, tau: float) -> Rule:
    """Fast-dLLM's threshold inside Dream's loop: a quota, whose failing part is put off to the next step.

    The quota is masks // steps plus what was put off. The best candidate passes always. What is put off at the
    last step makes the loop longer by one step at a time, in which the plain quota is 0.
    """

    def rule(proposal: Proposal, score: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        first = proposal.block_step == 0
        planned = steps_a_block(steps, proposal)
        total = torch.where(first, planned, memory["total"])
        put_off = torch.where(first, 0, memory["put_off"])
        part = torch.where(total > planned, 0, proposal.block_masks // planned)
        wanted = best_first(proposal, score, (part + put_off).unsqueeze(-1))
        commit = wanted & ((score >= tau) | best_first(proposal, score, 1))
        put_off = part + put_off - commit.sum(-1)
        longer = (proposal.block_step + 1 >= total) & (put_off > 0)
        return commit, {"total": total + longer.long(), "put_off": put_off}

    return rule


def _threshold_dream(tau: float, steps: int | None) -> Method:
    def leave(proposal: Proposal, undecided: Tensor, memory: Memory) -> Tensor:
        return proposal.block_step + 1 >= memory["total"]

    def start(length: int, columns: int) -> Memory:
        return {"total": torch.tensor(0), "put_off": torch.tensor(0)}

    return parts(
        scores.confidence, deferring_threshold(steps, tau), leave=leave, start=start,
        faults=frozenset({"empty_steps", "filled_blocks"}),
    )  # fmt: skip


def _uncode(name: str) -> Entry:
    def build(steps: int | None) -> Method:
        return parts(
            SCORES[name], uniform_quota(steps), reach="region", leave=after_steps(steps),
            faults=frozenset({"one_pass", "masks_stay", "empty_steps", "filled_blocks"}),
        )  # fmt: skip

    return Entry(
        f"{name}@uncode", "static", f"{name} that forgets its block when it ranks, so masks stay", "NEUIR/Uncode",
        (STEPS,), build, by_steps, "traces",
    )  # fmt: skip


def _pb_threshold(tau: float, score: str) -> Method:
    return parts(SCORES[score], rules.threshold(tau), faults=frozenset({"filled_blocks"}))


def _pb_factor(f: float, score: str) -> Method:
    return parts(SCORES[score], rules.factor_at_pb(f), faults=frozenset({"filled_blocks"}))


F = Parameter("f", 1.0, "larger commits more", low=0.0)
TAU = Parameter("tau", 0.9, "commit scores of at least this", low=0.0, high=1.0)
THRESHOLDS: Sequence[Value] = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
FACTORS: Sequence[Value] = (0.7, 1.0, 1.3, 1.6, 1.9)
DREAM = "arXiv 2508.15487"
FAST_DLLM = "arXiv 2505.22618"

ENTRIES = (
    *(_uniform_entry(name) for name in SCORES),
    Entry("threshold@pb", "adaptive", "threshold; a given block costs a forward too", "ParallelBench 2025",
          (ANY_TAU, SCORE), _pb_threshold, over("tau", *THRESHOLDS), "traces"),
    Entry("factor@pb", "adaptive", "factor, committing a failing last candidate as published", "ParallelBench 2025",
          (F, SCORE), _pb_factor, over("f", *FACTORS), "traces"),
    Entry("confidence@fastdllm", "static", "confidence by number of steps with a cache", FAST_DLLM,
          (STEPS, PREFIX), lambda steps: _fast_dllm(uniform_quota(steps)), by_steps, "traces"),
    Entry("threshold@fastdllm", "adaptive", "threshold with a cache, two forwards a block at least", FAST_DLLM,
          (TAU, PREFIX), lambda tau: _fast_dllm(best_or(rules.threshold(tau))), over("tau", *THRESHOLDS), "traces"),
    Entry("timesteps", "static", "the best masks, as many as Dream's timesteps say, at least one", DREAM,
          (STEPS, EPS, SCORE), _timesteps, by_steps, "traces"),
    Entry("timesteps@dream", "static", "exactly `steps` forwards a block, some of which commit nothing", DREAM,
          (STEPS, EPS, SCORE), _timesteps_dream, by_steps, "traces"),
    Entry("timesteps@pb", "static", "Dream's timesteps until the block is full; some forwards commit nothing",
          "ParallelBench 2025", (STEPS, EPS, SCORE), _timesteps_pb, by_steps, "traces"),
    Entry("origin", "adaptive", "each mask on its own with the probability of the step, at least one", DREAM,
          (STEPS, EPS), _origin, by_steps),
    Entry("origin@dream", "adaptive", "origin in exactly `steps` forwards, some of which commit nothing", DREAM,
          (STEPS, EPS), _origin_dream, by_steps),
    Entry("threshold@dream", "adaptive", "a quota whose failing part is put off to the next step", FAST_DLLM,
          (TAU, STEPS), _threshold_dream, over("tau", *THRESHOLDS), "traces"),
    _uncode("entropy"),
    _uncode("margin"),
)  # fmt: skip
