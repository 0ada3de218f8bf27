"""THE loop: every method, every model, every batch size.

Each step (1) finds the distinct canvases among the lanes, (2) forwards each once, asking only for the
logits rows somebody needs, (3) lets each method decide for its lanes, (4) yields the finished lanes and
takes new ones. What a lane decides depends on its own canvas and its own generator, never on its company.

Tensors of [lanes, positions] live on the CPU; logits stay on the model's device.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from parallelbench.decoding.canvas import Batch, Group
from parallelbench.decoding.choice import choose, column_of
from parallelbench.decoding.forwards import (
    frequencies,
    guided_logits,
    is_special,
    kind_of,
    missing,
    special_logits,
    verified,
)
from parallelbench.decoding.lane import Lane, LaneState, Revision, Trajectory
from parallelbench.decoding.method import Method
from parallelbench.decoding.proposal import NEVER, UNDECIDED, Moment, Proposal
from parallelbench.decoding.rules import Memory, at_least_one
from parallelbench.errors import UsageError
from parallelbench.models.base import Denoiser

FORWARDS_PER_TOKEN = 16
"""A revising method that needs more forwards than this per token is stopped: it circles."""


Watch = Callable[[Lane, Tensor], None]
Inspect = Callable[[Sequence[Lane], Proposal], None]


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
    watch: Watch | None = None,
    inspect: Inspect | None = None,
) -> Iterator[Trajectory]:
    """Decode lanes, yielding each as it finishes (not in the order given).

    Args:
        denoiser: The model.
        lanes: May be lazy; at most `batch_size` are in flight.
        batch_size: Lanes decoded together.
        share: Forward identical canvases once.
        cost: Counters to add to.
        watch: Told each lane and its region after every forward.
        inspect: Told lanes of one method and what the method sees of them, before anything is committed.

    A lane that raises ends as a Trajectory with `error`; the others go on.
    """
    cost = cost if cost is not None else Cost()
    queue, active = iter(lanes), list[LaneState]()
    while True:
        while len(active) < batch_size and (lane := next(queue, None)) is not None:
            state = _admit(lane, denoiser)
            if isinstance(state, Trajectory):
                yield state
            else:
                active.append(state)
        if not active:
            return
        finished = _step(denoiser, active, share, cost, watch, inspect)
        active = [state for state in active if id(state) not in finished]
        yield from finished.values()


def _admit(lane: Lane, denoiser: Denoiser) -> LaneState | Trajectory:
    """The lane's first state, or its end when it has nothing to decode or cannot be decoded."""
    spec = denoiser.spec
    if lacking := missing(lane.method, spec.capabilities):
        needs = ", ".join(sorted(lacking))
        raise UsageError(f"{lane.method.setting!r} needs {needs}, which {spec.name!r} lacks.")
    try:
        columns = denoiser.columns(lane.prompt) if "columns" in spec.capabilities else None  # type: ignore[attr-defined]
    except Exception as error:  # the model cannot answer this prompt: the lane's end, not the run's
        return LaneState.fresh(lane, spec.mask_id, spec.vocab_size).finish(error=_describe(error))
    state = LaneState.fresh(lane, spec.mask_id, spec.vocab_size, columns)
    if state.enter_next_block(spec.mask_id):
        return state
    return state.finish(_distance(denoiser, state))


@torch.inference_mode()
def _step(
    denoiser: Denoiser,
    active: Sequence[LaneState],
    share: bool,
    cost: Cost,
    watch: Watch | None,
    inspect: Inspect | None,
) -> dict[int, Trajectory]:
    """One forward for every active lane; returns those that ended, by id of their state."""
    began = time.perf_counter()
    ended: dict[int, Trajectory] = {}
    through: dict[int, bool] = {}
    _prepare(active, denoiser.spec.mask_id, ended)
    batches = _forward(denoiser, [state for state in active if id(state) not in ended], share, cost, ended)
    for batch in batches:
        for group in batch.groups():
            try:
                through |= _decide(denoiser, batch, group, inspect)
            except Exception as error:  # a method's fault is its own lanes' end, not the run's
                ended |= {id(state): state.finish(error=_describe(error)) for state in group.states}
    for state in active:
        if id(state) in ended:
            continue
        if watch is not None:
            watch(state.lane, state.region)
        if not state.go_on(denoiser.spec.mask_id, through.get(id(state))):
            ended[id(state)] = _end(denoiser, state)
        elif state.nfe >= FORWARDS_PER_TOKEN * state.lane.length:
            ended[id(state)] = state.finish(error=f"undecided after {state.nfe} forwards: the method circles")
    share_of_time = (time.perf_counter() - began) / len(active)
    for state in active:
        state.seconds += share_of_time
    return ended


