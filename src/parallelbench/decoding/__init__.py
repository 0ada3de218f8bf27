"""Scores, rules, the table of methods and the one loop that runs them all."""

from parallelbench.decoding.lane import Lane, Revision, Trajectory
from parallelbench.decoding.loop import Cost, decode
from parallelbench.decoding.methods import (
    CORE_METHODS,
    METHODS,
    Method,
    default_sweep,
    find_method,
    parse_method,
    split_setting,
)

__all__ = [
    "CORE_METHODS",
    "METHODS",
    "Cost",
    "Lane",
    "Method",
    "Revision",
    "Trajectory",
    "decode",
    "default_sweep",
    "find_method",
    "parse_method",
    "split_setting",
]
