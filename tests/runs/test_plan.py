from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelbench.decoding import METHODS, parse_method
from parallelbench.errors import UsageError
from parallelbench.models.base import DenoiserSpec
from parallelbench.models.registry import load_model
from parallelbench.runs import plan as plan_module
from parallelbench.runs.plan import PRESETS, Plan, Problem, RunSettings, methods_for, paper_grid, problems
from parallelbench.runs.signature import short_hash
from parallelbench.tasks.base import Sample

TOP_K = ("random", "confidence", "margin", "entropy")
SPEC = DenoiserSpec("m", "1", vocab_size=10, mask_id=9, eos_id=8, pad_id=8)
SAMPLE = Sample("t/x.1/test/0/0", 0, ({"role": "user", "content": "?"},), {"items": ["a", "b"]}, "a")


class Question:
    """As much of a task as a lane id may depend on, and a little more."""

    def __init__(self, **changes):
        self.__dict__ |= {"name": "t/x", "version": 1, "kind": "list_expected", "max_tokens": 32, **changes}


def lane_id(task=None, sample=None, spec=None, method="confidence:k=4", **settings):
    question, asked = Question(**(task or {})), RunSettings(**{"methods": ("random:k=1",), **settings})
    problem = Problem(question, replace(SAMPLE, **(sample or {})))
    return Plan(asked, [problem]).identity(replace(SPEC, **(spec or {})), problem, parse_method(method, asked.profile))


CHANGES = {
    "task name": {"task": {"name": "t/y"}},
    "task version": {"task": {"version": 2}},
    "kind of scoring": {"task": {"kind": "list_shuffle"}},
    "max_tokens": {"task": {"max_tokens": 64}},
    "sample": {"sample": {"id": "t/x.1/test/0/1"}},
    "prompt": {"sample": {"messages": ({"role": "user", "content": "!"},)}},
    "role": {"sample": {"messages": ({"role": "system", "content": "?"},)}},
    "facts": {"sample": {"facts": {"items": ["b", "a"]}}},
    "model": {"spec": {"name": "n"}},
    "revision": {"spec": {"revision": "2"}},
    "dtype": {"spec": {"dtype": "bfloat16"}},
    "method": {"method": "margin:k=4"},
    "parameter": {"method": "confidence:k=8"},
    "block": {"method": "confidence:k=4,block=16"},
    "temperature": {"method": "confidence:k=4,temperature=0.5"},
    "seed": {"seed": 1},
    "profile": {"profile": "pb2025"},
}


def test_every_lane_has_its_own_id():
    ids = {"as it is": lane_id(), **{name: lane_id(**change) for name, change in CHANGES.items()}}
    assert len(set(ids.values())) == len(ids)


def merged(names):
    parts = {}
    for name in sorted(names):
        for key, value in CHANGES[name].items():
            parts[key] = {**parts.get(key, {}), **value} if isinstance(value, dict) else value
    return parts


SOME = st.sets(st.sampled_from(sorted(CHANGES)))


@given(SOME, SOME)
def test_ids_are_equal_exactly_where_all_that_matters_is(one, other):
    assert (lane_id(**merged(one)) == lane_id(**merged(other))) == (merged(one) == merged(other))


def test_a_change_of_loop_scorers_or_grammar_changes_every_id(monkeypatch):
    before = lane_id()
    for name, value in (("LOOP_VERSION", -1), ("SCORER_VERSION", -1), ("judges_signature", lambda: "other-1")):
        with monkeypatch.context() as patch:
            patch.setattr(plan_module, name, value)
            assert lane_id() != before
    assert lane_id() == before


def test_ids_do_not_depend_on_what_else_is_asked_for():
    everything = {"models": ("ideal", "x"), "tasks": ("copy", "sort"), "methods": ("random",), "samples": 3}
    assert set(everything) | {"seed", "profile", "data", "grammar", "bertscore", "grid"} == {
        f.name for f in fields(RunSettings)
    }
    assert lane_id(**everything) == lane_id() == lane_id(grid="paper")
    assert lane_id(sample={"answer": "other", "template": "[MASK]", "index": 7}) == lane_id()


def ids_of(settings):
    found = problems(settings)
    denoiser = load_model("ideal", [(p.task, p.sample) for p in found])
    return [planned.lane.id for planned in Plan(settings, found).lanes(denoiser)]


def test_ids_of_a_run_are_distinct_and_survive_any_order_or_company():
    settings = RunSettings(tasks=("copy", "sudoku"), methods=("confidence", "factor:f=1.0"), samples=2)
    ids = ids_of(settings)
    assert len(ids) == len(set(ids)) == 2 * 2 * (6 + 1)
    assert set(ids_of(replace(settings, tasks=settings.tasks[::-1], methods=settings.methods[::-1]))) == set(ids)
    assert set(ids_of(replace(settings, tasks=("waiting_line", "sudoku"), samples=3))) > set(ids)
    named = [ids_of(replace(settings, **{k: v for k, v in p.items() if k == "samples"})) for p in PRESETS.values()]
    assert all(set(more) >= set(ids) for more in named)


