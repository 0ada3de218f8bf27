"""Methods from outside the package: a file, an entry point, and what is refused."""

from importlib.metadata import EntryPoint

import pytest

from parallelbench.decoding import Lane, decode, default_sweep, find_method, parse_method
from parallelbench.decoding import strangers as module
from parallelbench.errors import UsageError
from parallelbench.models.scripted import ScriptedDenoiser, random_script

CODE = '''
from parallelbench.decoding.rules import best_first

def half(proposal, score, memory, alpha=0.5, shout="no"):
    """Half of the masks.

    And more.
    """
    return best_first(proposal, score, (proposal.masked.sum(-1, keepdim=True) * alpha).ceil().long())

def counting(proposal, score, memory):
    return best_first(proposal, score, memory["k"].unsqueeze(-1)), {"k": memory["k"] + 1}

import torch
counting.start = lambda length, columns: {"k": torch.tensor(1)}
counting.kind = "static"

def needy(proposal, score, memory, alpha): ...
def short(proposal): ...
'''


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(CODE)
    return path


def run(setting):
    model = ScriptedDenoiser(random_script(0, 12, 40), 12)
    (result,) = decode(model, [Lane("x", (1,), 16, parse_method(setting))])
    assert result.error is None
    return [result.commit_step.count(step) for step in range(result.nfe)]


def test_a_function_in_a_file_is_a_method(file):
    assert run(f"{file}:half") == [8, 4, 2, 1, 1]
    assert run(f"{file}:half:alpha=0.25,score=entropy,block=8") == [2, 2, 1, 1, 1, 1] * 2
    assert run(f"{file}:counting") == [1, 2, 3, 4, 5, 1]
    assert find_method(f"{file}:half").summary == "Half of the masks."
    assert find_method(f"{file}:counting").kind == "static"
    assert default_sweep(f"{file}:half", 32) == [f"{file}:half"]


def test_its_code_is_part_of_its_identity(file):
    before = parse_method(f"{file}:half").parameters["code"]
    module.load.cache_clear()
    file.write_text(CODE.replace("ceil", "floor"))
    import linecache

    linecache.clearcache()
    assert parse_method(f"{file}:half").parameters["code"] != before


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("FILE:hal", "Did you mean 'half'"),
        ("FILE:half:beta=1", "Unknown parameter"),
        ("FILE:half:alpha=x", "alpha is a number"),
        ("FILE:needy", "need defaults"),
        ("FILE:short", "is not a method"),
        ("missing.py:half", "no such Python file"),
    ],
)
def test_what_is_no_method_is_refused(file, setting, message):
    with pytest.raises(UsageError, match=message):
        parse_method(setting.replace("FILE", str(file)))


def test_a_file_that_fails_is_told_without_a_traceback(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("1 / 0")
    with pytest.raises(UsageError, match="cannot be run: ZeroDivisionError"):
        parse_method(f"{path}:half")


def test_a_package_offers_methods_as_entry_points(tmp_path, monkeypatch):
    (tmp_path / "offered.py").write_text(CODE + "\nfrom parallelbench.decoding.apd import ENTRIES\nrow = ENTRIES[0]\n")
    monkeypatch.syspath_prepend(tmp_path)
    points = [EntryPoint("half", "offered:half", module.GROUP), EntryPoint("row", "offered:row", module.GROUP)]
    monkeypatch.setattr(module, "entry_points", lambda group: points if group == module.GROUP else [])
    assert run("half:alpha=1") == [16]
    assert [entry.name for entry in module.installed()] == ["half", "apd"]
    with pytest.raises(UsageError, match="Did you mean 'half'"):
        parse_method("halv")
