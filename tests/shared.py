"""Reference data that lies beside a checkout but is not part of the project."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


def shared(relative: str) -> Path:
    """The reference file or folder, or a skip that names what is missing."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"reference data {relative} is not beside this checkout")
    return path
