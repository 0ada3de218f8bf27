"""What the documents show works as shown."""

import re
from pathlib import Path

import pytest

from parallelbench.decoding import METHODS, Lane, decode, parse_method
from parallelbench.models.scripted import ScriptedDenoiser, random_script

ROOT = Path(__file__).resolve().parents[1]
GUIDE = (ROOT / "docs" / "add-a-method.md").read_text()


def test_the_method_of_the_guide_runs():
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    names = {}
    exec(code, names)  # noqa: S102 - our own document
    assert names["method"].setting == "halving:share=0.25"
    (result,) = decode(ScriptedDenoiser(random_script(0, 12, 64), 12), [Lane("x", (1,), 32, names["method"])])
    assert result.error is None
    assert [result.commit_step.count(step) for step in range(4)] == [8, 6, 5, 4]  # a quarter of 32, 24, 18, 13


def test_the_strangers_method_of_the_guide_runs(tmp_path):
    ((name, code),) = re.findall(r"```python file=(\S+)\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / name).write_text(code)
    assert len(code.splitlines()) < 30
    (command,) = re.findall(r"pb run --method (\S+)", GUIDE)[:1]
    method = parse_method(f"{tmp_path}/{command}")
    assert method.parameters["alpha"] == 0.5 and method.parameters["score"] == "entropy"
    (result,) = decode(ScriptedDenoiser(random_script(0, 12, 64), 12), [Lane("x", (1,), 16, method)])
    assert [result.commit_step.count(step) for step in range(5)] == [8, 4, 2, 1, 1]


def test_every_method_has_its_paragraph():
    page = (ROOT / "docs" / "methods.md").read_text()
    told = set(re.findall(r"[\w]+(?:@\w+)?", " ".join(re.findall(r"\*\*(.*?)\*\*", page))))
    assert set(METHODS) <= told


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name} links to {target}"
