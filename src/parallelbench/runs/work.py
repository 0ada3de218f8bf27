"""The work of a run: decode lanes, cut and score their texts, and hand each over as a row of the store."""

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch

from parallelbench.decoding import Cost, Lane, Trajectory, decode
from parallelbench.errors import JudgeError
from parallelbench.models.base import Denoiser, DenoiserSpec
from parallelbench.models.generators.base import GeneratorSpec
from parallelbench.runs.plan import Plan, Problem
from parallelbench.tasks.base import Score
from parallelbench.tasks.scoring.judges import judges_signature

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Worker:
    """Decodes and scores a plan's lanes for one model; it does not know where results go.

    Attributes:
        denoiser: The model.
        plan: The lanes.
    """

    denoiser: Denoiser
    plan: Plan

    def finish(self, done: Set[str], batch_size: int, cost: Cost) -> Iterator[tuple[str, Row | None]]:
        """Every lane of the plan as (id, row of the store), in the order they finish.

        Args:
            done: Lanes to leave out; their row is None.
            batch_size: Lanes decoded together.
            cost: Counters to add to.
        """
        in_flight: dict[str, Problem] = {}
        skipped: list[str] = []

        def missing() -> Iterator[Lane]:
            for planned in self.plan.lanes(self.denoiser):
                if planned.lane.id in done:
                    skipped.append(planned.lane.id)
                else:
                    in_flight[planned.lane.id] = planned.problem
                    yield planned.lane

        with _threads(self.denoiser):
            for trajectory in decode(self.denoiser, missing(), batch_size, cost=cost):
                while skipped:
                    yield skipped.pop(), None
                lane = trajectory.lane
                yield lane.id, self.row(trajectory, in_flight.pop(lane.id))
        yield from ((lane_id, None) for lane_id in skipped)

    def row(self, trajectory: Trajectory, problem: Problem) -> Row:
        """A finished lane, scored, as a row of the store."""
        return row_of(self.denoiser.spec, self.plan, trajectory, problem, self._answer(trajectory))

    def _answer(self, trajectory: Trajectory) -> tuple[str, int, str | None]:
        """Text, number of tokens that count as produced (the first EOS included), and what went wrong."""
        ids, effective = self._answer_ids(trajectory.tokens)
        try:
            return self.denoiser.decode(ids), effective, trajectory.error
        except Exception as error:  # a tokenizer's fault is this lane's, not the run's
            return "", effective, trajectory.error or f"no text: {type(error).__name__}: {error}"

    def _answer_ids(self, tokens: Sequence[int]) -> tuple[Sequence[int], int]:
        """Native text ends at the first EOS (or stop token); the published one keeps all that is not special."""
        eos, stops = self.denoiser.spec.eos_id, self.denoiser.spec.stop_ids
        end = next((place for place, token in enumerate(tokens) if token == eos or token in stops), len(tokens))
        effective = min(end + 1, len(tokens))
        if self.plan.settings.profile == "pb2025":
            return [token for token in tokens if token != eos], effective
        return tokens[:end], effective


@contextmanager
def _threads(denoiser: Denoiser) -> Iterator[None]:
    """One thread where logits have few columns: waking a second one costs more than it computes."""
    before = torch.get_num_threads()
    if "columns" in denoiser.spec.capabilities:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def row_of(
    spec: DenoiserSpec | GeneratorSpec,
    plan: Plan,
    trajectory: Trajectory,
    problem: Problem,
    answer: tuple[str, int, str | None],
) -> Row:
    """A finished lane, scored, as a row of the store; `answer` is (text, tokens that count, error or None)."""
    (text, effective, error), lane, settings = answer, trajectory.lane, plan.settings
    method, numerics = lane.method, lane.method.numerics
    score, error = _score(plan, problem, text, error)
    return {
        "lane_id": lane.id,
        "model": spec.name,
        "revision": spec.revision,
        "task": problem.task.name,
        "task_version": problem.task.version,
        "sample": problem.sample.id,
        "sample_index": problem.sample.index,
        "method": method.name,
        "setting": method.setting,
        "kind": method.kind,
        "seed": settings.seed,
        "profile": settings.profile,
        "grammar": judges_signature(),
        "numerics": f"{numerics.precision}/{numerics.ties}",
        "max_tokens": lane.length,
        "tokens": list(trajectory.tokens),
        "text": text,
        "score": score.lenient,
        "score_strict": score.strict,
        "why": score.why,
        "parts": dict(score.parts),
        "nfe": trajectory.nfe,
        "rows": trajectory.rows,
        "effective_tokens": effective,
        "commit_step": list(trajectory.commit_step),
        "revisions": [list(asdict(revision).values()) for revision in trajectory.revisions],
        "distance": trajectory.distance,
        "seconds": trajectory.seconds,
        "error": error,
    }


def _score(plan: Plan, problem: Problem, text: str, error: str | None) -> tuple[Score, str | None]:
    """The judgement, and the lane's error: one whose judge failed (a server is gone) is tried again on resume."""
    if error is not None:
        return Score(None, None, f"not decoded: {error}"), error
    try:
        return problem.task.score(problem.sample, text, plan.settings.profile), None
    except JudgeError as fault:
        return Score(None, None, f"unscored: {fault}"), f"unscored: {fault}"
    except Exception as fault:  # scorers must not raise; if one does, the other lanes still count
        return Score(None, None, f"the scorer failed: {type(fault).__name__}: {fault}"), None
