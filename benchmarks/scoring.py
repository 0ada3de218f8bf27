"""How long scoring takes: 10,000 different answers to the five text tasks with the default metrics.

A third are reference answers to other samples, a third are references cut into halves and joined, a third shuffled
words; no text comes twice, so nothing is remembered from one to the next.

    python benchmarks/scoring.py            seconds on two cores
    python benchmarks/scoring.py --count 2000 --workers 1 --json
"""

import argparse
import json
import random
import time
from collections.abc import Iterator

from parallelbench.tasks import expand_tasks
from parallelbench.tasks.base import Sample
from parallelbench.tasks.common import CountedTask
from parallelbench.tasks.scoring.batch import WORKERS, score_many
from parallelbench.tasks.scoring.grammar import check, grammar_signature

TEXT_TASKS = ("text", "words_to_sentence")
COUNT = 10_000


def answers(count: int) -> Iterator[tuple[CountedTask, Sample, str]]:
    """`count` different answers, equally many a task."""
    chance, seen = random.Random(0), set[str]()
    tasks = expand_tasks(TEXT_TASKS)
    samples = {task.name: task.samples(0, task.available("test") or 1) for task in tasks}
    while len(seen) < count:
        task = tasks[len(seen) % len(tasks)]
        sample, other, third = (chance.choice(samples[task.name]) for _ in range(3))
        one, two = (chance.choice(s.facts["references"]) for s in (other, third))
        text = one
        if len(seen) % 3 == 1:
            text = " ".join(one.split()[: len(one.split()) // 2] + two.split()[len(two.split()) // 2 :])
        if len(seen) % 3 == 2 or text in seen:
            words = one.split()
            text = " ".join([words[0], *chance.sample(words[1:], len(words) - 1)])
        if text not in seen:
            seen.add(text)
            yield task, sample, text


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds for scoring texts with the default metrics.")
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--json", action="store_true", help="machine-readable")
    given = parser.parse_args()
    by_task: dict[str, tuple[CountedTask, list[tuple[Sample, str]]]] = {}
    for task, sample, text in answers(given.count):
        by_task.setdefault(task.name, (task, []))[1].append((sample, text))
    began, cpu = time.perf_counter(), time.process_time()
    check("The first text costs what it takes to start.")
    right = 0
    for task, pairs in by_task.values():
        right += sum(score.lenient == 1 for score in score_many(task, pairs, workers=given.workers))
    result = {
        "texts": given.count,
        "workers": given.workers,
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "right": right,
        "grammar": grammar_signature(),
    }
    print(json.dumps(result) if given.json else "  ".join(f"{key}: {value}" for key, value in result.items()))


if __name__ == "__main__":
    main()
