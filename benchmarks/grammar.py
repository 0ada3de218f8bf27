"""How often each grammar backend cries wolf, and how much broken English it finds.

Four sets of texts, each text one judgement ("any fault at all?", as scoring asks):

- a: the reference answers that the package ships, judged with their prompts;
- b: 300 sentences nobody here wrote: the first of WordNet's example sentences in the order of their SHA-256;
- c: one mechanical corruption of each sentence of b, by kind;
- d: 100 texts that parallel decoding garbled: the ideal denoiser at k = 8 through the real loop, those that are none
  of the references.

b needs WordNet 3.0's database (its own free licence): `apt-get install wordnet-base`, or --wordnet DIR.

    python benchmarks/grammar.py                                        the table of docs/metrics.md
    python benchmarks/grammar.py --backend harper --backend languagetool:url=http://127.0.0.1:8010 --json
"""

import argparse
import hashlib
import json
import random
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from parallelbench.decoding import Lane, decode, parse_method
from parallelbench.models.registry import load_model
from parallelbench.runs.plan import RunSettings, problems
from parallelbench.tasks import expand_tasks
from parallelbench.tasks.common import SPLITS
from parallelbench.tasks.scoring.grammar import check, grammar_signature, set_grammar

TEXT_TASKS = ("text", "words_to_sentence")
WORDNET = Path("/usr/share/wordnet")
HELD_OUT = 300
GARBLED = 100
SEED = 0

_SUBJECT = re.compile(r"(?:I|you|he|she|we|they|it|the|an?|my|his|her|our|their|this|these) [a-z]", re.IGNORECASE)
"""How an example of a verb begins that is a sentence and not a phrase such as `change gears`."""

Judged = tuple[str, str]
"""A text and the prompt whose words are right by definition."""
Corruption = Callable[[list[str], random.Random, Sequence[str]], list[str] | None]


def references() -> list[Judged]:
    """Every reference answer of the five text tasks, test and train, with its prompt."""
    return [
        (text, sample.messages[-1]["content"])
        for task in expand_tasks(TEXT_TASKS)
        for split in SPLITS
        for sample in task.samples(0, task.available(split) or 1, split)
        for text in sample.facts["references"]
    ]


def held_out(folder: Path, count: int = HELD_OUT) -> list[str]:
    """Example sentences of WordNet's verbs, 6 to 25 words, with a capital and a full stop put to them."""
    found = set()
    for line in (folder / "data.verb").read_text(encoding="latin-1").splitlines():
        for example in re.findall(r'"([^"]+)"', line.partition("| ")[2]):
            text = example.strip()
            plain = re.fullmatch(r"[A-Za-z ,'.?!-]+", text)
            if plain and _SUBJECT.match(text) and 6 <= len(text.split()) <= 25:
                found.add(text[0].upper() + text[1:] + ("" if text[-1] in ".?!" else "."))
    return sorted(found, key=lambda text: hashlib.sha256(text.encode()).hexdigest())[:count]


def _doubled(words: list[str], chance: random.Random, pool: Sequence[str]) -> list[str] | None:
    at = chance.randrange(len(words) - 1)
    return None if words[at].lower() in ("that", "had") else [*words[: at + 1], words[at].lower(), *words[at + 1 :]]


def _swapped(words: list[str], chance: random.Random, pool: Sequence[str]) -> list[str] | None:
    at = chance.randrange(1, len(words) - 2)
    return [*words[:at], words[at + 1], words[at], *words[at + 2 :]] if words[at] != words[at + 1] else None


def _dropped(words: list[str], chance: random.Random, pool: Sequence[str]) -> list[str] | None:
    at = chance.randrange(1, len(words) - 1)
    return words[:at] + words[at + 1 :]


def _substituted(words: list[str], chance: random.Random, pool: Sequence[str]) -> list[str] | None:
    at = chance.randrange(1, len(words) - 1)
    other = chance.choice(pool)
    return [*words[:at], other, *words[at + 1 :]] if other != words[at] else None


def _no_capital(words: list[str], chance: random.Random, pool: Sequence[str]) -> list[str] | None:
    return None if words[0] == "I" else [words[0].lower(), *words[1:]]


def _no_article(words: list[str], chance: random.Random, pool: Sequence[str]) -> list[str] | None:
    places = [at for at, word in enumerate(words) if at and word in ("a", "an", "the")]
    if not places:
        return None
    at = chance.choice(places)
    return words[:at] + words[at + 1 :]


def _exchange(*pairs: tuple[str, str]) -> Corruption:
    """Put a word's counterpart in its place, at one random occurrence."""
    other = {one: two for pair in pairs for one, two in (pair, pair[::-1])}

    def corrupt(words: list[str], chance: random.Random, pool: Sequence[str]) -> list[str] | None:
        places = [at for at, word in enumerate(words) if at and word in other]
        if not places:
            return None
        at = chance.choice(places)
        return [*words[:at], other[words[at]], *words[at + 1 :]]

    return corrupt


