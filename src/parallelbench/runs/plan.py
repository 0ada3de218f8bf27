"""What a run consists of: samples x settings, as lanes with an id that hashes everything that matters."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from parallelbench.decoding import CORE_METHODS, Lane, Method, default_sweep, find_method, parse_method, split_setting
from parallelbench.errors import UsageError, lookup
from parallelbench.models.base import Denoiser, DenoiserSpec
from parallelbench.models.generators.base import GeneratorSpec
from parallelbench.runs.signature import short_hash
from parallelbench.settings import Value, format_setting
from parallelbench.tasks import CountedTask, expand_tasks
from parallelbench.tasks.base import PROFILES, Profile, Sample
from parallelbench.tasks.scoring import SCORER_VERSION
from parallelbench.tasks.scoring.judges import judges_signature

LOOP_VERSION = 2
"""Raise it when a change to the loop, a score or a rule changes what lanes decode to."""
PUBLISHED_SETTINGS = ("random", "confidence", "margin", "entropy")


@dataclass(frozen=True)
class RunSettings:
    """What was asked for; everything a run's identity depends on.

    Attributes:
        models: Model strings.
        tasks: Task names, short names or categories.
        methods: Method names (their whole sweep) or settings (`confidence:k=4`).
        samples: Samples a task; None takes each task's full number.
        seed: Seed of samples and decoding.
        profile: Scoring and numerics, `native` or `pb2025`.
        data: A folder of published files instead of the built-in tasks.
        grammar: Grammar backend of text scores.
        bertscore: Encoder of BERTScore, an extra part of paraphrases' scores; `none` for none.
        grid: Which settings a bare method name stands for, `sweep` or `paper`.
    """

    models: tuple[str, ...] = ("ideal",)
    tasks: tuple[str, ...] = ("all",)
    methods: tuple[str, ...] = CORE_METHODS
    samples: int | None = None
    seed: int = 0
    profile: Profile = "native"
    data: Path | None = None
    grammar: str = "harper"
    bertscore: str = "none"
    grid: str = "sweep"

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        lookup(dict.fromkeys(PROFILES), self.profile, "profile")
        lookup(GRIDS, self.grid, "grid")
        if self.samples is not None and (type(self.samples) is not int or self.samples < 1):
            raise UsageError(f"samples={self.samples!r} is not allowed; samples is a whole number of at least 1.")
        if type(self.seed) is not int:
            raise UsageError(f"seed={self.seed!r} is not allowed; seed is a whole number.")
        for name in ("models", "tasks", "methods"):
            if not getattr(self, name):
                raise UsageError(f"No {name} given; name at least one.")


PRESETS: Mapping[str, Mapping[str, object]] = {
    "quick": {"samples": 10},
    "standard": {},
    "paper": {"grid": "paper", "methods": (*PUBLISHED_SETTINGS, "threshold", "factor")},
}
"""Settings that differ from the defaults: every method's sweep on 10 samples a task; on all of them; the
paper's grid over block lengths (section 1.8 of its settings)."""


