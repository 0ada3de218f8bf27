"""Run a plan: decode, score, store, skipping what is already there."""

import platform
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import torch

from parallelbench import __version__
from parallelbench.decoding import Cost
from parallelbench.errors import UsageError, lookup
from parallelbench.models.base import DenoiserSpec
from parallelbench.models.generators.base import GeneratorSpec
from parallelbench.models.registry import load_model
from parallelbench.runs.generate import lanes_for, worker_for
from parallelbench.runs.plan import Plan, Problem, RunSettings, problems
from parallelbench.runs.signature import run_signature, short_hash
from parallelbench.runs.store import Store
from parallelbench.runs.work import Row
from parallelbench.tasks.scoring.judges import judges_signature, set_judges


@dataclass(frozen=True)
class Progress:
    """How far a run is; handed to a listener after every lane.

    Attributes:
        model: Model being decoded, empty before the first lane.
        done: Lanes finished, those of earlier runs included.
        total: Lanes of the whole run.
        failed: Lanes that ended in an error this time.
    """

    model: str
    done: int
    total: int
    failed: int


@dataclass
class RunResult:
    """What a run did.

    Attributes:
        directory: Where the lanes are.
        run_id: Hash of the settings.
        signature: What the numbers stand on.
        lanes: Ids of all lanes that were asked for.
        cost: Forwards counted and really executed.
        decoded: Lanes decoded now.
        skipped: Lanes that were there already.
        failed: Lanes that ended in an error now.
        error: The first of those errors.
    """

    directory: Path
    run_id: str
    signature: str
    lanes: set[str]
    cost: Cost
    decoded: int = 0
    skipped: int = 0
    failed: int = 0
    error: str | None = None


class Executor(Protocol):
    """Whoever does the work of a run, here or elsewhere."""

    cost: Cost

    @property
    def specs(self) -> Sequence[DenoiserSpec | GeneratorSpec]:
        """The models, each once."""
        ...

    def finish(self, done: Set[str]) -> Iterator[tuple[str, Row | None]]:
        """Every lane as (id, row of the store), in any order; None for those in `done`."""
        ...


class LocalExecutor:
    """This process, one model after the other."""

    def __init__(self, plan: Plan, batch_size: int) -> None:
        known = [(problem.task, problem.sample) for problem in plan.problems]
        models = [load_model(text, known) for text in plan.settings.models]
        self._workers = {model.spec.name: worker_for(model, plan) for model in models}
        self.specs: Sequence[DenoiserSpec | GeneratorSpec] = list(
            {model.spec.name: model.spec for model in models}.values()
        )
        self._batch_size, self.cost = batch_size, Cost()

    def finish(self, done: Set[str]) -> Iterator[tuple[str, Row | None]]:
        """See `Executor.finish`."""
        for worker in self._workers.values():
            yield from worker.finish(done, self._batch_size, self.cost)


def _on_ray(plan: Plan, batch_size: int) -> Executor:
    from parallelbench.runs.cluster import RayExecutor  # ray is an optional part

    return RayExecutor(plan, batch_size)


EXECUTORS: Mapping[str, Callable[[Plan, int], Executor]] = {"local": LocalExecutor, "ray": _on_ray}


def run(
    settings: RunSettings,
    directory: Path,
    batch_size: int = 64,
    listen: Callable[[Progress], None] = lambda progress: None,
    executor: str = "local",
) -> RunResult:
    """Decode and score every lane of the settings that the directory does not hold yet.

    Args:
        settings: What to run.
        directory: Run directory, made when missing; the same command resumes.
        batch_size: Lanes decoded together; no result depends on it.
        listen: Called after every lane.
        executor: Key of `EXECUTORS`; no result depends on it.

    Raises:
        UsageError: settings that cannot be run, or a directory with something else in it.
        RunError: the store cannot be written.
    """
    start = lookup(EXECUTORS, executor, "executor")
    if batch_size < 1:
        raise UsageError(f"batch_size={batch_size} is not allowed; it is a whole number of at least 1.")
    set_judges(settings.grammar, settings.bertscore)  # refuses a missing backend before any work
    plan = Plan(settings, problems(settings))
    work = start(plan, batch_size)
    signature = run_signature(settings, work.specs, _asked(plan, work.specs), judges_signature(), plan.numerics)
    asked = _jsonable(settings)
    result = RunResult(directory, short_hash(asked), signature, set(), work.cost)
    total, model = sum(lanes_for(spec, plan) for spec in work.specs), ""
    with Store(directory, create=True) as store:
        store.add_run(result.run_id, _now(), asked, about_here(), signature)
        try:
            for lane_id, row in work.finish(store.done()):
                result.lanes.add(lane_id)
                if row is None:
                    result.skipped += 1
                else:
                    store.add_lane({**row, "run_id": result.run_id})
                    model = row["model"]
                    result.decoded += 1
                    result.failed += row["error"] is not None
                    result.error = result.error or row["error"]
                listen(Progress(model, result.decoded + result.skipped, total, result.failed))
        finally:  # interrupted or not: the forwards were spent
            if result.decoded:
                store.add_execution(result.run_id, _now(), result.decoded, asdict(work.cost))
    return result


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _asked(plan: Plan, specs: Sequence[DenoiserSpec | GeneratorSpec]) -> list[Problem]:
    """The samples that some model is asked about.

    Raises:
        UsageError: a model was made for none of the tasks.
    """
    found = {spec.name: plan.for_model(spec).problems for spec in specs}
    for spec in specs:
        if not found[spec.name]:
            raise UsageError(f"{spec.name} knows none of these tasks, only {', '.join(sorted(spec.tasks or ()))}.")
    return list({problem.sample.id: problem for some in found.values() for problem in some}.values())


def about_here() -> dict[str, Any]:
    """Versions and machine of this process, for the record of a run."""
    return {
        "parallelbench": __version__,
        "git": _git_commit(Path(__file__).resolve().parents[3]),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
    }


def _git_commit(root: Path) -> str | None:
    """Commit of the checkout at `root`, `+` when it has changes; None where the package is installed."""
    if not (root / ".git").exists():
        return None  # an installed package may lie inside somebody else's checkout
    command = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def _jsonable(settings: RunSettings) -> Mapping[str, Any]:
    return {**asdict(settings), "data": None if settings.data is None else str(settings.data)}
