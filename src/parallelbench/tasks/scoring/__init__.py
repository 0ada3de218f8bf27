"""All scoring: `score(kind, sample, text, profile)`; one module a family of answers, one table of kinds."""

from collections.abc import Mapping

from parallelbench.errors import lookup
from parallelbench.tasks.base import Profile, Sample, Score, Scorer
from parallelbench.tasks.scoring import grids, lists, pb2025, text
from parallelbench.tasks.scoring.grammar import grammar_signature, set_grammar

__all__ = ["MAX_CHARACTERS", "SCORERS", "SCORER_VERSION", "grammar_signature", "score", "set_grammar"]

SCORER_VERSION = 2
"""Counts changes of any score on any text; part of every task's digest."""

MAX_CHARACTERS = 100_000
"""`native` reads no longer texts: no task generates one, and debris must not cost time."""

SCORERS: Mapping[str, Mapping[str, Scorer]] = {
    "native": {
        "list_expected": lists.score_expected,
        "list_shuffle": lists.score_shuffle,
        "list_insert": lists.score_insert,
        "list_remove": lists.score_remove,
        "list_replace": lists.score_replace,
        "latin_square": grids.score_latin,
        "sudoku": grids.score_sudoku,
        "summary": text.score_summary,
        "paraphrase": text.score_paraphrase,
        "words": text.score_words,
    },
    "pb2025": {
        "list_expected": pb2025.score_expected,
        "list_shuffle": pb2025.score_shuffle,
        "list_insert": pb2025.score_insert,
        "list_remove": pb2025.score_remove,
        "list_replace": pb2025.score_replace,
        "latin_square": pb2025.score_latin,
        "sudoku": pb2025.score_sudoku,
        "summary": pb2025.score_summary,
        "paraphrase": pb2025.score_paraphrase,
        "words": pb2025.score_words,
    },
}


def score(kind: str, sample: Sample, text: str, profile: Profile = "native") -> Score:
    """Judge an answer text of any content; never raises because of the text.

    Args:
        kind: A key of `SCORERS[profile]`; says which of `sample.facts` are read.
        sample: The question.
        text: The model's answer.
        profile: `native` (ours) or `pb2025` (as published, faults included).

    Raises:
        UsageError: unknown kind or profile.
    """
    scorer = lookup(lookup(SCORERS, profile, "profile"), kind, "kind of scoring")
    if profile == "native" and len(text) > MAX_CHARACTERS:
        return Score(0.0, 0.0, f"text is longer than {MAX_CHARACTERS:,} characters")
    return scorer(sample, text)