def _prepare(active: Sequence[LaneState], mask_id: int, ended: dict[int, Trajectory]) -> None:
    """Let methods that want to mask tokens before a forward do so."""
    groups: dict[tuple[int, int], list[LaneState]] = {}
    for state in active:
        if state.lane.method.prepare is not None:
            groups.setdefault((id(state.lane.method), state.lane.length), []).append(state)
    for group in groups.values():
        method = group[0].lane.method
        moment = Moment(
            commit_step=torch.stack([state.commit_step for state in group]),
            step=torch.tensor([state.nfe for state in group]),
            block=torch.tensor([state.block for state in group]),
            block_step=torch.tensor([state.nfe - state.block_began for state in group]),
            block_masks=torch.tensor([state.block_masks for state in group]),
        )
        try:
            remask, memory = method.prepare(moment, _stack_memory(group))  # type: ignore[misc]
        except Exception as error:
            ended |= {id(state): state.finish(error=_describe(error)) for state in group}
            continue
        remask &= moment.commit_step >= 0
        _record_revisions(group, moment, remask)
        region = torch.where(remask, mask_id, torch.stack([state.region for state in group]))
        _shelve(group, region, torch.where(remask, UNDECIDED, moment.commit_step), memory)


def _forward(
    denoiser: Denoiser, active: Sequence[LaneState], share: bool, cost: Cost, ended: dict[int, Trajectory]
) -> list[Batch]:
    """Forward the canvases, those with the same logits columns together."""
    batches: dict[object, list[LaneState]] = {}
    for state in active:
        batches.setdefault((id(state.columns), kind_of(state)), []).append(state)
    return [done for states in batches.values() for done in _forward_batch(denoiser, states, share, cost, ended)]


def _forward_batch(
    denoiser: Denoiser, states: Sequence[LaneState], share: bool, cost: Cost, ended: dict[int, Trajectory]
) -> list[Batch]:
    """Forward one batch; after a failure lane by lane, so that only the culprits end."""
    began = time.perf_counter()
    special = is_special(states[0].lane.method)
    batch = Batch.of(states, denoiser.spec, share and not special)
    try:
        if "shadow" in states[0].lane.method.requires or states[0].lane.method.cache:
            batch.logits = special_logits(denoiser, batch)
        elif "prompt" in denoiser.spec.capabilities:
            batch.logits = guided_logits(denoiser, batch)
        else:
            batch.logits = denoiser.logits(batch.canvas, batch.attention_mask, batch.rows)
        if batch.columns is None:
            batch.logits[:, denoiser.spec.mask_id] = NEVER  # the one place: a mask is never a candidate
        if "lane_noise" in denoiser.spec.capabilities:
            _add_noise(denoiser, batch)
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


def _add_noise(denoiser: Denoiser, batch: Batch) -> None:
    """Separate the lanes' logits and add each lane's own noise."""
    batch.separate()
    lane, place = batch.wanted.nonzero(as_tuple=True)
    seeds = torch.tensor([state.lane.random_seed for state in batch.states])
    start = torch.tensor([batch.canvas.shape[1] - state.lane.length for state in batch.states])
    batch.logits = denoiser.perturb(batch.logits, seeds[lane], place - start[lane], batch.columns)  # type: ignore[attr-defined]


def _decide(denoiser: Denoiser, batch: Batch, group: Group, inspect: Inspect | None) -> dict[int, bool]:
    """Let the group's method choose, write it into the lanes; who is through with its block, where it says so."""
    method = group.states[0].lane.method
    memory = _stack_memory(group.states)
    proposal = _propose(denoiser, batch, group, method)
    if method.adjust is not None:
        logits, memory = method.adjust(proposal, memory)
        proposal = _choose(denoiser, batch, group, replace(proposal, logits=logits))
    if inspect is not None:
        inspect([state.lane for state in group.states], proposal)
    score = method.score(proposal)
    commit, memory = method.rule(proposal, score, memory)
    edit = commit & (proposal.commit_step >= 0) if method.edits else None
    commit = commit & proposal.masked if "empty_steps" in method.faults else at_least_one(commit, proposal, score)
    if edit is not None:
        commit = commit | edit
    remask = None
    if method.revise is not None:
        remask, memory = method.revise(proposal, commit, memory)
    undecided = _write(group.states, proposal, commit, remask, memory, denoiser.spec.mask_id)
    if method.leave is None:
        return {}
    through = method.leave(proposal, undecided, memory).tolist()
    return dict(zip(map(id, group.states), through, strict=True))


