"""How much the decoding loop costs beside the model's own forwards, and how much a plain loop costs.

Three clocks run interleaved, so that a noisy machine disturbs them alike:

- decode: the loop of the package on `batch` lanes;
- bare: every forward of that very decode once more - same canvases, same rows through the head - and nothing else,
  call by call;
- plain: a loop as published implementations write it (one sample at a time, logits of all positions, float64 softmax
  of all of them, topk).

    python benchmarks/loop.py            a table
    python benchmarks/loop.py --json     the same as JSON
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor
from transformer import RandomTransformer, Size

from parallelbench.decoding import Cost, Lane, Trajectory, decode, parse_method
from parallelbench.models.base import Denoiser, DenoiserSpec, Message, Tokenizer
from parallelbench.models.registry import load_denoiser
from parallelbench.runs.plan import Plan, RunSettings, problems

T = TypeVar("T")


@dataclass(frozen=True)
class Measured:
    """One setting at one batch size; times are medians over the turns.

    Attributes:
        setting: Method.
        batch: Lanes decoded together.
        nfe: Forwards the lanes needed, all together.
        decode_ms: Milliseconds of decoding a forward.
        bare_ms: Milliseconds of the same forward alone.
        ratio: Median of decode / bare, turn by turn.
        ratio_low: Smallest such ratio.
        ratio_high: Largest such ratio.
        plain_ms: Milliseconds a forward of the plain loop.
        speedup: Median of plain / decode, both a forward.
        speedup_low: Smallest such ratio.
        speedup_high: Largest such ratio.
        same_as_plain: Whether both loops decoded the first lane to the same tokens.
    """

    setting: str
    batch: int
    nfe: int
    decode_ms: float
    bare_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float
    plain_ms: float
    speedup: float
    speedup_low: float
    speedup_high: float
    same_as_plain: bool


class Paired:
    """A denoiser that answers every call, and does the same forward once more for the bare clock.

    The second forward comes after the first at even calls and before it at odd ones, so that neither clock gets the
    warmer cache or the calmer machine.
    """

    def __init__(self, model: RandomTransformer) -> None:
        self._model = model
        self.spec: DenoiserSpec = model.spec
        self.tokenizer: Tokenizer = model.tokenizer
        self.calls, self.bare_seconds = 0, 0.0

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """The model's prompt ids."""
        return self._model.encode(messages)

    def decode(self, ids: Sequence[int]) -> str:
        """The model's text."""
        return self._model.decode(ids)

    def logits(self, canvas: Tensor, attention_mask: Tensor, rows: Tensor) -> Tensor:
        """The model's logits."""
        self.calls += 1
        if self.calls % 2:
            self._bare(canvas, attention_mask, rows)
            return self._model.logits(canvas, attention_mask, rows)
        answer = self._model.logits(canvas, attention_mask, rows)
        self._bare(canvas, attention_mask, rows)
        return answer

    def _bare(self, *call: Tensor) -> None:
        seconds, _ = timed(lambda: self._model.logits(*call))
        self.bare_seconds += seconds


@torch.inference_mode()
def plain_loop(model: RandomTransformer, lane: Lane) -> tuple[list[int], int]:
    """Final tokens and forwards of one sample, decoded as the published loops do it."""
    mask, k = model.spec.mask_id, lane.method.parameters.get("k")
    x = torch.cat([torch.tensor(lane.prompt), torch.full((lane.length,), mask)]).unsqueeze(0)
    present, nfe = torch.ones_like(x, dtype=torch.bool), 0
    while bool((x == mask).any()):
        masked = x == mask
        logits = model.head(model.hidden(x, present))
        logits[..., mask] = -torch.inf
        candidate = logits.argmax(dim=-1)
        probability = torch.softmax(logits.to(torch.float64), dim=-1)
        chosen = probability.gather(-1, candidate.unsqueeze(-1)).squeeze(-1)
        confidence = torch.where(masked, chosen, -torch.inf)
        if k is not None:
            commit = torch.zeros_like(masked)
            commit[0, confidence[0].topk(min(int(k), int(masked.sum()))).indices] = True
        else:
            commit = confidence >= float(lane.method.parameters["tau"])
            commit[0, confidence[0].argmax()] = True
        x = torch.where(commit, candidate, x)
        nfe += 1
    return x[0, len(lane.prompt) :].tolist(), nfe


def lanes_of(setting: str, count: int, prompt: int, length: int, vocabulary: int) -> list[Lane]:
    """Lanes with random prompts of one length."""
    generator = torch.Generator().manual_seed(count)
    prompts = torch.randint(0, vocabulary - 3, (count, prompt), generator=generator).tolist()
    method = parse_method(setting)
    return [Lane(f"{setting}/{number}", tuple(ids), length, method) for number, ids in enumerate(prompts)]


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds and result."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def decode_all(denoiser: Denoiser, lanes: Sequence[Lane], batch: int, cost: Cost | None = None) -> list[Trajectory]:
    """The package's loop, to the end."""
    return list(decode(denoiser, lanes, batch, cost=cost))


