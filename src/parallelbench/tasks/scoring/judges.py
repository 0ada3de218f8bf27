"""The backends that judge texts in this process, chosen and named together."""

from parallelbench.tasks.scoring.bertscore import bertscore_signature, set_bertscore
from parallelbench.tasks.scoring.grammar import grammar_signature, set_grammar
from parallelbench.tasks.scoring.judge import set_judge


def set_judges(grammar: str, bertscore: str) -> None:
    """Choose the grammar backend and BERTScore's encoder, and no judge model; see `set_grammar`, `set_bertscore`.

    Raises:
        UsageError: an unknown one, or one that is not installed or does not answer.
    """
    set_grammar(grammar)
    set_bertscore(bertscore)
    set_judge(None)


def judges_signature() -> str:
    """Every backend in use with its version: `harper-0.2.0`, or `harper-0.2.0+bertscore-minilm-L5@53aa5117`."""
    encoder = bertscore_signature()
    return grammar_signature() + (f"+bertscore-{encoder}" if encoder != "none" else "")
