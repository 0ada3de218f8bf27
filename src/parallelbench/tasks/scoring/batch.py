"""Many texts at once, on more than one core."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from parallelbench.errors import JudgeError
from parallelbench.tasks.base import Profile, Sample, Score, Task

WORKERS = 2
"""The grammar check, most of the work, runs outside Python's lock; the rest does not, so more gain little."""


def score_many(
    task: Task, answers: Sequence[tuple[Sample, str]], profile: Profile = "native", workers: int = WORKERS
) -> Iterator[Score]:
    """Judge answers, in their order; one that a backend failed on is unscored and says why.

    Args:
        task: The task of all samples.
        answers: Samples with answer texts.
        profile: `native` or `pb2025`.
        workers: Threads.
    """

    def judged(answer: tuple[Sample, str]) -> Score:
        return judge_or_say(lambda: task.score(*answer, profile))

    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(judged, answers, chunksize=1)


def judge_or_say(judge: Callable[[], Score]) -> Score:
    """The score, or an unscored one that says what failed."""
    try:
        return judge()
    except JudgeError as error:
        return Score(None, None, f"unscored: {error}")
