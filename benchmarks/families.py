"""Seconds and peak memory of one forward of a mid-size random LLaDA, with all logits rows or the needed ones.

    python benchmarks/families.py [--batch 1 --batch 4 --batch 16] [--repeat 5] [--device cpu] [--json]

About 100 million parameters and LLaDA's vocabulary of 126,464; canvases of 128 prompt and 64 generated tokens, of
which the 32 masks of one block need logits. Every row of the table is measured in a process of its own, so that
its peak memory is its own; the memory of the idle model is subtracted.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import torch

VOCAB, WIDTH, LAYERS, HEADS, MLP = 126_464, 320, 12, 5, 960
PROMPT, REGION, MASKS = 128, 64, 32


def random_llada(device):
    """The network, without a checkpoint."""
    import transformers

    from parallelbench.models.families.network import Network

    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=VOCAB, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=HEADS, intermediate_size=MLP, rope_parameters={"rope_type": "default", "rope_theta": 5e5},
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval().requires_grad_(False).to(device)
    return Network(model, None, False), sum(weight.numel() for weight in model.parameters())


def peak_bytes(device):
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return torch.cuda.max_memory_allocated()


def wait_for(device):
    if device != "cpu":
        torch.cuda.synchronize()


def measure(batch, needed_only, repeat, device):
    network, parameters = random_llada(device)
    canvas = torch.randint(VOCAB, (batch, PROMPT + REGION))
    present = torch.ones_like(canvas, dtype=torch.bool)
    rows = torch.zeros_like(present) if needed_only else present
    if needed_only:
        rows[:, PROMPT : PROMPT + MASKS] = True
    idle = peak_bytes(device)
    seconds = []
    for _ in range(repeat + 1):
        wait_for(device)
        began = time.perf_counter()
        logits = network.logits(canvas, present, rows)
        wait_for(device)
        seconds.append(time.perf_counter() - began)
        del logits
    return {
        "batch": batch, "rows": "needed" if needed_only else "all", "logits_rows": int(rows.sum()),
        "seconds": sorted(seconds[1:])[repeat // 2], "peak_mb": (peak_bytes(device) - idle) / 1e6,
        "parameters": parameters,
    }  # fmt: skip


def in_own_process(batch, rows, repeat, device):
    command = [sys.executable, __file__, "--one", f"{batch},{rows}", "--repeat", str(repeat), "--device", device]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, action="append")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        batch, rows = given.one.split(",")
        print(json.dumps(measure(int(batch), rows == "needed", given.repeat, given.device)))
        return
    results = [
        in_own_process(batch, rows, given.repeat, given.device)
        for batch in given.batch or (1, 4, 16)
        for rows in ("all", "needed")
    ]
    if given.json:
        print(json.dumps(results, indent=2))
        return
    print(f"{results[0]['parameters'] / 1e6:.0f} M parameters, {torch.get_num_threads()} threads, {given.device}")
    print(f"{'batch':>5}  {'rows':>6}  {'logits rows':>11}  {'seconds':>8}  {'peak MB':>8}")
    for r in results:
        print(f"{r['batch']:5d}  {r['rows']:>6}  {r['logits_rows']:11d}  {r['seconds']:8.3f}  {r['peak_mb']:8.0f}")


if __name__ == "__main__":
    main()
