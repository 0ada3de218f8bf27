"""ROUGE and BLEU of one text, from the packages that hold their public definitions."""

from collections.abc import Sequence
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Any

MAX_CHARACTERS = 5_000
"""Longer texts are cut here: ROUGE-L takes time in proportion to both lengths, and no answer is that long."""

ROUGE_NAMES = ("rouge1", "rouge2", "rougeL")


@cache
def _rouge_scorer() -> Any:
    from nltk.stem.porter import PorterStemmer
    from rouge_score.rouge_scorer import RougeScorer
    from rouge_score.tokenize import tokenize

    # rouge-score's own tokenizer with a memory: the same words and the same references come again and again.
    stemmer = SimpleNamespace(stem=lru_cache(65_536)(PorterStemmer().stem))
    remembered = lru_cache(4_096)(lambda text: tokenize(text, stemmer))
    return RougeScorer(list(ROUGE_NAMES), tokenizer=SimpleNamespace(tokenize=remembered))


@cache
def _bleu_metric(effective_order: bool) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(smooth_method="none", effective_order=effective_order)


def rouge(text: str, references: Sequence[str]) -> dict[str, float | None]:
    """ROUGE-1, -2 and -L (F-measure, Porter stemmer), each the largest over the references.

    Args:
        text: The answer.
        references: Right answers; both sides are stripped, as in ParallelBench.

    Returns:
        `{"rouge1", "rouge2", "rougeL"}` in [0, 1]; None without references.
    """
    if not references:
        return dict.fromkeys(ROUGE_NAMES)
    text = text.strip()[:MAX_CHARACTERS]
    scores = [_rouge_scorer().score(reference.strip(), text) for reference in references]
    return {name: max(float(score[name].fmeasure) for score in scores) for name in ROUGE_NAMES}


def bleu(text: str, source: str, effective_order: bool = False) -> float:
    """BLEU-4 of a text against one source sentence, unsmoothed, tokenizer 13a, in [0, 1].

    Args:
        text: The answer.
        source: The sentence it is compared with.
        effective_order: Count only the n-gram orders that the text has, so that an exact copy of fewer than
            four tokens is 1 and not 0.
    """
    score: float = _bleu_metric(effective_order).corpus_score([text[:MAX_CHARACTERS]], [[source]]).score / 100
    return min(1.0, score)


def inverse_bleu(text: str, source: str, effective_order: bool = False) -> float:
    """1 - `bleu`: how far the words are from the source's; 0 for an empty text, which is no paraphrase."""
    return 1.0 - bleu(text, source, effective_order) if text else 0.0
