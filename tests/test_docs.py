"""What the documents show works as shown."""

import re
from pathlib import Path

import pytest

from parallelbench.decoding import Lane, decode
from parallelbench.models.scripted import ScriptedDenoiser, random_script

ROOT = Path(__file__).resolve().parents[1]


def test_the_method_of_the_guide_runs():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "add-a-method.md").read_text(), re.DOTALL)
    names = {}
    exec(code, names)  # noqa: S102 - our own document
    assert names["method"].setting == "halving:share=0.25"
    (result,) = decode(ScriptedDenoiser(random_script(0, 12, 64), 12), [Lane("x", (1,), 32, names["method"])])
    assert result.error is None
    assert [result.commit_step.count(step) for step in range(4)] == [8, 6, 5, 4]  # a quarter of 32, 24, 18, 13


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name} links to {target}"
