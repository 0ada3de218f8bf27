"""What a lane's setting says: its parameters, how many tokens it commits a step, its block."""

from functools import lru_cache

from parallelbench.settings import Value, split_setting


@lru_cache(maxsize=4096)
def _parsed(setting: str) -> tuple[tuple[str, Value], ...]:
    return tuple(split_setting(setting)[1].items())


def parameters_of(setting: str) -> dict[str, Value]:
    """Parameters that a setting string names; defaults are left out of it."""
    return dict(_parsed(setting))


def tokens_a_step(setting: str, length: int) -> int | None:
    """How many tokens a method with a fixed number commits a step: `k` itself, or length / `steps`; else None."""
    given = parameters_of(setting)
    k, steps = given.get("k"), given.get("steps")
    if isinstance(k, int):
        return k
    return length // steps if isinstance(steps, int) and steps > 0 else None


def block_of(setting: str, length: int) -> int:
    """Block length of a setting; the whole region where it names none."""
    block = parameters_of(setting).get("block")
    return block if isinstance(block, int) else length
