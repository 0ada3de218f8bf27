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
    WIDE,
    canvases,
    frequencies,
    is_special,
    kind_of,
    missing,
    special_logits,
    verified,
    wide_logits,
)
from parallelbench.decoding.lane import Lane, LaneState, Trajectory
from parallelbench.decoding.method import Method
from parallelbench.decoding.proposal import NEVER, UNDECIDED, Moment, Proposal
from parallelbench.decoding.rules import at_least_one
from parallelbench.decoding.settle import record_revisions, shelve, stack_memory, write
from parallelbench.decoding.views import further, parted
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
        rows_counted: Sum of the lanes' rows: a forward of several canvases has as many.
        forwards_executed: Distinct canvases sent through the model.
        calls: Batches they were sent in.
        model_seconds: Time inside the model.
    """

    forwards_counted: int = 0
    rows_counted: int = 0
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
        hint = " Give it a causal model with the same tokens: MODEL:verifier=..." if "verifier" in lacking else ""
        raise UsageError(f"{lane.method.setting!r} needs {needs}, which {spec.name!r} lacks.{hint}")
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
    before = [(state.nfe, state.region) for state in active]
    batches = _forward(denoiser, [state for state in active if id(state) not in ended], share, cost, ended)
    for batch in batches:
        for group in batch.groups():
            try:
                through |= _decide(denoiser, batch, group, cost, inspect)
            except Exception as error:  # a method's fault is its own lanes' end, not the run's
                ended |= {id(state): state.finish(error=_describe(error)) for state in group.states}
    for state, (spent, region) in zip(active, before, strict=True):
        if id(state) in ended:
            continue
        if watch is not None:
            for _ in range(spent + 1, state.nfe):  # forwards on other canvases left it as it was
                watch(state.lane, region)
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
            remask, memory = method.prepare(moment, stack_memory(group))  # type: ignore[misc]
        except Exception as error:
            ended |= {id(state): state.finish(error=_describe(error)) for state in group}
            continue
        remask &= moment.commit_step >= 0
        record_revisions(group, moment, remask)
        region = torch.where(remask, mask_id, torch.stack([state.region for state in group]))
        shelve(group, region, torch.where(remask, UNDECIDED, moment.commit_step), memory)


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
    method, before = states[0].lane.method, _spent(states)
    batch = Batch.of(states, denoiser.spec, share and not is_special(method))
    if method.rows == "none":
        width = denoiser.spec.vocab_size if batch.columns is None else len(batch.columns)
        batch.logits = torch.empty(0, width)
        return [batch]
    try:
        if "shadow" in method.requires or method.cache:
            batch.logits = special_logits(denoiser, batch)
        elif method.requires & WIDE:
            wide_logits(denoiser, batch)
        else:
            batch.logits = _logits(denoiser, batch, batch.canvas, batch.attention_mask, batch.rows, batch.prompt)
        if batch.columns is None:
            batch.logits[:, denoiser.spec.mask_id] = NEVER  # the one place: a mask is never a candidate
        if "lane_noise" in denoiser.spec.capabilities:
            _add_noise(denoiser, batch)
    except Exception as error:
        if len(states) == 1:
            ended[id(states[0])] = states[0].finish(error=_describe(error))
            return []
        return [done for one in states for done in _forward_batch(denoiser, [one], share, cost, ended)]
    nfe, rows = (now - then for now, then in zip(_spent(states), before, strict=True))  # of special forwards
    cost.forwards_counted += nfe
    cost.rows_counted += rows
    cost.forwards_executed += rows
    _count(cost, began, denoiser, len(batch.canvas), states, states)
    return [batch]


def _spent(states: Sequence[LaneState]) -> tuple[int, int]:
    """NFE and rows of lanes together."""
    return sum(state.nfe for state in states), sum(state.rows for state in states)


def _logits(denoiser: Denoiser, batch: Batch, canvas: Tensor, present: Tensor, rows: Tensor, prompt: Tensor) -> Tensor:
    """Plain logits, or guided ones where the denoiser asks where the prompt is."""
    if "prompt" in denoiser.spec.capabilities:
        return denoiser.guided_logits(canvas, present, rows, prompt)  # type: ignore[attr-defined, no-any-return]
    return denoiser.logits(canvas, present, rows)


def _count(
    cost: Cost, began: float, denoiser: Denoiser, distinct: int, states: Sequence[LaneState], rows: Sequence[LaneState]
) -> None:
    """One more forward of these lanes, with so many distinct canvases, a row for each of `rows`."""
    each = canvases(denoiser)
    cost.model_seconds += time.perf_counter() - began
    cost.calls += 1
    cost.forwards_executed += each * distinct
    cost.forwards_counted += len(states)
    cost.rows_counted += each * len(rows)
    for state in states:
        state.nfe += 1
    for state in rows:
        state.rows += each


def _ask(
    denoiser: Denoiser, batch: Batch, group: Group, cost: Cost, lanes: Tensor, tokens: Tensor, wanted: Tensor
) -> Tensor:
    """Logits [N, K] of other regions [n, G] of the group's lanes: for each lane one forward, for each region a row."""
    began = time.perf_counter()
    number = batch.index[group.lanes][lanes]
    canvas, rows = batch.canvas[number].clone(), torch.zeros_like(batch.rows[number])
    canvas[:, -tokens.shape[1] :], rows[:, -tokens.shape[1] :] = tokens, wanted
    logits = _logits(denoiser, batch, canvas, batch.attention_mask[number], rows, batch.prompt[number])
    if batch.columns is None:
        logits[:, denoiser.spec.mask_id] = NEVER
    if "lane_noise" in denoiser.spec.capabilities:
        row, place = wanted.nonzero(as_tuple=True)
        seeds = torch.tensor([state.lane.random_seed for state in group.states])[lanes]
        logits = denoiser.perturb(logits, seeds[row], place, batch.columns)  # type: ignore[attr-defined]
    asked = [group.states[lane] for lane in lanes.tolist()]
    _count(cost, began, denoiser, len(canvas), list({id(state): state for state in asked}.values()), asked)
    return logits