@given(st.integers(0, 7), st.integers(1, 8))
def test_parts_make_the_whole(number, of):
    settings = RunSettings(tasks=("copy", "shuffle"), methods=("random:k=1",), samples=4)
    whole = Plan(settings, [Problem(Question(), replace(SAMPLE, id=str(i))) for i in range(8)])
    parts = [whole.part(i, of) for i in range(of)]
    assert sorted(p.sample.id for part in parts for p in part.problems) == [str(i) for i in range(8)]
    assert sum(map(len, parts)) == len(whole)
    assert number % of == 0 or whole.part(number % of, of).problems == whole.problems[number % of :: of]


def count_of(names, length):
    return {name: len(paper_grid(name, length)) for name in names}


def test_the_paper_grid_has_the_papers_settings():
    """Blocks 1, 2, 4 ... L; k up to the block: 1 + 2 + ... + 6 and + 7; 6 thresholds and 5 factors a block."""
    assert count_of((*TOP_K, "threshold", "factor"), 32) == {**dict.fromkeys(TOP_K, 21), "threshold": 36, "factor": 30}
    assert count_of((*TOP_K, "threshold", "factor"), 64) == {**dict.fromkeys(TOP_K, 28), "threshold": 42, "factor": 35}
    assert len(paper_grid("confidence", 128)) == 28 + 7, "k ends at 64"
    assert paper_grid("confidence", 4) == [
        "confidence:k=1,block=1", "confidence:k=1,block=2", "confidence:k=2,block=2",
        "confidence:k=1", "confidence:k=2", "confidence:k=4",
    ]  # fmt: skip


def test_presets_expand_as_documented():
    quick, standard, paper = (replace(RunSettings(), **PRESETS[name]) for name in ("quick", "standard", "paper"))
    assert (quick.samples, standard.samples, paper.samples) == (10, None, None)
    assert quick.methods == standard.methods and set(standard.methods) >= {
        *TOP_K,
        "left_to_right",
        "threshold",
        "factor",
    }
    assert not [name for name in standard.methods if "@" in name]
    assert paper.methods == (*TOP_K, "threshold", "factor")
    for length, count in ((32, 4 * 21 + 36 + 30), (64, 4 * 28 + 42 + 35)):
        assert len(methods_for(paper, length)) == count
    basic = replace(standard, methods=(*TOP_K, "left_to_right", "threshold", "factor"))
    assert len(methods_for(basic, 32)) == len(methods_for(basic, 64)) == 5 * 6 + 6 + 5


def test_the_standard_run_takes_every_sample_of_every_task():
    found = problems(RunSettings())
    assert len({problem.task.name for problem in found}) == 17
    assert len(found) == sum(task.default_count for task in {p.task.name: p.task for p in found}.values())


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("grid", ["sweep", "paper"])
def test_every_setting_of_every_grid_fits(name, grid):
    for length in (32, 64):
        methods = methods_for(RunSettings(methods=(name,), grid=grid), length)
        assert methods and len({method.setting for method in methods}) == len(methods)


def test_a_setting_given_twice_runs_once():
    methods = methods_for(RunSettings(methods=("confidence", "confidence:k=4", "confidence:block=32,k=4")), 32)
    assert [method.setting for method in methods].count("confidence:k=4") == 1


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"samples": 0}, "samples=0 is not allowed; samples is a whole number of at least 1"),
        ({"samples": 2.5}, "samples=2.5"),
        ({"samples": "3"}, "samples='3'"),
        ({"seed": 1.0}, "seed=1.0 is not allowed; seed is a whole number"),
        ({"seed": True}, "seed=True"),
        ({"profile": "nativ"}, "Unknown profile 'nativ'. Did you mean 'native'?"),
        ({"grid": "papr"}, "Unknown grid 'papr'. Did you mean 'paper'?"),
        ({"tasks": ()}, "No tasks given"),
        ({"methods": ()}, "No methods given"),
        ({"models": ()}, "No models given"),
    ],
)
def test_settings_refuse_nonsense(wrong, told):
    with pytest.raises(UsageError, match=told.replace("?", "[?]")):
        RunSettings(**wrong)


@given(st.dictionaries(st.text(), st.integers() | st.text()), st.randoms())
def test_short_hashes_know_content_not_order(value, random):
    keys = list(value)
    random.shuffle(keys)
    assert short_hash({key: value[key] for key in keys}) == short_hash(value)
    assert short_hash({**value, "one more": 1}) != short_hash({**value, "one more": 2})
    assert len(short_hash(value, 20)) == 20
