"""THE loop: every method, every model, every batch size.

Each step (1) finds the distinct canvases among the lanes, (2) forwards each once, asking only for the
logits rows somebody needs, (3) lets each method decide for its lanes, (4) yields the finished lanes and
takes new ones. What a lane decides depends on its own canvas and its own generator, never on its company.

Tensors of [lanes, positions] live on the CPU; logits stay on the model's device.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from parallelbench.decoding.canvas import Batch
from parallelbench.decoding.lane import UNDECIDED, Lane, LaneState, Revision, Trajectory
from parallelbench.decoding.methods import Method
from parallelbench.decoding.proposal import NEVER, Proposal, sample_tokens, softmax
from parallelbench.decoding.rules import Memory, at_least_one
from parallelbench.errors import UsageError
from parallelbench.models.base import Denoiser

FORWARDS_PER_TOKEN = 16
"""A revising method that needs more forwards than this per token is stopped: it circles."""


@dataclass
class Cost:
    """Work really done, beside what the lanes would have needed alone.

    Attributes:
        forwards_counted: Sum of the lanes' NFE.
        forwards_executed: Distinct canvases sent through the model.
        calls: Batches they were sent in.
        model_seconds: Time inside the model.
    """

    forwards_counted: int = 0
    forwards_executed: int = 0
    calls: int = 0
    model_seconds: float = 0.0


def decode(
    denoiser: Denoiser,
    lanes: Iterable[Lane],
    batch_size: int = 64,
    share: bool = True,
    cost: Cost | None = None,
) -> Iterator[Trajectory]:
    """Decode lanes, yielding each as it finishes (not in the order given).

    Args:
        denoiser: The model.
        lanes: May be lazy; at most `batch_size` are in flight.
        batch_size: Lanes decoded together.
        share: Forward identical canvases once.
        cost: Counters to add to.

    A lane that raises ends as a Trajectory with `error`; the others go on.
    """
    cost = cost if cost is not None else Cost()
    queue, active = iter(lanes), list[LaneState]()
    while True:
        for lane in islice(queue, batch_size - len(active)):
            state = _admit(lane, denoiser)
            if isinstance(state, Trajectory):
                yield state
            else:
                active.append(state)
        if not active:
            return
        finished = _step(denoiser, active, share, cost)
        active = [state for state in active if id(state) not in finished]
        yield from finished.values()


def _admit(lane: Lane, denoiser: Denoiser) -> LaneState | Trajectory:
    """The lane's first state, or its end when it has nothing to decode or cannot be decoded."""
    spec = denoiser.spec
    missing = lane.method.requires - spec.capabilities
    if missing:
        needs = ", ".join(sorted(missing))
        raise UsageError(f"{lane.method.setting!r} needs {needs}, which {spec.name!r} lacks.")
    columns = denoiser.columns(lane.prompt) if "columns" in spec.capabilities else None  # type: ignore[attr-defined]
    state = LaneState.fresh(lane, spec.mask_id, spec.vocab_size, columns)
    if state.enter_next_block(spec.mask_id):
        return state
    return state.finish(_distance(denoiser, state))


@torch.inference_mode()
def _step(denoiser: Denoiser, active: Sequence[LaneState], share: bool, cost: Cost) -> dict[int, Trajectory]:
    """One forward for every active lane; returns those that ended, by id of their state."""
    began = time.perf_counter()
    ended: dict[int, Trajectory] = {}
    batches = _forward(denoiser, active, share, cost, ended)
    for batch in batches:
        for group in batch.groups():
            try:
                _decide(denoiser, batch, group)
            except Exception as error:  # a method's fault is its own lanes' end, not the run's
                ended |= {id(state): state.finish(error=_describe(error)) for state in group}
    for state in active:
        if id(state) in ended:
            continue
        if not state.enter_next_block(denoiser.spec.mask_id):
            ended[id(state)] = state.finish(_distance(denoiser, state))
        elif state.nfe >= FORWARDS_PER_TOKEN * state.lane.length:
            ended[id(state)] = state.finish(error=f"undecided after {state.nfe} forwards: the method circles")
    share_of_time = (time.perf_counter() - began) / len(active)
    for state in active:
        state.seconds += share_of_time
    return ended


def _forward(
    denoiser: Denoiser, active: Sequence[LaneState], share: bool, cost: Cost, ended: dict[int, Trajectory]
) -> list[Batch]:
    """Forward the canvases, those with the same logits columns together."""
    batches: dict[int, list[LaneState]] = {}
    for state in active:
        batches.setdefault(id(state.columns), []).append(state)
    return [done for states in batches.values() for done in _forward_batch(denoiser, states, share, cost, ended)]


