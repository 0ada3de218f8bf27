"""Optional packages, imported at first use."""

import importlib
from typing import Any

from parallelbench.errors import UsageError


def optional(module: str, extra: str) -> Any:
    """The module, or one sentence that tells how to install it.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise UsageError(f"This model needs the package {package!r}: pip install 'parallelbench[{extra}]'.") from error


def one_line(error: Exception, limit: int = 300) -> str:
    """What another package's error says, in one line of bounded length."""
    return " ".join(str(error).split())[:limit] or type(error).__name__
