"""`pb theory`: what no decoder can beat, computed exactly, and experiments that check it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parallelbench.cli.output import WHOLE, Json, faults_told, note, print_json, progress_bar, stdout
from parallelbench.errors import UsageError
from parallelbench.report.plain import plain

if TYPE_CHECKING:
    from parallelbench.theory.bounds import Frontier
    from parallelbench.theory.subjects import Subject

app = typer.Typer(
    help="What no decoder can beat: exact bounds, ceilings and induced distributions.", no_args_is_help=True
)

TaskName = Annotated[
    str,
    typer.Option(
        "--task",
        metavar="NAME",
        help="A list operation (shuffle, replace_random, ...), synthetic/markov, or a task (waiting_line/shuffle).",
    ),
]
Size = Annotated[int | None, typer.Option("--n", help="Items, side of a square or length of a chain.", **WHOLE)]
Tokens = Annotated[
    str | None, typer.Option(metavar="NAME", help="Tokenizer of the answers: words, bytes, or a model's name.")
]
Samples = Annotated[int, typer.Option(help="Samples of a benchmark task to average over.", **WHOLE)]
Seed = Annotated[int, typer.Option(help="Seed of samples and decoding.", **WHOLE)]
Steps = Annotated[int | None, typer.Option(help="Largest number of steps T; default: one a position.", **WHOLE)]
Lanes = Annotated[int, typer.Option(help="Decodings for each measured number.", **WHOLE)]


def _at_least(low: int, **values: int | None) -> None:
    """Refuse numbers below a smallest one."""
    for name, value in values.items():
        if value is not None and value < low:
            raise UsageError(f"{name}={value} is not allowed; {name} is a whole number of at least {low}.")


def _show(text: str) -> None:
    from rich.text import Text

    stdout().print(Text(plain(text)))


@app.command()
def bounds(
    task: TaskName, n: Size = None, tokens: Tokens = None, samples: Samples = 100, seed: Seed = 0,
    steps: Steps = None, json: Json = False,
) -> None:  # fmt: skip
    """Bits that T parallel steps lose at least: H, C and L*_T (Theorems 1-3).

    Example: pb theory bounds --task shuffle --n 6
    """
    with faults_told():
        from parallelbench.cli.theory_subjects import find
        from parallelbench.theory.bounds import frontier

        _at_least(1, samples=samples, steps=steps)
        found = find(task, n, tokens, samples, seed)
        total = steps or found.undecided
        parts = [(frontier(part, total), count) for part, count in found.parts]
        result = _bounds_result(found, parts)
        if json:
            print_json(result)
            return
        _print_columns(
            f"{found.task}: H = {result['H']:.4f} bits, C = {result['C']:.4f} bits",
            {"L*_T (bits)": result["L_star"]}, total,
        )  # fmt: skip
        if "partition" in result:
            for t, partition in result["partition"].items():
                note(f"T={t}: {' | '.join(' '.join(map(str, step)) for step in partition)}")
        if not result["exact"]:
            note("Too many positions to try every partition: L*_T are upper bounds, each reached by its partition.")


def _bounds_result(found: "Subject", parts: "list[tuple[Frontier, int]]") -> dict[str, Any]:
    def mean(value: Any) -> float:
        return float(sum(value(front) * count for front, count in parts) / found.samples)

    total = len(parts[0][0].values)
    result: dict[str, Any] = {
        "task": found.task, "n": found.n, "tokens": found.tokens, "samples": found.samples,
        "H": mean(lambda f: f.entropy), "C": mean(lambda f: f.correlation),
        "L_star": {str(t): mean(lambda f, t=t: f.values[t - 1]) for t in range(1, total + 1)},
        "exact": all(front.exact for front, _ in parts),
    }  # fmt: skip
    if len(parts) == 1:
        result["partition"] = {str(t): parts[0][0].partitions[t - 1] for t in range(1, total + 1)}
    return result


def _print_columns(title: str, columns: dict[str, dict[str, float]], total: int) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("T", justify="right")
    for name in columns:
        table.add_column(name, justify="right")
    for t in range(1, total + 1):
        table.add_row(str(t), *(f"{values[str(t)]:.6f}" for values in columns.values()))
    _show(title)
    stdout().print(table)


@app.command()
def ceiling(
    task: TaskName, n: Size = None, tokens: Tokens = None, samples: Samples = 100, seed: Seed = 0,
    steps: Steps = None,
    policy: Annotated[bool, typer.Option("--policy", help="Also show what the best policy does.")] = False,
    json: Json = False,
) -> None:  # fmt: skip
    """The best probability of a correct answer over all policies of at most T steps.

    t1 samples from the exact marginals (temperature 1), greedy takes their modes with exact ties broken at random.

    Example: pb theory ceiling --task replace_random --n 6 --policy
    """
    with faults_told():
        from parallelbench.cli.theory_ceilings import ceilings, policies
        from parallelbench.cli.theory_subjects import find

        _at_least(1, samples=samples, steps=steps)
        found = find(task, n, tokens, samples, seed)
        total = steps or found.undecided
        with progress_bar("ceilings") as show:
            values = ceilings(found, total, lambda done, of: show(done, of, found.task))
        result: dict[str, Any] = {
            "task": found.task, "n": found.n, "tokens": found.tokens, "samples": found.samples,
            "t1": values["t1"], "greedy": values["greedy"], "exact": True,
        }  # fmt: skip
        if policy:
            result["policy"] = policies(found, total)
        if json:
            print_json(result)
            return
        _print_columns(f"{found.task}: best P(correct)", {k: values[k] for k in ("t1", "greedy")}, total)
        for line in _policy_lines(result.get("policy", {})):
            _show(line)


def _policy_lines(tree: dict[str, Any]) -> list[str]:
    lines = []
    for kind, budgets in tree.items():
        for steps, states in budgets.items():
            lines.append(f"{kind}, T={steps}:")
            for state in states:
                shown = " ".join("_" if token is None else str(token) for token in state["visible"])
                why = ", ".join(f"{size} positions {value:.4f}" for size, value in state["by_size"].items())
                commit = " ".join(map(str, state["commit"]))
                lines.append(f"  {state['left']} left  [{shown}]  commit {commit}  value {state['value']:.4f}")
                lines.append(
                    f"      entropies {' '.join(f'{abs(h):.2f}' for h in state['entropy'])} bits; best with {why}"
                )
    return lines


@app.command()
def table1(
    n: Annotated[int, typer.Option("--n", help="Items, 2 to 20.", **WHOLE)] = 6,
    lanes: Lanes = 1000,
    seed: Seed = 0, json: Json = False,
) -> None:  # fmt: skip
    """The paper's Table 1: formulas beside exact numbers beside what the loop measures.

    Example: pb theory table1 --n 6
    """
    with faults_told():
        from rich.table import Table

        from parallelbench.cli.theory_table import COLUMNS, table_rows

        _at_least(1, lanes=lanes)
        with progress_bar("decoding") as show:
            rows = table_rows(n, lanes, seed, lambda done, of: show(done, of, "table 1"))
        if json:
            print_json(rows)
        else:
            table = Table(title=f"Table 1 at n = {n}: list operations, one token an item", pad_edge=False)
            for name in COLUMNS:
                table.add_column(name, justify="right" if name not in ("operation", "quantity") else "left")
            for row in rows:
                table.add_row(*(_cell(row[name]) for name in COLUMNS))
            stdout().print(table)
        if not all(row["agrees"] for row in rows):
            note("A formula lies outside what was computed or measured.")
            raise typer.Exit(1)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


@app.command()
def validate(
    model: Annotated[str, typer.Option(metavar="NAME", help="Denoiser to run it on.")] = "ideal",
    lanes: Lanes = 200,
    largest: Annotated[int, typer.Option(help="Largest list length, 2 to 20.", **WHOLE)] = 20,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the results.")] = Path("runs/theory"),
    seed: Seed = 0, json: Json = False,
) -> None:  # fmt: skip
    """The closed forms against the real loop: infilled lists, top-k and threshold decoding (the paper's Figure 2).

    Example: pb theory validate --out runs/theory
    """
    with faults_told():
        from parallelbench.cli.theory_validate import save, summary, validation
        from parallelbench.report.figures import require_figures

        _at_least(1, lanes=lanes)
        require_figures()
        with progress_bar("decoding") as show:
            points = validation(model, lanes, largest, seed, lambda done, of, what: show(done, of, what))
        files = save(points, out, model)
        told = summary(points, model)
        if json:
            print_json({**told, "files": [str(file) for file in files], "points": points})
        else:
            _show(told["text"])
        note(f"saved: {', '.join(map(str, files))}")
        if told["expected"] and told["inside"] < 0.95 * told["points_in_all"]:
            raise typer.Exit(1)


@app.command()
def divergence(
    task: TaskName,
    method: Annotated[
        str, typer.Option(metavar="NAME", help="Setting, e.g. left_to_right:k=2; temperature 1 is understood.")
    ],
    n: Size = None, tokens: Tokens = None, seed: Seed = 0,
    lanes: Annotated[int, typer.Option(help="Decodings where the decoding tree is too large.", **WHOLE)] = 20000,
    json: Json = False,
) -> None:  # fmt: skip
    """The distribution a method induces on the answers at temperature 1, and its distance from the true one.

    Example: pb theory divergence --task shuffle --n 4 --method confidence:k=2
    """
    with faults_told():
        from parallelbench.cli.theory_subjects import find

        _at_least(1, lanes=lanes)
        found = find(task, n, tokens, samples=1, seed=seed)  # refused before torch is brought along
        from parallelbench.cli.theory_divergence import measure

        result = measure(found, method, lanes, seed)
        if json:
            print_json(result)
            return
        how = "exact" if result["exact"] else f"Monte Carlo, {result['lanes']} decodings"
        _show(f"{found.task}, {result['method']} at temperature 1 ({how})")
        for key, unit in (("kl", " bits"), ("total_variation", ""), ("correct", "")):
            value, bounds_ = result[key], result["intervals"].get(key)
            shown = "not estimable: some answers never came" if value is None else f"{value:.6f}{unit}"
            _show(f"  {key}: {shown}" + (f"  [{bounds_[0]:.4f}, {bounds_[1]:.4f}]" if bounds_ else ""))


@app.command()
def estimate(
    task: Annotated[list[str], typer.Option(metavar="NAME", help="Task or category; repeatable.")],
    model: Annotated[str, typer.Option(metavar="NAME", help="Denoiser.")] = "ideal",
    method: Annotated[
        str, typer.Option(metavar="NAME", help="Whose steps are looked at, e.g. confidence:k=4.")
    ] = "left_to_right:k=4",
    samples: Samples = 100, seed: Seed = 0,
    json: Json = False,
) -> None:  # fmt: skip
    """How hard the data is: bits of dependence between tokens that a method commits together.

    Example: pb theory estimate --task waiting_line --method left_to_right:k=32
    """
    with faults_told():
        from rich.table import Table

        from parallelbench.cli.theory_estimate import estimates

        _at_least(1, samples=samples)
        with progress_bar("scoring") as show:
            rows = estimates(model, task, method, samples, seed, lambda done, of, what: show(done, of, what))
        if json:
            print_json(rows)
            return
        table = Table(box=None, pad_edge=False)
        for name in ("task", "bits", "95 % interval", "exact", "samples"):
            table.add_column(name, justify="left" if name == "task" else "right")
        for row in rows:
            interval = f"{row['interval'][0]:.3f} to {row['interval'][1]:.3f}"
            table.add_row(plain(row["task"]), f"{row['bits']:.4f}", interval, _cell(row["exact"]), str(row["samples"]))
        stdout().print(table)
