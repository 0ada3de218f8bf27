"""What each method costs beside the model: its own work a step as a share of the bare forward.

The same lanes are decoded once with every method's score and rule under a clock; the bare forward is what the loop
spends inside the model in the same run, forwards that a rule asks for included. `python benchmarks/methods.py
[--json]`. With `--attention 2` it times the attention maps of the last 2 layers beside the fused forward of a random
Llama instead (needs the extra [models]).
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from transformer import RandomTransformer, Size

from parallelbench.decoding import METHODS, Cost, Lane, Method, decode, default_sweep, parse_method

PARTS = ("score", "rule", "revise", "prepare", "adjust", "leave")


@dataclass(frozen=True)
class Share:
    """One method's row.

    Attributes:
        setting: The setting decoded.
        forwards: Batched forwards of the run.
        own_ms: Milliseconds a forward in the method's own functions, median over turns.
        model_ms: Milliseconds a forward inside the model.
        share: own / model.
        low: Smallest share of the turns.
        high: Largest.
    """

    setting: str
    forwards: int
    own_ms: float
    model_ms: float
    share: float
    low: float
    high: float


class Clock:
    """Seconds spent in the functions it has wrapped, without those that the model took inside them.

    Args:
        cost: Where the loop counts the model's seconds.
    """

    def __init__(self, cost: Cost) -> None:
        self.seconds, self.cost = 0.0, cost

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed."""

        def timed(*arguments: Any) -> Any:
            began, inside = time.perf_counter(), self.cost.model_seconds
            result = function(*arguments)
            self.seconds += time.perf_counter() - began - (self.cost.model_seconds - inside)
            return result

        return timed


