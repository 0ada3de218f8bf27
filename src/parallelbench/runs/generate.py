"""The work of a run for a model that decodes by itself: prompts out, texts back, one lane a sample.

Such a lane counts as many forwards as the model says it needed: one a token for an autoregressive model, so its
region is what it wrote, and both kinds of tokens per step are 1.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass, replace

from parallelbench.decoding import Cost, Lane, Method, Trajectory
from parallelbench.decoding.methods import PB2025
from parallelbench.decoding.rules import top_k
from parallelbench.decoding.scores import left_to_right
from parallelbench.models.base import Denoiser, DenoiserSpec
from parallelbench.models.generators.base import Generation, Generator, GeneratorSpec, Request
from parallelbench.runs.plan import Plan, Problem
from parallelbench.runs.work import Row, Worker, row_of


def worker_for(model: Denoiser | Generator, plan: Plan) -> "Worker | GeneratorWorker":
    """Whoever does the plan's work for a model."""
    plan = plan.for_model(model.spec)
    return GeneratorWorker(model, plan) if isinstance(model, Generator) else Worker(model, plan)


def lanes_for(spec: DenoiserSpec | GeneratorSpec, plan: Plan) -> int:
    """How many lanes the plan has for a model."""
    plan = plan.for_model(spec)
    return len(plan.problems) if isinstance(spec, GeneratorSpec) else len(plan)


@dataclass(frozen=True)
class GeneratorWorker:
    """Asks a generator for every sample's answer and scores it.

    Attributes:
        model: The generator.
        plan: The samples; its unmasking methods do not apply.
    """

    model: Generator
    plan: Plan

    def finish(self, done: Set[str], batch_size: int, cost: Cost) -> Iterator[tuple[str, Row | None]]:
        """Every sample's lane as (id, row of the store), in the order they finish.

        Args:
            done: Lanes to leave out: no request is made for them; their row is None.
            batch_size: Requests held in flight together.
            cost: Counters to add to.
        """
        method = self._method()
        in_flight: dict[str, Problem] = {}
        skipped: list[str] = []

        def missing() -> Iterator[Request]:
            for problem in self.plan.problems:
                lane = Lane(
                    self.plan.identity(self.model.spec, problem, method), (), 0, method, self.plan.settings.seed
                )
                if lane.id in done:
                    skipped.append(lane.id)
                else:
                    in_flight[lane.id] = problem
                    yield Request(lane.id, problem.sample.messages, problem.task.max_tokens, lane.random_seed)

        for answer in self.model.generate(missing(), batch_size):
            while skipped:
                yield skipped.pop(), None
            cost.forwards_counted += answer.nfe
            cost.rows_counted += answer.nfe
            cost.forwards_executed += answer.nfe
            yield answer.id, self._row(answer, in_flight.pop(answer.id), method)
        yield from ((lane_id, None) for lane_id in skipped)

    def _method(self) -> Method:
        """What stands in the method columns of the lanes."""
        spec = self.model.spec
        method = Method(spec.method, spec.parameters, "static", left_to_right, top_k(1), setting=spec.setting)
        return replace(method, numerics=PB2025) if self.plan.settings.profile == "pb2025" else method

    def _row(self, answer: Generation, problem: Problem, method: Method) -> Row:
        one_by_one = self.model.spec.method == "autoregressive"
        length = answer.nfe if one_by_one and answer.error is None else problem.task.max_tokens
        lane = Lane(answer.id, (), length, method, self.plan.settings.seed)
        steps = tuple(range(len(answer.tokens))) if one_by_one else ()
        trajectory = Trajectory(
            lane, answer.tokens, steps, (), answer.nfe, answer.nfe, None, answer.seconds, answer.error
        )
        return row_of(self.model.spec, self.plan, trajectory, problem, (answer.text, answer.effective, answer.error))