def paper_grid(name: str, length: int) -> list[str]:
    """Every block length 1, 2, 4 ... L with every k = 1, 2, 4 ... 64 up to it, or with the method's own sweep."""
    entry = find_method(name)
    if any(parameter.name == "block" for parameter in entry.parameters):  # the model's own block
        return default_sweep(name, length)
    settings = []
    for block in _powers_of_two(length):
        has_k = any(parameter.name == "k" for parameter in entry.parameters)
        values = [{"k": k} for k in _powers_of_two(block) if k <= 64] if has_k else entry.sweep(block)
        chosen = {} if block == length else {"block": block}
        settings += [
            format_setting(name, {**_over_blocks(parameters, length // block), **chosen}) for parameters in values
        ]
    return settings


def _over_blocks(parameters: Mapping[str, Value], blocks: int) -> Mapping[str, Value]:
    """A block's sweep values for the whole region: `steps` counts those of all blocks."""
    steps = parameters.get("steps")
    return {**parameters, "steps": steps * blocks} if isinstance(steps, int) else parameters


def _powers_of_two(length: int) -> list[int]:
    return [2**i for i in range(length.bit_length()) if length % 2**i == 0]


GRIDS: Mapping[str, Callable[[str, int], list[str]]] = {"sweep": default_sweep, "paper": paper_grid}


@dataclass(frozen=True)
class Problem:
    """A sample with its task: what the lanes of all models and settings have in common."""

    task: CountedTask
    sample: Sample


@dataclass(frozen=True)
class PlannedLane:
    """A lane and where it comes from."""

    lane: Lane
    problem: Problem


def problems(settings: RunSettings) -> list[Problem]:
    """The samples of all tasks, in task order.

    Raises:
        UsageError: an unknown task, unreadable data, or more samples than a task has.
    """
    found = []
    for task in expand_tasks(settings.tasks, settings.data):
        count = task.default_count if settings.samples is None else settings.samples
        available = task.available("test")
        if settings.samples is not None and available is not None and settings.data is not None:
            count = min(count, available)
        found += [Problem(task, sample) for sample in task.samples(settings.seed, count)]
    return found


def methods_for(settings: RunSettings, length: int) -> list[Method]:
    """The methods of a run at one generation length, each setting once.

    Raises:
        UsageError: an unknown method or parameter, or a k or block that does not divide the length.
    """
    texts: list[str] = []
    for text in settings.methods:
        name, parameters = split_setting(text)
        if parameters:
            texts.append(text)
        else:
            find_method(name)
            texts += GRIDS[settings.grid](name, length)
    methods = {method.setting: method for method in (parse_method(text, settings.profile) for text in texts)}
    for method in methods.values():
        method.check_length(length)
    return list(methods.values())


class Plan:
    """The lanes of one model, in an order that lets settings of the same sample share forwards."""

    def __init__(self, settings: RunSettings, found: Sequence[Problem]) -> None:
        self.settings, self.problems = settings, found
        lengths = {problem.task.max_tokens for problem in found}
        self._methods = {length: methods_for(settings, length) for length in sorted(lengths)}

    @property
    def numerics(self) -> str:
        """Precision and tie order of the methods, as a signature tells them."""
        found = {method.numerics for methods in self._methods.values() for method in methods}
        return "+".join(sorted(f"{numerics.precision}/{numerics.ties}" for numerics in found))

    def part(self, number: int, of: int) -> "Plan":
        """Every `of`-th sample from `number` on, with all its lanes: the parts together are the plan."""
        return Plan(self.settings, self.problems[number::of])

    def __len__(self) -> int:
        return sum(len(self._methods[problem.task.max_tokens]) for problem in self.problems)

    def for_model(self, spec: DenoiserSpec | GeneratorSpec) -> "Plan":
        """The plan without the tasks that the model was not made for."""
        if spec.tasks is None:
            return self
        return Plan(self.settings, [p for p in self.problems if p.task.name.partition("@")[0] in spec.tasks])

    def lanes(self, denoiser: Denoiser) -> Iterator[PlannedLane]:
        """Every lane of the plan for one model."""
        for problem in self.problems:
            prompt = tuple(denoiser.encode(problem.sample.messages))
            for method in self._methods[problem.task.max_tokens]:
                identity = self.identity(denoiser.spec, problem, method)
                lane = Lane(identity, prompt, problem.task.max_tokens, method, self.settings.seed)
                yield PlannedLane(lane, problem)

    def identity(self, spec: DenoiserSpec | GeneratorSpec, problem: Problem, method: Method) -> str:
        """Lane id: the hash of everything that can change the result."""
        task, sample = problem.task, problem.sample
        return short_hash(
            {
                "model": [spec.name, spec.revision, spec.dtype],
                "task": [task.name, task.version, task.kind, task.max_tokens, SCORER_VERSION],
                "sample": [sample.id, list(map(dict, sample.messages)), dict(sample.facts)],
                "method": [method.name, dict(method.parameters), *astuple(method.numerics)],
                "run": [self.settings.seed, self.settings.profile, judges_signature(), LOOP_VERSION],
            },
            digits=20,
        )
