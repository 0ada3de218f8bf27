"""The walls of the house: which room may import which, and how long things may get."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "parallelbench"
EVERYTHING = {"tasks", "models", "decoding", "theory", "runs", "analysis", "report", "training", "cli"}
MAY_IMPORT = {
    "tasks": set(),
    "theory": {"tasks"},
    "models": set(),
    "decoding": {"models"},
    "runs": {"tasks", "models", "decoding"},
    "analysis": {"runs"},
    # Trains on the tasks' samples, and looks at how well it does by the loop that runs use.
    "training": {"tasks", "models", "decoding"},
    "report": {"analysis", "theory"},
    "cli": EVERYTHING,
}
EXCEPTIONS = {
    # The ideal denoiser is the tasks' answers seen through theory's exact distributions; the word-level
    # tokenizer and the table of models serve it.
    "models/ideal.py": {"tasks", "theory"},
    "models/words.py": {"tasks"},
    "models/registry.py": {"tasks"},
}
PROTOCOL = {"parallelbench.models.base"}
FILES = sorted(SOURCE.rglob("*.py"))


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("parallelbench."):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("parallelbench."))
        elif isinstance(node, ast.ImportFrom) and node.module == "parallelbench":
            yield from (f"parallelbench.{alias.name}" for alias in node.names)


IN_ROOMS = [path for path in FILES if path.relative_to(SOURCE).parts[0] in MAY_IMPORT]


@pytest.mark.parametrize("path", IN_ROOMS, ids=lambda p: str(p.relative_to(SOURCE)))
def test_rooms_import_only_what_the_design_allows(path):
    relative = path.relative_to(SOURCE)
    room = relative.parts[0]
    allowed = MAY_IMPORT[room] | EXCEPTIONS.get(str(relative), set()) | {room}
    for module in imported(path):
        other = module.split(".")[1]
        assert other in allowed or other not in EVERYTHING, f"{relative} imports {module}"
        if room == "decoding" and other == "models":
            assert module in PROTOCOL, f"{relative} imports {module}: decoding knows the protocol only"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_functions_stay_under_sixty_lines_and_files_under_four_hundred(path):
    text = path.read_text()
    assert len(text.splitlines()) < 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{path.name}:{node.lineno} {node.name}"


def test_the_decoder_has_one_loop():
    """Only the loop asks a denoiser for logits."""
    callers = [
        str(path.relative_to(SOURCE))
        for path in FILES
        if any(
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "logits"
            for node in ast.walk(ast.parse(path.read_text()))
        )
        and path.relative_to(SOURCE).parts[0] in ("decoding", "runs")
    ]
    assert callers == ["decoding/loop.py"]