class Able(RandomTransformer):
    """The transformer with every capability a method asks for, so that all can run.

    It is its own verifier; attention maps and the answers of earlier layers are made up once, since only what the
    method does with them is timed.
    """

    def __init__(self, size: Size) -> None:
        super().__init__(size)
        self.frequencies = torch.full((size.vocabulary,), 1 / size.vocabulary)
        self.spec = replace(self.spec, capabilities=frozenset({"frequencies", "verifier", "attention", "layers"}))
        self.depth = size.layers
        self.maps = torch.rand(size.positions, size.positions).softmax(-1)

    def verify(self, canvas: torch.Tensor, attention_mask: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """The logits of the filled canvas: the cost of a causal pass of the same size."""
        return self.logits(canvas, attention_mask, rows)

    def attended(
        self, canvas: torch.Tensor, attention_mask: torch.Tensor, rows: torch.Tensor, last: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`logits` and made-up attention."""
        width = canvas.shape[1]
        return self.logits(canvas, attention_mask, rows), self.maps[:width, :width].expand(len(canvas), -1, -1)

    def layered(
        self, canvas: torch.Tensor, attention_mask: torch.Tensor, rows: torch.Tensor, last: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """`logits` and what `last` layers are made to answer: the last one agrees with itself."""
        logits = self.logits(canvas, attention_mask, rows)
        sure = torch.linspace(0.5, 1.0, last).unsqueeze(-1).expand(-1, len(logits))
        return logits, sure > 0.6, sure


def timed_method(setting: str, clock: Clock) -> Method:
    """The method with its own functions under the clock."""
    method = parse_method(setting)
    found = {name: getattr(method, name) for name in PARTS}
    return replace(method, **{name: clock.wrap(part) for name, part in found.items() if part is not None})


def measure(model: Able, setting: str, batch: int, prompt: int, length: int, repeat: int) -> Share:
    """Decode `batch` lanes `repeat` times."""
    generator = torch.Generator().manual_seed(batch)
    vocabulary = model.spec.vocab_size
    prompts = torch.randint(0, vocabulary - 3, (batch, prompt), generator=generator).tolist()
    own, inside, shares = [], [], []
    for turn in range(repeat + 1):
        cost = Cost()
        clock = Clock(cost)
        method = timed_method(setting, clock)
        lanes = [Lane(f"{number}", tuple(ids), length, method) for number, ids in enumerate(prompts)]
        errors = [result.error for result in decode(model, lanes, batch, cost=cost) if result.error]
        if errors:
            raise RuntimeError(f"{setting}: {errors[0]}")
        if turn:  # the first one warms up
            own.append(1000 * clock.seconds / cost.calls)
            inside.append(1000 * cost.model_seconds / cost.calls)
            shares.append(clock.seconds / cost.model_seconds)
    return Share(
        setting, cost.calls, statistics.median(own), statistics.median(inside), statistics.median(shares),
        min(shares), max(shares),
    )  # fmt: skip


def attention_share(size: Size, batch: int, length: int, last: int, repeat: int) -> dict[str, float]:
    """What the maps of the last layers add to a forward with a head for `length` rows, alternating; medians.

    Processor time, not wall time: with one thread it hardly depends on who else uses the machine.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    from parallelbench.models.families.looking import attended
    from parallelbench.models.families.network import Network

    config = LlamaConfig(
        hidden_size=size.width, intermediate_size=4 * size.width, num_hidden_layers=size.layers,
        num_attention_heads=size.width // 64, vocab_size=size.vocabulary,
    )  # fmt: skip
    network = Network(LlamaForCausalLM(config).eval(), None, False)
    canvas = torch.randint(size.vocabulary, (batch, size.positions), generator=torch.Generator().manual_seed(0))
    present, rows = (
        torch.ones_like(canvas).bool(),
        torch.arange(size.positions).expand_as(canvas) >= size.positions - length,
    )
    plain, shares = [], []
    for turn in range(repeat + 1):
        began = time.process_time()
        network.logits(canvas, present, rows)
        between = time.process_time()
        attended(network, canvas, present, rows, last)
        ended = time.process_time()
        if turn:
            plain.append(1000 * (between - began))
            shares.append((ended - between) / (between - began) - 1)
    return {
        "layers": last, "forward_ms": statistics.median(plain), "extra": statistics.median(shares), "low": min(shares),
        "high": max(shares),
    }  # fmt: skip


def settings_of(names: list[str], length: int) -> list[str]:
    """One setting of each method, from the middle of its sweep."""
    return [(sweep := default_sweep(name, length))[len(sweep) // 2] for name in names]


def line(r: Share) -> str:
    """A row of the table."""
    return (
        f"{r.setting:<28} {r.forwards:>8} {r.own_ms:>7.2f} {r.model_ms:>9.1f}  "
        f"{100 * r.share:.1f} % ({100 * r.low:.1f}..{100 * r.high:.1f})"
    )


def main() -> None:
    """Measure and print, each row as soon as it is known."""
    has = {"frequencies", "verifier", "shadow", "attention", "layers"}
    plain = [name for name, entry in METHODS.items() if "@" not in name and entry.requires <= has]
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="JSON on stdout")
    parser.add_argument("--repeat", type=int, default=3, help="turns after the one that warms up")
    parser.add_argument("--batch", type=int, default=4, help="lanes decoded together")
    parser.add_argument("--method", nargs="+", default=plain)
    parser.add_argument("--prompt", type=int, default=200, help="prompt tokens")
    parser.add_argument("--length", type=int, default=32, help="generated tokens")
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=32_000)
    parser.add_argument("--attention", type=int, default=0, help="time the maps of so many last layers instead")
    given = parser.parse_args()
    size = Size(given.layers, given.width, given.vocabulary, given.prompt + given.length)
    if given.attention:
        print(json.dumps(attention_share(size, given.batch, given.length, given.attention, given.repeat), indent=2))
        return
    machine = f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    if not given.json:
        print(f"{machine}; {size}, batch {given.batch}, prompt {given.prompt} + {given.length} tokens")
        print(f"{'setting':<28} forwards  own ms  model ms  own/model", flush=True)
    model, rows = Able(size), []
    for setting in settings_of(given.method, given.length):
        sys.stderr.write(f"{setting} ...\n")
        rows.append(measure(model, setting, given.batch, given.prompt, given.length, given.repeat))
        if not given.json:
            print(line(rows[-1]), flush=True)
    if given.json:
        facts = {"machine": machine, "size": asdict(size), "batch": given.batch, "repeat": given.repeat}
        print(json.dumps({**facts, "methods": [*map(asdict, rows)]}, indent=2))


if __name__ == "__main__":
    main()
