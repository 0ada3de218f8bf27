"""Training of a small network from scratch: one readable loop that can be killed at any time."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from parallelbench.errors import UsageError
from parallelbench.models.native.denoiser import NativeDenoiser
from parallelbench.models.native.files import save_network, write_atomically
from parallelbench.models.native.network import AnswerNetwork, Size, initialise
from parallelbench.tasks import expand_tasks
from parallelbench.training.data import Batch, Stream, Vocabulary, rank_of, vocabulary, weighted
from parallelbench.training.evaluation import accuracies
from parallelbench.training.loss import PROCESSES, token_losses
from parallelbench.training.optimizer import Optimizer, average, learning_rate
from parallelbench.training.settings import TrainSettings

STATE = "training.safetensors"
MAY_CHANGE = ("steps",)
"""Settings that a resumed training may change: the schedule is of the share done."""


@dataclass(frozen=True)
class Progress:
    """News of a training.

    Attributes:
        step: Steps done.
        steps: Steps in all.
        loss: Mean loss since the last news, in nats a token.
        by_task: The same, task by task.
        accuracy: Share of held-out samples solved, task by task; empty between evaluations.
        seconds: Time since this process began.
    """

    step: int
    steps: int
    loss: float
    by_task: Mapping[str, float]
    accuracy: Mapping[str, float]
    seconds: float


@dataclass
class Training:
    """A network with everything that its next step depends on."""

    settings: TrainSettings
    words: Vocabulary
    stream: Stream
    network: AnswerNetwork
    kept: AnswerNetwork
    optimizer: Optimizer
    step: int = 0
    losses: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def begin(cls, settings: TrainSettings) -> "Training":
        """The state before the first step."""
        tasks = weighted(expand_tasks(settings.tasks), settings.weights)
        words = vocabulary(list(tasks))
        size = Size(
            words.tokenizer.vocab_size, len(words.written), words.prompt, words.answer,
            settings.width, settings.layers, settings.heads, settings.hidden, settings.process == "causal",
        )  # fmt: skip
        network = AnswerNetwork(size, torch.tensor(words.written))
        initialise(network, torch.Generator().manual_seed(settings.seed), rank_of(words.tokenizer))
        stream = Stream(tasks, words, settings.batch, settings.seed)
        return cls(settings, words, stream, network, deepcopy(network).requires_grad_(False), Optimizer(network))

    def advance(self, batch: Batch) -> None:
        """One optimizer step."""
        settings, generator = self.settings, torch.Generator()
        generator.manual_seed(_seed(settings.seed, self.step))
        seen, weight = PROCESSES[settings.process](batch.answer, self.network.written, generator)
        losses = token_losses(self.network, batch, seen, weight)
        losses.mean().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip)
        rate = learning_rate(self.step / settings.steps, settings.warm / settings.steps, settings.rate)
        self.step += 1
        self.optimizer.step(self.step, rate)
        # A short memory at first, or the random start would stay in the average.
        decay = min(settings.keep, self.step / (self.step + 10))
        average(self.kept.parameters(), (w.detach() for w in self.network.parameters()), decay)
        for task, loss in zip(batch.task.tolist(), losses.tolist(), strict=True):
            self.losses.setdefault(self.stream.tasks[task].name, []).append(loss)

    def denoiser(self) -> NativeDenoiser:
        """The averaged network as a model."""
        return NativeDenoiser("training", str(self.step), self.kept, self.words.tokenizer)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that changes with a step."""
        return {
            **{f"weight/{name}": weight.data for name, weight in self.network.named_parameters()},
            **{f"kept/{name}": weight.data for name, weight in self.kept.named_parameters()},
            **self.optimizer.state,
        }

    def save(self, directory: Path) -> None:
        """Write the model, and what resuming needs in one file."""
        names = sorted({task.name.partition("@")[0] for task in self.stream.tasks})
        told = {**asdict(self.settings), "step": self.step}
        facts = {"process": self.settings.process, "tasks": names, "training": told}
        save_network(directory, self.kept, self.words.tokenizer, facts, torch.float32)
        header = {"step": str(self.step), "settings": json.dumps(asdict(self.settings), sort_keys=True)}
        write_atomically(directory / STATE, save(self.tensors(), header))

    def restore(self, path: Path) -> None:
        """Take over what `save` wrote.

        Raises:
            UsageError: it was written under other settings.
        """
        with safe_open(path, "pt") as file:
            told = file.metadata()
            _same_settings(json.loads(told["settings"]), json.loads(json.dumps(asdict(self.settings))), path)
            for name, tensor in self.tensors().items():
                tensor.copy_(file.get_tensor(name))
        self.step = int(told["step"])


def _same_settings(before: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    changed = [key for key in now if key not in MAY_CHANGE and before.get(key) != now[key]]
    if changed:
        told = ", ".join(f"{key}={before.get(key)} (now {now[key]})" for key in changed)
        raise UsageError(f"{path} was begun with {told}; give the same settings, or another --out.")


def _seed(seed: int, step: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{step}".encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True)
class Habits:
    """When a training looks up; none of it changes the weights.

    Attributes:
        tell: Steps between news.
        look: Steps between evaluations; 0 for none.
        samples: Held-out samples a task of an evaluation.
        setting: Method of an evaluation.
        save: Seconds between checkpoints.
    """

    tell: int = 100
    look: int = 1000
    samples: int = 16
    setting: str = "confidence:k=1"
    save: float = 120.0


def train(settings: TrainSettings, directory: Path, habits: Habits, tell: Callable[[Progress], None]) -> Training:
    """Train, or go on where an interrupted training with the same settings stopped.

    Args:
        settings: What to train.
        directory: Checkpoints and, in the end, the model.
        habits: When to report and to save.
        tell: Told the news.

    Raises:
        UsageError: `directory` holds a training with other settings.
    """
    training = Training.begin(settings)
    directory.mkdir(parents=True, exist_ok=True)
    if (directory / STATE).exists():
        training.restore(directory / STATE)
    began = saved = time.monotonic()
    for _ in _steps(training):
        due = training.step == settings.steps or bool(habits.look) and training.step % habits.look == 0
        if training.step % habits.tell == 0 or due:
            tell(_news(training, habits, due, time.monotonic() - began))
        if time.monotonic() - saved > habits.save or training.step == settings.steps:
            training.save(directory)
            saved = time.monotonic()
    return training


def _steps(training: Training) -> Iterator[int]:
    for batch in training.stream.batches(training.step):
        if training.step >= training.settings.steps:
            return
        training.advance(batch)
        yield training.step


def _news(training: Training, habits: Habits, due: bool, seconds: float) -> Progress:
    means = {name: sum(losses) / len(losses) for name, losses in sorted(training.losses.items())}
    everything = [loss for losses in training.losses.values() for loss in losses]
    training.losses.clear()
    found: dict[str, float] = {}
    if due and habits.look and training.settings.process != "causal":
        found = accuracies(training.denoiser(), training.stream.tasks, habits.samples, habits.setting)
    mean = sum(everything) / max(1, len(everything))
    return Progress(training.step, training.settings.steps, mean, means, found, seconds)
