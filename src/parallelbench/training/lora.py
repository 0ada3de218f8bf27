"""Fine-tuning of a checkpoint of any family with LoRA, on the tasks' train split."""

import json
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parallelbench.errors import UsageError
from parallelbench.models.base import Denoiser
from parallelbench.models.families.denoiser import FamilyDenoiser
from parallelbench.models.families.extras import optional
from parallelbench.models.families.network import Network
from parallelbench.models.registry import load_denoiser
from parallelbench.tasks import expand_tasks
from parallelbench.tasks.base import Sample, Split, sample_random
from parallelbench.tasks.common import CountedTask
from parallelbench.training.loss import times

TARGETS = ("q_proj", "k_proj", "v_proj")
FACTS = "training.json"


@dataclass(frozen=True)
class LoraSettings:
    """Settings of a fine-tuning; the defaults are those of the paper (section 5 of its experiments).

    Attributes:
        model: Model string of a checkpoint.
        tasks: Names of tasks or categories.
        samples: Training samples a task.
        validation: Held-out samples a task whose loss is told after every epoch.
        epochs: Times that every sample is seen.
        batch: Samples a step.
        rate: Peak learning rate of AdamW.
        warm: Share of the steps in which it rises; it falls like a cosine afterwards.
        rank: Rank of the updates.
        alpha: Their scale is alpha / rank.
        dropout: Share of the inputs of an update that is dropped in training.
        seed: Of adapters, samples and hidden tokens.
    """

    model: str
    tasks: tuple[str, ...]
    samples: int = 20_000
    validation: int = 5_000
    epochs: int = 10
    batch: int = 32
    rate: float = 1e-5
    warm: float = 0.05
    rank: int = 128
    alpha: int = 256
    dropout: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        for name in ("samples", "epochs", "batch", "rank", "alpha"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be a whole number from 1, got {getattr(self, name)}.")
        if not self.rate > 0:
            raise UsageError(f"the learning rate must be positive, got {self.rate}.")


@dataclass(frozen=True)
class Epoch:
    """News of a fine-tuning.

    Attributes:
        number: Epochs done.
        epochs: Epochs in all.
        step: Steps done.
        loss: Mean training loss of the epoch, in nats a token.
        validation: Mean loss on held-out samples, None without any.
    """

    number: int
    epochs: int
    step: int
    loss: float
    validation: float | None


@dataclass(frozen=True)
class Example:
    """A prompt and its answer, filled with EOS, as token ids."""

    prompt: list[int]
    answer: list[int]


def examples(model: Denoiser, tasks: Sequence[CountedTask], count: int, seed: int, split: Split) -> list[Example]:
    """`count` samples of each task as the model reads them; a fixed split gives at most what it has."""
    found = []
    for task in tasks:
        for sample in task.samples(seed, min(count, task.available(split) or count), split):
            found.append(Example(model.encode(sample.messages), _answer(model, task, sample)))
    return found


def _answer(model: Denoiser, task: CountedTask, sample: Sample) -> list[int]:
    ids = model.tokenizer.encode(sample.answer)[: task.max_tokens]
    return ids + [model.spec.eos_id] * (task.max_tokens - len(ids))


def hidden_loss(model: FamilyDenoiser, batch: Sequence[Example], generator: torch.Generator) -> Tensor:
    """Mean over the answers of cross-entropy / t a token, every token hidden with probability t (LLaDA, eq. 3)."""
    assert isinstance(model.network, Network)
    width = max(len(one.prompt) + len(one.answer) for one in batch)
    canvas = torch.full((len(batch), width), model.spec.pad_id)
    present, answers = torch.zeros_like(canvas, dtype=torch.bool), torch.zeros_like(canvas, dtype=torch.bool)
    for row, one in enumerate(batch):
        ids = [*one.prompt, *one.answer]
        canvas[row, width - len(ids) :] = torch.tensor(ids)
        present[row, width - len(ids) :] = True
        answers[row, width - len(one.answer) :] = True
    t = times(len(batch), generator)[:, None].expand(-1, width)
    rows = answers & (torch.rand(canvas.shape, generator=generator) < t)
    logits = model.network.trainable_logits(canvas.masked_fill(rows, model.spec.mask_id), present, rows)
    each = F.cross_entropy(logits.float(), canvas[rows].to(logits.device), reduction="none")
    return (each / t[rows].to(logits.device)).sum() / answers.sum()


def fine_tune(settings: LoraSettings, directory: Path, tell: Callable[[Epoch], None]) -> float:
    """Train an adapter and save it in peft's format; returns the last epoch's loss.

    Args:
        settings: What to train.
        directory: Where the adapter goes, after every epoch.
        tell: Told the news of every epoch.

    Raises:
        UsageError: the model is no checkpoint with attention projections, or peft is missing.
    """
    model = load_denoiser(settings.model)
    if not isinstance(model, FamilyDenoiser) or not isinstance(model.network, Network):
        raise UsageError(f"{settings.model} can't be fine-tuned: LoRA needs a checkpoint of a transformers family.")
    tasks = expand_tasks(settings.tasks)
    train = examples(model, tasks, settings.samples, settings.seed, "train")
    held_out = examples(model, tasks, settings.validation, settings.seed, "test") if settings.validation else []
    adapted = _adapt(model.network, settings)
    weights = [weight for weight in adapted.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=settings.rate)
    steps = settings.epochs * math.ceil(len(train) / settings.batch)
    step, loss = 0, float("nan")
    for epoch in range(1, settings.epochs + 1):
        adapted.train()
        losses = []
        for batch in _batches(train, settings, epoch):
            for group in optimizer.param_groups:
                group["lr"] = settings.rate * cosine(step / steps, settings.warm)
            found = hidden_loss(model, batch, torch.Generator().manual_seed(settings.seed + step))
            found.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(found.item() * len(batch))
            step += 1
        adapted.eval()
        loss = sum(losses) / len(train)
        _save(adapted, directory, settings, epoch)
        tell(Epoch(epoch, settings.epochs, step, loss, _validation(model, held_out, settings)))
    return loss


def _adapt(network: Network, settings: LoraSettings) -> Any:
    """Peft's adapters inside the network's own modules: its forward now goes through them."""
    peft = optional("peft", "models")
    torch.manual_seed(settings.seed)  # peft draws from the global generator
    config = peft.LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout, target_modules=list(TARGETS)
    )
    try:
        with warnings.catch_warnings():  # peft asks transformers in ways that those deprecate: nothing to do for a user
            warnings.simplefilter("ignore", FutureWarning)
            return peft.get_peft_model(network.model, config)
    except ValueError as error:  # no such projections
        raise UsageError(f"{settings.model} has none of {', '.join(TARGETS)} to adapt.") from error