def measure(model: RandomTransformer, lanes: Sequence[Lane], repeat: int) -> Measured:
    """Run the three clocks `repeat` times, after a warm-up of the plain loop."""
    alone, _ = plain_loop(model, lanes[0])
    decoded, bare, plain, same, nfe = [], [], [], False, 0
    for turn in range(repeat):
        paired = Paired(model)
        whole, found = timed(partial(decode_all, paired, lanes, len(lanes)))
        nfe = sum(trajectory.nfe for trajectory in found)
        same = any(t.lane is lanes[0] and list(t.tokens) == alone for t in found)
        bare.append(paired.bare_seconds)
        decoded.append(whole - paired.bare_seconds)
        seconds, (_, forwards) = timed(partial(plain_loop, model, lanes[turn % len(lanes)]))
        plain.append(seconds / forwards)
    ratios = [a / b for a, b in zip(decoded, bare, strict=True)]
    speedups = [a / (b / nfe) for a, b in zip(plain, decoded, strict=True)]
    return Measured(
        setting=lanes[0].method.setting, batch=len(lanes), nfe=nfe,
        decode_ms=1000 * statistics.median(decoded) / nfe, bare_ms=1000 * statistics.median(bare) / nfe,
        ratio=statistics.median(ratios), ratio_low=min(ratios), ratio_high=max(ratios),
        plain_ms=1000 * statistics.median(plain),
        speedup=statistics.median(speedups), speedup_low=min(speedups), speedup_high=max(speedups),
        same_as_plain=same,
    )  # fmt: skip


@dataclass(frozen=True)
class Shared:
    """The standard sweep with the ideal denoiser: what forwarding identical canvases once saves.

    Attributes:
        samples: Samples a task.
        lanes: Lanes decoded.
        counted: Forwards the lanes needed, each for itself.
        executed: Forwards really done.
        executed_share: executed / counted.
        ms_per_forward: Milliseconds of decoding a counted forward, the ideal denoiser's own work included.
    """

    samples: int
    lanes: int
    counted: int
    executed: int
    executed_share: float
    ms_per_forward: float


def sweep(samples: int, tasks: Sequence[str]) -> Shared:
    """Decode every built-in method's sweep on some samples of the tasks."""
    settings = RunSettings(samples=samples, tasks=tuple(tasks))
    found = problems(settings)
    denoiser = load_denoiser("ideal", [(problem.task, problem.sample) for problem in found])
    lanes = [planned.lane for planned in Plan(settings, found).lanes(denoiser)]
    threads, cost = torch.get_num_threads(), Cost()
    torch.set_num_threads(1)  # as `pb run` does: rows of a few columns are too little work for two
    seconds, _ = timed(partial(decode_all, denoiser, lanes, 64, cost))
    torch.set_num_threads(threads)
    counted, executed = cost.forwards_counted, cost.forwards_executed
    return Shared(samples, len(lanes), counted, executed, executed / counted, 1000 * seconds / counted)


def arguments() -> argparse.Namespace:
    """Sizes and what to measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="JSON on stdout")
    parser.add_argument("--repeat", type=int, default=3, help="turns of the three clocks")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16], help="lanes decoded together")
    parser.add_argument("--setting", nargs="+", default=["confidence:k=2", "threshold:tau=0.9"])
    parser.add_argument("--prompt", type=int, default=200, help="prompt tokens")
    parser.add_argument("--length", type=int, default=32, help="generated tokens")
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=32_000)
    parser.add_argument("--samples", type=int, default=2, help="samples a task of the sweep; 0 leaves it out")
    parser.add_argument("--task", nargs="+", default=["all"], help="tasks of the sweep")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    given = arguments()
    size = Size(given.layers, given.width, given.vocabulary, given.prompt + given.length)
    model, rows = RandomTransformer(size), []
    for setting in given.setting:
        for batch in given.batch:
            sys.stderr.write(f"{setting}, batch {batch} ...\n")
            lanes = lanes_of(setting, batch, given.prompt, given.length, given.vocabulary)
            rows.append(measure(model, lanes, given.repeat))
    shared = sweep(given.samples, given.task) if given.samples else None
    machine = f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    if given.json:
        facts = {"machine": machine, "size": asdict(size), "prompt": given.prompt, "length": given.length}
        print(json.dumps({**facts, "repeat": given.repeat, "loop": [*map(asdict, rows)],
                          "sweep": shared and asdict(shared)}, indent=2))  # fmt: skip
        return
    print(f"{machine}; {size}, prompt {given.prompt} + {given.length} tokens, {given.repeat} turns")
    print(f"{'setting':<20} batch  nfe  decode ms  bare ms  decode / bare         plain ms  plain / decode")
    for r in rows:
        print(
            f"{r.setting:<20} {r.batch:>5} {r.nfe:>4} {r.decode_ms:>10.2f} {r.bare_ms:>8.2f}"
            f"  {r.ratio:.3f} ({r.ratio_low:.3f}..{r.ratio_high:.3f}) {r.plain_ms:>9.2f}"
            f"  {r.speedup:.2f} ({r.speedup_low:.2f}..{r.speedup_high:.2f})"
            f"{'' if r.same_as_plain else '  tokens differ from the plain loop'}"
        )
    if shared:
        print(
            f"sweep, ideal denoiser, {shared.samples} samples a task, {shared.lanes} lanes: {shared.executed} forwards"
            f" executed of {shared.counted} counted ({shared.executed_share:.3f}), {shared.ms_per_forward:.2f} ms each"
        )


if __name__ == "__main__":
    main()
