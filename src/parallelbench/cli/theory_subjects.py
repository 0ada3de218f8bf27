"""Names of tokenizers and tasks, for `pb theory`."""

from parallelbench.theory.subjects import Encoder, Subject, subject

BYTE_FILLER = 256


def encoder(name: str | None) -> Encoder:
    """The tokenizer of a name: words (the default), bytes, or that of a model.

    Raises:
        UsageError: no such model.
    """
    if name == "bytes":
        return Encoder("bytes", lambda text: list(text.encode()), BYTE_FILLER)
    from parallelbench.models.registry import load_tokenizer, word_tokenizer
    from parallelbench.models.words import EOS

    if name in (None, "words"):
        return Encoder("words", word_tokenizer().encode, EOS)
    tokenizer, end = load_tokenizer(str(name))
    return Encoder(str(name), tokenizer.encode, end)


def find(task: str, n: int | None, tokens: str | None, samples: int, seed: int) -> Subject:
    """What `--task`, `--n` and `--tokens` name.

    Packages that only a tokenizer needs are loaded only for one: a refusal does not wait for them.
    """
    return subject(task, n, lambda: encoder(tokens), tokens is not None, samples, seed)