def _save(adapted: Any, directory: Path, settings: LoraSettings, epoch: int) -> None:
    adapted.save_pretrained(str(directory), save_embedding_layers=False)  # "auto" would ask the hub
    told = {**asdict(settings), "epoch": epoch}
    (directory / FACTS).write_text(json.dumps(told, indent=1) + "\n")


def _batches(train: Sequence[Example], settings: LoraSettings, epoch: int) -> Iterator[list[Example]]:
    order = list(train)
    sample_random("fine-tuning", settings.seed, epoch).shuffle(order)
    for start in range(0, len(order), settings.batch):
        yield order[start : start + settings.batch]


@torch.no_grad()
def _validation(model: FamilyDenoiser, held_out: Sequence[Example], settings: LoraSettings) -> float | None:
    if not held_out:
        return None
    total = 0.0
    for number, start in enumerate(range(0, len(held_out), settings.batch)):
        batch = held_out[start : start + settings.batch]
        # The same tokens are hidden after every epoch, so that losses can be compared.
        total += hidden_loss(model, batch, torch.Generator().manual_seed(number)).item() * len(batch)
    return total / len(held_out)


def cosine(done: float, warm: float) -> float:
    """Share of the peak learning rate: a linear rise, then half a cosine down to 0."""
    if done < warm:
        return done / warm
    return 0.5 * (1 + math.cos(math.pi * (done - warm) / (1 - warm)))
