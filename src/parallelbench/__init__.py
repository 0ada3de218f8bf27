"""ParallelBench: what parallel decoding costs, and how far a decoder is from what any could reach.

The Python API is the commands' verbs: `run` decodes and returns a data frame, `load_run` reads stored
lanes as one, `load_task` gives a task.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from parallelbench.api import load_model, load_run, load_task, run

__all__ = ["__version__", "load_model", "load_run", "load_task", "run"]


def __getattr__(name: str) -> Any:
    """Import the API at first use, so that `import parallelbench` stays quick."""
    if name not in __all__:
        raise AttributeError(f"module 'parallelbench' has no attribute {name!r}")
    from parallelbench import api

    return getattr(api, name)
