"""Run directories and traces for tests of the page: small, scripted, and as hostile as a model can be."""

import json

from parallelbench.runs.execute import run
from parallelbench.runs.plan import RunSettings
from parallelbench.runs.store import Store

METHODS = (
    *("confidence:k=1", "confidence:k=4", "confidence:k=32", "random:k=1", "random:k=8"),
    *("threshold:tau=0.5", "threshold:tau=0.9"),
)
TASKS = ("copy", "shuffle", "words_to_sentence/easy")
EVIL = (
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>\"'`</script></title>"
    "\u001b[31mred\u001b[2J\u202eflipped\u2028line\u0000end &lt;b&gt; ${window.hacked=3} " + "A" * 100_000
)


def small_run(directory, **changes):
    """Three tasks, three methods, the ideal denoiser."""
    asked = {"tasks": TASKS, "methods": METHODS, "samples": 4, "grammar": "none", **changes}
    run(RunSettings(**asked), directory)
    return directory


def hostile_lane(number, **changes):
    """A lane whose every text is the model's worst."""
    tokens = list(range(8))
    lane = {
        "lane_id": f"{number:020x}", "run_id": "r", "model": EVIL[:90], "revision": "1", "task": "waiting_line/copy",
        "task_version": 1, "sample": f"sample {number} {EVIL[:60]}", "sample_index": number, "method": EVIL[:70],
        "setting": f"{EVIL[:70]}:k={1 + number % 2}", "kind": "static", "seed": 0, "profile": "native",
        "grammar": EVIL[:50], "numerics": "float32/lowest", "max_tokens": 8, "tokens": tokens, "text": EVIL,
        "score": float(number % 2), "score_strict": 0.0, "why": EVIL, "parts": {f"failure: {EVIL[:40]}": 1.0},
        "nfe": 4, "rows": 4, "effective_tokens": 8, "commit_step": [0, 0, 1, 1, 2, 2, 3, 3],
        "revisions": [[2, 9, 0, 1]], "distance": 0, "seconds": 0.1, "error": None,
    }  # fmt: skip
    return {**lane, **changes}


def hostile_run(directory):
    """A run directory in which every text is hostile, one lane failed and one is unscored."""
    with Store(directory, create=True) as store:
        store.add_run("r", EVIL[:80], {"models": [EVIL[:200]], EVIL[:30]: EVIL[:200]}, {"git": EVIL[:99]}, EVIL[:300])
        for number in range(6):
            store.add_lane(hostile_lane(number))
        store.add_lane(hostile_lane(6, error=EVIL, tokens=None, commit_step=None, revisions=None, score=None, nfe=0))
        store.add_lane(hostile_lane(7, score=None, why=f"unscored: {EVIL}"))
    return directory


def trace(setting="confidence:k=2", revised=True, piece="word", text="a b c d"):
    """A trace as docs/trace.md has it: four positions in two or three steps, one taken back and filled anew."""
    steps = [
        step(0, [5, 0, 6, 0], [0, 2], beliefs=True),
        step(1, [5, 7, 0, 0] if revised else [5, 7, 6, 8], [1] if revised else [1, 3], again=[2] if revised else []),
    ]
    if revised:
        steps.append(step(2, [5, 7, 6, 8], [2, 3]))
    return {
        "schema": "parallelbench.trace/1", "source": "decoded", "note": "",
        "messages": [{"role": "user", "content": piece}],
        "lane": {
            "id": f"id {setting}", "model": "ideal", "revision": "1", "task": "waiting_line/copy", "sample": "s/0",
            "method": setting.partition(":")[0], "setting": setting, "kind": "static", "seed": 0, "profile": "native",
            "numerics": "float32/lowest", "max_tokens": 4,
        },
        "special": {"mask": 0, "eos": 1, "pad": 1}, "texts": {str(n): f"{piece}{n}" for n in range(5, 9)}, "given": [],
        "steps": steps, "tokens": [5, 7, 6, 8], "commit_step": [0, 1, 2, 2], "revisions": [], "text": text,
        "score": 1.0, "score_strict": 1.0, "why": "", "nfe": len(steps), "rows": len(steps), "effective_tokens": 4,
        "tps": 2.0, "effective_tps": 2.0, "error": None,
    }  # fmt: skip


def step(number, tokens, committed, again=(), beliefs=False):
    """One forward of `trace`."""
    best = [[[5, 0.75], [6, 0.25]] if place in committed else None for place in range(4)]
    return {
        "step": number, "block": [0, 4], "tokens": tokens, "committed": committed, "replaced": [],
        "remasked": list(again), "candidate": None, "confidence": [0.75] * 4 if beliefs else None,
        "model": best if beliefs else None, "ideal": best if beliefs else None, "ideal_confidence": None,
        "distance": 0 if beliefs else None,
    }  # fmt: skip


def data_of(page):
    """The block of data of a page."""
    _, _, rest = page.partition('<script type="application/json" id="data">')
    return json.loads(rest.partition("</script>")[0])
