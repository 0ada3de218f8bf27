"""Text-writing answers, profile `native`: summaries, paraphrases, sentences from words.

The headline of all three is grammar; a paraphrase must also differ from its source, and a sentence must be
one, hold every word and be more than the list of words. Judged is the answer itself: an announcement in front
("Here is a summary:") and quotes around it cost only the strict score, which asks for a single line with
nothing but the answer. Without a grammar backend everything here is unscored.
"""

import re
from collections.abc import Callable, Mapping

from parallelbench.tasks.base import Sample, Score
from parallelbench.tasks.scoring import grammar, measures, words
from parallelbench.tasks.scoring.bertscore import bertscore
from parallelbench.tasks.scoring.clean import without_end_markers
from parallelbench.tasks.scoring.failures import failure_parts
from parallelbench.tasks.scoring.judge import judge_parts

_POLITE = r"(?:sure|certainly|of course|okay|ok|absolutely)"
_LABEL = r"(?:(?:final|my|the) )?(?:summary|paraphrase|paraphrased sentence|sentence|answer|output|result)"
_PREAMBLE = re.compile(
    rf"{_POLITE}[!.]\s*\n\s*(?=\S)"
    rf"|(?:{_POLITE}[!,.]?\s+)?(?:(?:here|below)\b[^\n:]{{0,80}}|{_LABEL})\s*:\s*(?=\S)",
    re.IGNORECASE,
)
_PAIRS = {'"': '"', "'": "'", "“": "”", "‘": "’"}


def score_summary(sample: Sample, text: str) -> Score:
    """Judge a summary of `facts["dialogue"]`; parts: grammar, ROUGE against the nearest reference, length."""
    answer = bare_answer(text)
    parts = measures.rouge(answer, sample.facts["references"])
    return _score(sample, text, answer, sample.facts["dialogue"], parts, lambda: "")


def score_paraphrase(sample: Sample, text: str) -> Score:
    """Judge a paraphrase of `facts["sentence"]`; parts: grammar, BLEU, BERTScore, ROUGE, length."""
    answer, source = bare_answer(text), sample.facts["sentence"]
    parts = {
        **measures.rouge(answer, sample.facts["references"]),
        "bleu": measures.bleu(answer, source, effective_order=True),
        "inv_bleu": measures.inverse_bleu(answer, source, effective_order=True),
        "bertscore": bertscore(answer, source),
    }
    copied = words.tokens(answer) == words.tokens(source)
    return _score(sample, text, answer, source, parts, lambda: "copies the sentence" if copied else "")


def score_words(sample: Sample, text: str) -> Score:
    """Judge one sentence with all of `facts["words"]`; parts: grammar, inclusion (share of words), length."""
    answer, given = bare_answer(text), sample.facts["words"]
    absent = words.missing(given, answer)

    def fault() -> str:
        if absent:
            return f"missing: {', '.join(absent)}"
        if words.is_echo(given, answer):
            return "only lists the words"
        return "more than one sentence" if words.sentence_count(answer) > 1 else ""

    parts: dict[str, float | None] = {"inclusion": 1 - len(absent) / len(given)}
    return _score(sample, text, answer, " ".join(given), parts, fault)


def bare_answer(text: str) -> str:
    """The answer without end-of-text markers, an announcement in front and a pair of quotes around it."""
    text = without_end_markers(text)
    if preamble := _PREAMBLE.match(text):
        text = text[preamble.end() :]
    inside = text[1:-1]
    if len(text) > 1 and _PAIRS.get(text[0]) == text[-1] and not {text[0], text[-1]} & set(inside):
        text = inside.strip()
    return text


def _score(
    sample: Sample,
    text: str,
    answer: str,
    allowed: str,
    measured: Mapping[str, float | None],
    fault: Callable[[], str],
) -> Score:
    faults = grammar.check(answer, allowed)
    verdict = None if faults is None else float(not faults)
    parts = {
        "grammar": verdict,
        **measured,
        "length_words": float(len(words.tokens(answer))),
        **failure_parts(answer, allowed),
        **(judge_parts(sample.messages[-1]["content"], answer) if sample.messages else {}),
    }
    if faults is None:
        return Score(None, None, "unscored: no grammar backend (pip install harper-py)", parts)
    why = faults[0] if faults else fault()
    if why:
        return Score(0.0, 0.0, why, parts)
    plain = answer == text.strip() and "\n" not in answer
    return Score(1.0, 1.0, "", parts) if plain else Score(1.0, 0.0, _FORMAT_FAULT, parts)


_FORMAT_FAULT = "not asked format: more than the answer on a single line"
