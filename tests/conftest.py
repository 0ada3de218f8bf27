"""Settings of the whole suite: shape annotations are executed, hypothesis is reproducible."""

import sys
from pathlib import Path

from hypothesis import settings
from jaxtyping import install_import_hook

sys.path.insert(0, str(Path(__file__).parent))  # for `from shared import shared`
settings.register_profile("suite", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("suite")
install_import_hook(["parallelbench.models", "parallelbench.decoding", "parallelbench.theory"], "beartype.beartype")
