"""Settings of the whole suite: shape annotations are executed, hypothesis is reproducible."""

import sys
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from parallelbench.tasks.scoring import grammar

sys.path.insert(0, str(Path(__file__).parent))  # for `from shared import shared`
settings.register_profile("suite", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("suite")
install_import_hook(["parallelbench.models", "parallelbench.decoding", "parallelbench.theory"], "beartype.beartype")


@pytest.fixture(autouse=True)
def default_grammar():
    """Commands choose the grammar backend for the whole process; no test may see another one's choice."""
    yield
    if not grammar.grammar_signature().startswith("harper"):
        grammar.set_grammar("harper")