def _add_noise(denoiser: Denoiser, batch: Batch) -> None:
    """Separate the lanes' logits and add each lane's own noise."""
    batch.separate()
    lane, place = batch.wanted.nonzero(as_tuple=True)
    seeds = torch.tensor([state.lane.random_seed for state in batch.states])
    start = torch.tensor([batch.canvas.shape[1] - state.lane.length for state in batch.states])
    batch.logits = denoiser.perturb(batch.logits, seeds[lane], place - start[lane], batch.columns)  # type: ignore[attr-defined]


def _decide(denoiser: Denoiser, batch: Batch, group: Group, cost: Cost, inspect: Inspect | None) -> dict[int, bool]:
    """Let the group's method choose, write it into the lanes; who is through with its block, where it says so."""
    method = group.states[0].lane.method
    memory = stack_memory(group.states)
    proposal = _propose(denoiser, batch, group, method, cost)
    if method.adjust is not None:
        logits, memory = method.adjust(proposal, memory)
        proposal = _choose(denoiser, batch, group, replace(proposal, logits=logits))
    if inspect is not None:
        inspect([state.lane for state in group.states], proposal)
    score = method.score(proposal)
    commit, memory = method.rule(proposal, score, memory)
    if commit.dtype != torch.bool:  # the rule names the tokens itself
        proposal, commit = replace(proposal, token=torch.where(commit < 0, proposal.tokens, commit)), commit >= 0
    edit = commit & (proposal.commit_step >= 0) if method.edits else None
    commit = commit & proposal.masked if "empty_steps" in method.faults else at_least_one(commit, proposal, score)
    if edit is not None:
        commit = commit | edit
    remask = None
    if method.revise is not None:
        remask, memory = method.revise(proposal, commit, memory)
    undecided = write(group.states, proposal, commit, remask, memory, denoiser.spec.mask_id)
    if method.leave is None:
        return {}
    through = method.leave(proposal, undecided, memory).tolist()
    return dict(zip(map(id, group.states), through, strict=True))


def _propose(denoiser: Denoiser, batch: Batch, group: Group, method: Method, cost: Cost | None = None) -> Proposal:
    """What the method may see: candidates, logits rows and candidate tokens of its lanes."""
    states = group.states
    rows, logits, tokens = batch.regions(batch.wanted, group), batch.logits_of(group), batch.regions(batch.lanes, group)
    token = batch.greedy(group)[1]
    logits, choice, prompt = parted(batch, group, method, logits)
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
        context=batch.attention_mask.sum(-1)[batch.index[group.lanes]],
        prompt=prompt,
        ask=partial(_ask, denoiser, batch, group, cost) if cost is not None else None,
        **further(denoiser, batch, group, method),
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
