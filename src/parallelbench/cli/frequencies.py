"""`pb frequencies`: a table of token frequencies for PC-sampler, from a model's tokenizer and a corpus."""

from pathlib import Path
from typing import Annotated

import typer

from parallelbench.cli.output import Json, faults_told, note, print_json
from parallelbench.errors import RunError, UsageError


def frequencies(
    corpus: Annotated[list[Path], typer.Argument(help="Text files.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Table to write, .npy.")],
    model: Annotated[str, typer.Option(metavar="MODEL", help="Whose tokenizer.")] = "ideal",
    json: Json = False,
) -> None:
    """Count a tokenizer's tokens in text files, for `--method pc_sampler:table=FILE`.

    Example: pb frequencies wiki.txt --model checkpoints/dream -o dream.npy
    """
    with faults_told():
        import numpy as np  # brought along late, as torch is

        from parallelbench.models.frequency import token_frequencies
        from parallelbench.models.registry import load_denoiser

        denoiser = load_denoiser(model)
        try:
            texts = [path.read_text(encoding="utf-8") for path in corpus]
            table = token_frequencies(denoiser.tokenizer, texts, denoiser.spec.vocab_size)
        except (OSError, ValueError) as error:
            raise UsageError(f"The corpus cannot be read: {error}.") from error
        target = out if out.suffix == ".npy" else out.with_name(out.name + ".npy")
        try:
            np.save(target, table.numpy())
        except OSError as error:
            raise RunError(f"{target} cannot be written: {error}") from error
        seen = int((table > table.min()).sum())
        note(f"{seen} of {len(table)} tokens seen, written to {target}")
        if json:
            print_json({"table": str(target), "tokens": len(table), "seen": seen})