CORRUPTIONS: dict[str, Corruption] = {
    "doubled word": _doubled,
    "a / an": _exchange(("a", "an")),
    "is / are, was / were, has / have": _exchange(("is", "are"), ("was", "were"), ("has", "have")),
    "lower-case start": _no_capital,
    "swapped neighbours": _swapped,
    "dropped word": _dropped,
    "dropped article": _no_article,
    "random substitution": _substituted,
}


def corrupted(sentences: Sequence[str], kind: str) -> list[str]:
    """One corruption of each sentence that it can be done to."""
    pool = sorted({word for text in sentences for word in text.lower().rstrip(".?!").split()})
    chance = random.Random(f"{SEED}/{kind}")
    changed = (CORRUPTIONS[kind](text.split(), chance, pool) for text in sentences)
    return [" ".join(words) for words in changed if words is not None]


def garbled(count: int = GARBLED) -> list[Judged]:
    """Texts of the ideal denoiser at k = 8, any order, that are none of the references; tasks take turns."""
    found = problems(RunSettings(tasks=TEXT_TASKS))
    denoiser = load_model("ideal", [(p.task, p.sample) for p in found])
    method = parse_method("random:k=8", "native")
    by_task: dict[str, list[Judged]] = {}
    lanes = {f"{SEED}/{p.sample.id}": p for p in found}
    todo = (
        Lane(name, tuple(denoiser.encode(p.sample.messages)), p.task.max_tokens, method, SEED)
        for name, p in lanes.items()
    )
    for done in decode(denoiser, todo, 64):
        problem = lanes[done.lane.id]
        ids = done.tokens
        end = ids.index(denoiser.spec.eos_id) if denoiser.spec.eos_id in ids else len(ids)
        text = denoiser.decode(ids[:end])
        if text not in problem.sample.facts["references"]:
            by_task.setdefault(problem.task.name, []).append((text, problem.sample.messages[-1]["content"]))
    return [texts[at] for at in range(count) for texts in by_task.values() if at < len(texts)][:count]


def measured(backend: str, sets: dict[str, list[Judged]]) -> dict[str, object]:
    """Share of texts with any fault in each set, in percent, and milliseconds a text."""
    set_grammar(backend)
    check("The first text costs what it takes to start.")
    began = time.perf_counter()
    rows = {}
    for name, texts in sets.items():
        flagged = sum(bool(check(text, allowed)) for text, allowed in texts)
        rows[name] = {"n": len(texts), "flagged": flagged, "percent": 100 * flagged / len(texts)}
    spent = time.perf_counter() - began
    total = sum(map(len, sets.values()))
    return {"backend": grammar_signature(), "ms_per_text": 1000 * spent / total, "sets": rows}


def sets_of_texts(wordnet: Path) -> dict[str, list[Judged]]:
    """All four sets, c by kind."""
    own, others = references(), [(text, "") for text in held_out(wordnet)]
    sentences = [text for text, _ in others]
    return {
        "a: our references (false alarms)": own,
        "b: held-out sentences (false alarms)": others,
        "a and b together (false alarms)": own + others,
        **{f"c: {kind}": [(text, "") for text in corrupted(sentences, kind)] for kind in CORRUPTIONS},
        "d: garbled at k = 8": garbled(),
    }


def markdown(results: Sequence[dict[str, object]]) -> Iterator[str]:
    """The table of docs/metrics.md."""
    names = [str(result["backend"]) for result in results]
    yield f"| texts | n | {' | '.join(names)} |"
    yield f"|---|--:|{'--:|' * len(names)}"
    for name, first in results[0]["sets"].items():  # type: ignore[attr-defined]
        cells = [f"{result['sets'][name]['percent']:.1f}" for result in results]  # type: ignore[index]
        yield f"| {name} | {first['n']} | {' | '.join(cells)} |"
    speeds = [f"{result['ms_per_text']:.1f}" for result in results]
    yield f"| milliseconds a text | | {' | '.join(speeds)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="False alarms and detections of grammar backends, in percent.")
    parser.add_argument("--backend", action="append", help="as --grammar of pb run; repeatable")
    parser.add_argument("--wordnet", type=Path, default=WORDNET, help=f"folder of WordNet's files ({WORDNET})")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    given = parser.parse_args()
    if not (given.wordnet / "data.verb").is_file():
        sys.exit(f"{given.wordnet} holds no data.verb; apt-get install wordnet-base, or name the folder with --wordnet")
    sets = sets_of_texts(given.wordnet)
    results = [measured(backend, sets) for backend in given.backend or ["harper", "linkgrammar"]]
    print(json.dumps(results, indent=2) if given.json else "\n".join(markdown(results)))


if __name__ == "__main__":
    main()