def _forward_batch(
    denoiser: Denoiser, states: Sequence[LaneState], share: bool, cost: Cost, ended: dict[int, Trajectory]
) -> list[Batch]:
    """Forward one batch; after a failure lane by lane, so that only the culprits end."""
    began = time.perf_counter()
    batch = Batch.of(states, denoiser.spec, share)
    try:
        batch.logits = denoiser.logits(batch.canvas, batch.attention_mask, batch.rows)
        if batch.columns is None:
            batch.logits[:, denoiser.spec.mask_id] = NEVER  # the one place: a mask is never a candidate
    except Exception as error:
        if len(states) == 1:
            ended[id(states[0])] = states[0].finish(error=_describe(error))
            return []
        return [done for one in states for done in _forward_batch(denoiser, [one], share, cost, ended)]
    cost.model_seconds += time.perf_counter() - began
    cost.calls += 1
    cost.forwards_executed += len(batch.canvas)
    cost.forwards_counted += len(states)
    for state in states:
        state.nfe += 1
        state.rows += 1
    return [batch]


def _decide(denoiser: Denoiser, batch: Batch, group: Sequence[LaneState]) -> None:
    """Let the group's method choose, then write its choice into the lanes."""
    method = group[0].lane.method
    proposal = _propose(denoiser, batch, group, method)
    memory = _stack_memory(group)
    score = method.score(proposal)
    commit, memory = method.rule(proposal, score, memory)
    commit = at_least_one(commit, proposal, score)
    remask = torch.zeros_like(commit)
    if method.revise is not None:
        remask, memory = method.revise(proposal, commit, memory)
    _write(group, proposal, commit, remask, memory, denoiser.spec.mask_id)


def _propose(denoiser: Denoiser, batch: Batch, group: Sequence[LaneState], method: Method) -> Proposal:
    """What the method may see: candidates, logits rows and candidate tokens of its lanes."""
    tokens = torch.stack([state.region for state in group])
    rows = batch.wanted(group)
    logits = batch.logits_of(group, rows)
    if "lane_noise" in denoiser.spec.capabilities:
        lane, position = rows.nonzero(as_tuple=True)
        seeds = torch.tensor([state.lane.random_seed for state in group])[lane]
        logits = denoiser.perturb(logits, seeds, position, batch.columns)  # type: ignore[attr-defined]
    if method.temperature > 0:
        uniform = torch.stack([state.uniform() for state in group])[rows].to(logits.device)
        choice = sample_tokens(softmax(logits, method.temperature, method.numerics.precision), uniform)
    else:
        choice = logits.argmax(-1)
    token = tokens.clone()
    token[rows] = (choice if batch.columns is None else batch.columns[choice]).cpu()
    block = torch.tensor([state.block for state in group])
    position = torch.arange(tokens.shape[1])
    inside = (position >= block[:, :1]) & (position < block[:, 1:])
    return Proposal(
        tokens=tokens,
        masked=inside & (tokens == denoiser.spec.mask_id),
        rows=rows,
        logits=logits,
        columns=batch.columns,
        choice=choice,
        token=token,
        step=torch.tensor([state.nfe - 1 for state in group]),
        block=block,
        temperature=method.temperature,
        numerics=method.numerics,
        draw=lambda: torch.stack([state.uniform() for state in group]),
    )


def _stack_memory(group: Sequence[LaneState]) -> Memory:
    if len(group) == 1:  # a view: batch size 1 must not pay for copies of large memories
        return {key: value.unsqueeze(0) for key, value in group[0].memory.items()}
    return {key: torch.stack([state.memory[key] for state in group]) for key in group[0].memory}


def _write(
    group: Sequence[LaneState],
    proposal: Proposal,
    commit: Tensor,
    remask: Tensor,
    memory: Memory,
    mask_id: int,
) -> None:
    """Commit, then re-mask; given tokens and tokens committed in this very step stay."""
    since = torch.stack([state.commit_step for state in group])
    remask = remask & (since >= 0)
    region = torch.where(commit, proposal.token, proposal.tokens)
    if bool(remask.any()):
        _record_revisions(group, proposal, since, remask)
        region = torch.where(remask, mask_id, region)
        since = torch.where(remask, UNDECIDED, since)
    since = torch.where(commit, proposal.step.unsqueeze(-1), since)
    for index, state in enumerate(group):
        state.region, state.commit_step = region[index], since[index]
        state.memory = {key: value[index] for key, value in memory.items()}


def _record_revisions(group: Sequence[LaneState], proposal: Proposal, since: Tensor, remask: Tensor) -> None:
    for lane, position in remask.nonzero().tolist():
        token = int(group[lane].region[position])
        committed, removed = int(since[lane, position]), int(proposal.step[lane])
        group[lane].revisions.append(Revision(position, token, committed, removed))


def _distance(denoiser: Denoiser, state: LaneState) -> int | None:
    if "distance" not in denoiser.spec.capabilities:
        return None
    return denoiser.distance(state.prompt, state.region)  # type: ignore[attr-defined, no-any-return]


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