def _propose(denoiser: Denoiser, batch: Batch, group: Group, method: Method) -> Proposal:
    """What the method may see: candidates, logits rows and candidate tokens of its lanes."""
    states = group.states
    rows, logits, tokens = batch.regions(batch.wanted, group), batch.logits_of(group), batch.regions(batch.lanes, group)
    choice, token = batch.greedy(group)
    proposal = Proposal(
        commit_step=torch.stack([state.commit_step for state in states]),
        step=batch.step[group.lanes],
        block=batch.block[group.lanes],
        block_step=batch.block_step[group.lanes],
        block_masks=batch.block_masks[group.lanes],
        tokens=tokens,
        masked=batch.regions(batch.masked, group),
        rows=rows,
        logits=logits,
        columns=batch.columns,
        choice=choice,
        token=token,
        temperature=method.temperature if method.tempered else 0.0,
        numerics=method.numerics,
        draw=lambda: torch.stack([state.uniform() for state in states]),
        advise=partial(_advise, denoiser, states) if "policy" in denoiser.spec.capabilities else None,
        frequency=frequencies(denoiser, batch) if "frequencies" in method.requires else None,
    )
    return proposal if method.plain or method.adjust is not None else _choose(denoiser, batch, group, proposal)


def _choose(denoiser: Denoiser, batch: Batch, group: Group, proposal: Proposal) -> Proposal:
    """The proposal with candidate tokens drawn or restricted as the method says, and a verifier's view of them."""
    method, rows = group.states[0].lane.method, proposal.rows
    uniform = proposal.draw()[rows] if method.temperature > 0 else None
    logits, choice = choose(method, proposal.logits, uniform, column_of(denoiser.spec.eos_id, batch.columns))
    token = batch.filled(proposal.tokens, rows, choice)
    proposal = replace(proposal, logits=logits, choice=choice, token=token)
    if "verifier" in method.requires:
        proposal = replace(proposal, verifier=verified(denoiser, batch, group.lanes, token, rows))
    return proposal


def _advise(denoiser: Denoiser, group: Sequence[LaneState], steps: Tensor) -> Tensor:
    """What the denoiser's policy would commit for each lane with so many steps left."""
    policy = denoiser.policy  # type: ignore[attr-defined]
    return torch.stack(
        [
            policy(state.prompt, state.region, int(left), state.lane.method.temperature)
            for state, left in zip(group, steps, strict=True)
        ]
    )


def _stack_memory(group: Sequence[LaneState]) -> Memory:
    first = group[0]
    if len(group) == 1:  # a view: batch size 1 must not pay for copies of large memories
        return {key: value.unsqueeze(0) for key, value in first.memory.items()}
    shelf = first.shelf
    if shelf is not None and all(s.shelf is not None and s.shelf[0] is shelf[0] for s in group):
        if [s.shelf[1] for s in group if s.shelf] == list(range(shelf[2])):
            return shelf[0]  # the same lanes as at the last step: what they hold is still stacked
    return {key: torch.stack([state.memory[key] for state in group]) for key in first.memory}


def _write(
    group: Sequence[LaneState],
    proposal: Proposal,
    commit: Tensor,
    remask: Tensor | None,
    memory: Memory,
    mask_id: int,
) -> Tensor:
    """Commit, then re-mask; returns what is undecided now [B, G].

    Given tokens and tokens committed in this very step stay.
    """
    before = proposal.commit_step
    region = torch.where(commit, proposal.token, proposal.tokens)
    since = torch.where(commit, proposal.step.unsqueeze(-1), before)
    method = group[0].lane.method
    if method.edits:
        _record_revisions(group, proposal, commit & (before >= 0))
    if remask is not None:
        remask = remask & ~proposal.undecided & ~commit
        if "given_remasked" not in method.faults:
            remask &= ~proposal.given
        _record_revisions(group, proposal, remask)
        region = torch.where(remask, mask_id, region)
        since = torch.where(remask, UNDECIDED, since)
    _shelve(group, region, since, memory)
    return since == UNDECIDED


def _shelve(group: Sequence[LaneState], region: Tensor, since: Tensor, memory: Memory) -> None:
    """Give every lane its row of what was decided for all."""
    for index, state in enumerate(group):
        state.region, state.commit_step = region[index], since[index]
        state.memory = {key: value[index] for key, value in memory.items()}
        state.shelf = (memory, index, len(group))


def _record_revisions(group: Sequence[LaneState], moment: Moment, removed: Tensor) -> None:
    for lane, position in removed.nonzero().tolist():
        token = int(group[lane].region[position])
        committed, step = int(moment.commit_step[lane, position]), int(moment.step[lane])
        group[lane].revisions.append(Revision(position, token, committed, step))


def _end(denoiser: Denoiser, state: LaneState) -> Trajectory:
    """The record of a lane that has no block left; masks that stayed are an error unless the method allows them."""
    left = int((state.commit_step == UNDECIDED).sum())
    if left and "masks_stay" not in state.lane.method.faults:
        return state.finish(error=f"{left} positions are still masked after the last block")
    return state.finish(_distance(denoiser, state))


def _distance(denoiser: Denoiser, state: LaneState) -> int | None:
    if "distance" not in denoiser.spec.capabilities:
        return None
    return denoiser.distance(state.prompt, state.region)  # type: ignore[attr-defined, no-any-return]


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
