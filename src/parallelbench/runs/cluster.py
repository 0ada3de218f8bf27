"""Runs on a cluster: Ray actors decode and score, each with its own model; this process alone writes."""

from collections.abc import Iterator, Set
from dataclasses import fields
from typing import Any

from parallelbench.decoding import Cost
from parallelbench.errors import RunError, UsageError
from parallelbench.models.base import DenoiserSpec
from parallelbench.models.generators.base import GeneratorSpec
from parallelbench.models.registry import load_model
from parallelbench.runs.generate import worker_for
from parallelbench.runs.plan import Plan, RunSettings, problems
from parallelbench.runs.work import Row
from parallelbench.tasks.scoring.judges import set_judges

try:
    import ray
    from ray.exceptions import RayActorError, RayTaskError
except ImportError as error:
    raise UsageError("The executor 'ray' needs: pip install 'parallelbench[cluster]'") from error


class RayExecutor:
    """An actor a model and device, each with every n-th sample; joins the cluster Ray knows of, else starts one here.

    Published data and checkpoint folders must have the same path on every machine.

    Args:
        plan: The lanes.
        batch_size: Lanes that one actor decodes together.
    """

    def __init__(self, plan: Plan, batch_size: int) -> None:
        self._started = not ray.is_initialized()
        if self._started:
            ray.init(log_to_driver=False, include_dashboard=False)
        self._actors: dict[str, list[Any]] = {}
        self.specs: list[DenoiserSpec | GeneratorSpec] = []
        self.cost = Cost()
        try:
            self._hire(plan, batch_size)
        except BaseException:
            self._dismiss()
            raise

    def _hire(self, plan: Plan, batch_size: int) -> None:
        resources, texts = ray.cluster_resources(), list(dict.fromkeys(plan.settings.models))
        gpus = int(resources.get("GPU", 0))
        devices = (gpus or int(resources.get("CPU", 1))) // len(texts)
        parts = max(1, min(devices, len(plan.problems)))
        actor = ray.remote(num_gpus=1 if gpus else 0, num_cpus=0 if gpus else 1)(_Actor)
        for text in texts:
            crew = [actor.remote(plan.settings, text, number, parts, batch_size) for number in range(parts)]
            spec = [_get(loaded) for loaded in [one.load.remote() for one in crew]][0]
            if spec.name not in self._actors:  # two strings may name one model
                self._actors[spec.name] = crew
                self.specs.append(spec)

    def _dismiss(self) -> None:
        for one in (one for crew in self._actors.values() for one in crew):
            ray.kill(one)
        if self._started:
            ray.shutdown()

    def finish(self, done: Set[str]) -> Iterator[tuple[str, Row | None]]:
        """See `Executor.finish`; an actor's lanes come as it finishes them.

        Raises:
            RunError: a machine of the cluster was lost; what it had finished is stored.
        """
        crew = [one for actors in self._actors.values() for one in actors]
        known = ray.put(done)
        working = {one.finish.options(num_returns="streaming").remote(known): one for one in crew}
        try:
            while working:
                (ready,), _ = ray.wait(list(working), num_returns=1)
                try:
                    yield _get(next(ready))
                except StopIteration:
                    self._add(_get(working.pop(ready).spent.remote()))
        finally:
            self._dismiss()

    def _add(self, spent: Cost) -> None:
        for field in fields(Cost):
            setattr(self.cost, field.name, getattr(self.cost, field.name) + getattr(spent, field.name))


class _Actor:
    """A process of the cluster with one model and its part of the samples."""

    def __init__(self, settings: RunSettings, model: str, number: int, of: int, batch_size: int) -> None:
        self._settings, self._model, self._part = settings, model, (number, of)
        self._batch_size, self._cost = batch_size, Cost()

    def load(self) -> DenoiserSpec | GeneratorSpec:
        """Everything slow or refusable, apart from the constructor so that Ray hands its errors on."""
        set_judges(self._settings.grammar, self._settings.bertscore)
        plan = Plan(self._settings, problems(self._settings)).part(*self._part)
        model = load_model(self._model, [(problem.task, problem.sample) for problem in plan.problems])
        self._worker = worker_for(model, plan)
        return model.spec

    def finish(self, done: Set[str]) -> Iterator[tuple[str, Row | None]]:
        yield from self._worker.finish(done, self._batch_size, self._cost)

    def spent(self) -> Cost:
        return self._cost


def _get(reference: Any) -> Any:
    """What an actor returned, or its own error without Ray's wrapping."""
    try:
        return ray.get(reference)
    except RayTaskError as error:
        raise error.cause from error
    except RayActorError as error:
        raise RunError(f"A worker of the cluster was lost ({error}). Run the same command again to go on.") from error
