"""Published files: run as they are, refused when they can't be."""

import json

import pytest
import yaml

from parallelbench.errors import UsageError
from parallelbench.tasks import describe, expand_tasks, load_task, task_names
from parallelbench.tasks.base import Orderings
from parallelbench.tasks.export import export_chat
from shared import shared

LINE = '["Ann Bo", "Cy Doe"]'
SHOWN = '["Eve Fox", "Guy Hay", "Ida Jax"]'
CONFIG = {
    "waiting_line/copy": {"prompt": "Again: {context}!\n", "metric": "list_match_score", "seed": 1},
    "waiting_line/shuffle": {"prompt": "Mix {context}", "metric": "list_shuffle_score"},
    "waiting_line/insert_index": {"prompt": "{word} to {index}: {context}", "metric": "list_match_score"},
    "waiting_line/remove_random": {"prompt": "One out: {context}", "metric": "list_random_remove_score"},
    "waiting_line/replace_random": {
        "prompt": "{word}: {context}",
        "metric": "list_random_replace_score",
    },
    "waiting_line_n15/copy": {"prompt": "Again: {context}", "metric": "list_match_score"},
    "puzzle/latin": {"prompt": "Size {size}, {symbols}", "metric": "latin_square_score"},
    "puzzle/sudoku": {"prompt": r"Fill\n{sudoku}\n{", "metric": "sudoku_score"},
    "text/sum": {"prompt": "Sum up {text}", "metric": "summary_score"},
    "text/par": {"prompt": "Rephrase {text}", "metric": "paraphrase_score"},
    "words/easy": {"prompt": "Use {words}", "metric": "sentence_to_words_score"},
}
SQUARE = "A,B,C,D\nB,A,D,C\nC,D,A,B\nD,C,B,A"
GRID, SOLUTION = "0234\n3412\n2143\n4321", "1234\n3412\n2143\n4321"
RECORDS = {
    "waiting_line/copy": [
        {
            "input": {
                "context": LINE,
                "icl_examples": [{"input": {"context": SHOWN}, "answer": SHOWN, "metadata": {}}],
            },
            "answer": LINE,
            "output_format": '["[MASK]", "[MASK]"]',
        },
        {"input": {"context": SHOWN}, "answer": SHOWN},
    ],
    "waiting_line/shuffle": [
        {
            "input": {
                "context": LINE,
                "icl_examples": [{"input": {"context": SHOWN}, "answer": {"example": "EXAMPLE"}}],
            },
            "answer": {"input": ["Ann Bo", "Cy Doe"], "example": '["Cy Doe", "Ann Bo"]'},
        }
    ],
    "waiting_line/insert_index": [
        {
            "input": {"context": LINE, "word": "New One", "index": 1},
            "answer": '["Ann Bo", "New One", "Cy Doe"]',
        }
    ],
    "waiting_line/remove_random": [
        {"input": {"context": LINE}, "answer": {"input": ["Ann Bo", "Cy Doe"], "example": '["Ann Bo"]'}}
    ],
    "waiting_line/replace_random": [
        {
            "input": {"context": LINE, "word": "New One"},
            "answer": {"word": "New One", "example": '["New One", "Cy Doe"]'},
        }
    ],
    "waiting_line_n15/copy": [{"input": {"context": LINE}, "answer": LINE}],
    "puzzle/latin": [
        {
            "input": {"size": 4, "symbols": "[A, B, C, D]"},
            "answer": {"symbols": ["A", "B", "C", "D"], "example": SQUARE},
        }
    ],
    "puzzle/sudoku": [{"input": {"sudoku": GRID}, "answer": SOLUTION}],
    "text/sum": [{"input": {"text": "A: Hi.\u2028B: Ho."}, "answer": {"text": "A: Hi.", "summary": "They greet."}}],
    "text/par": [{"input": {"text": "It rains."}, "answer": {"examples": "['Rain falls.', \"It's wet.\"]"}}],
    "words/easy": [
        {"input": {"words": "moss"}, "answer": {"words": ["moss"], "example": "Moss is green."}},
        {"input": {"words": "fern"}, "answer": {"words": ["fern"]}},
    ],
}


def write(root, records, config=CONFIG):
    """A folder of published files."""
    for name, rows in records.items():
        path = root / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        entries = {key: value for key, value in config.items() if key.split("/")[0] == path.parent.name}
        (path.parent / "task_config.yaml").write_text(yaml.safe_dump(entries), "utf-8")
    return root


@pytest.fixture
def data(tmp_path):
    return write(tmp_path, RECORDS)


def test_every_file_with_a_configuration_is_a_task(data):
    (data / "notes").mkdir()
    (data / "notes" / "stray.jsonl").write_text("{}")
    assert sorted(task_names(data)) == sorted(RECORDS)
    assert sorted(task.name for task in expand_tasks(["all"], data)) == sorted(RECORDS)
    assert [task.name for task in expand_tasks(["puzzle", "puzzle/latin"], data)] == [
        "puzzle/latin",
        "puzzle/sudoku",
    ]


def test_prompt_example_and_answer_are_those_of_the_file(data):
    task = load_task("waiting_line/copy", data)
    first, second = task.samples(7, 2)
    assert [dict(turn) for turn in first.messages] == [
        {"role": "user", "content": f"Again: {SHOWN}!\n"},
        {"role": "assistant", "content": SHOWN},
        {"role": "user", "content": f"Again: {LINE}!\n"},
    ]
    assert (first.answer, first.template) == (LINE, '["[MASK]", "[MASK]"]')
    assert (second.template, len(second.messages)) == (None, 1)
    assert first.id == "waiting_line/copy.0/test/7/0"
    assert first.facts == {
        "operation": "copy",
        "items": ["Ann Bo", "Cy Doe"],
        "expected": ["Ann Bo", "Cy Doe"],
        "new": None,
        "position": None,
    }


def test_a_random_task_shows_the_example_of_the_record(data):
    (sample,) = load_task("shuffle", data).samples(0, 1)
    assert sample.messages[1]["content"] == "EXAMPLE"
    assert sample.answer == '["Cy Doe", "Ann Bo"]'
    assert sample.facts["expected"] is None


def test_backslashes_and_lone_braces_of_a_prompt_stay(data):
    (sample,) = load_task("puzzle/sudoku", data).samples(0, 1)
    assert sample.messages[0]["content"] == rf"Fill\n{GRID}\n{{"


def test_line_separators_inside_a_text_do_not_cut_the_record(data):
    (sample,) = load_task("text/sum", data).samples(0, 1)
    assert "\u2028" in sample.facts["dialogue"]


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("waiting_line/insert_index", ['["Ann Bo", "New One", "Cy Doe"]']),
        ("waiting_line/remove_random", ['["Cy Doe"]', '["Ann Bo"]']),
        ("waiting_line/replace_random", ['["New One", "Cy Doe"]', '["Ann Bo", "New One"]']),
        ("waiting_line/shuffle", ['["Cy Doe", "Ann Bo"]']),
        ("puzzle/sudoku", [SOLUTION]),
        ("text/sum", ["They greet."]),
        ("text/par", ["Rain falls.", "It's wet."]),
    ],
)
def test_support_of_a_record(data, name, answers):
    task = load_task(name, data)
    (sample,) = task.samples(0, 1)
    assert list(dict(task.support(sample))) == answers
    assert sample.answer in answers


def test_support_of_words_is_known_only_with_an_example(data):
    task = load_task("words/easy", data)
    known, unknown = task.samples(0, 2)
    assert dict(task.support(known)) == {"Moss is green.": 1.0}
    assert task.support(unknown) is None
    assert next(export_chat(task, 0, 1, "test"))["messages"][-1]["content"] == "Moss is green."
    with pytest.raises(UsageError, match="words/easy.0/test/0/1: this sample has no known answer"):
        list(export_chat(task, 0, 2, "test"))


def test_lengths_versions_and_descriptions(data):
    assert {name: load_task(name, data).max_tokens for name in RECORDS if "line" in name or "sud" in name} == {
        **dict.fromkeys((name for name in RECORDS if name.startswith("waiting_line/")), 32),
        "waiting_line_n15/copy": 128,
        "puzzle/sudoku": 64,
    }
    told = describe(load_task("waiting_line/copy", data))
    assert (told["version"], told["samples"], told["options"]) == (0, {"test": 2, "train": 0}, {})
    assert told["parallel"] and not describe(load_task("shuffle", data))["parallel"]


def test_the_digest_follows_file_and_prompt(tmp_path):
    def digest(folder, records, prompt):
        folder.mkdir()
        config = {"puzzle/latin": {**CONFIG["puzzle/latin"], "prompt": prompt}}
        return load_task("latin", write(folder, records, config)).digest()

    one = {"puzzle/latin": RECORDS["puzzle/latin"]}
    two = {"puzzle/latin": RECORDS["puzzle/latin"] * 2}
    digests = [
        digest(tmp_path / folder, records, prompt)
        for folder, records, prompt in (("a", one, "x"), ("b", one, "x"), ("c", two, "x"), ("d", one, "y"))
    ]
    assert digests[0] == digests[1] and len(set(digests)) == 3


@pytest.mark.parametrize("name", RECORDS)
def test_the_answer_of_a_record_scores_one(data, name):
    task = load_task(name, data)
    sample = task.samples(0, 1)[0]
    score = task.score(sample, sample.answer)
    assert (score.lenient, score.strict) == (1.0, 1.0), score


def refusal(name, data):
    with pytest.raises(UsageError) as error:
        load_task(name, data)
    return str(error.value)


def test_names_are_refused_with_what_is_near(data):
    assert "Did you mean 'waiting_line/copy'" in refusal("waiting_line/cpy", data)
    assert "can be any of: waiting_line/copy, waiting_line_n15/copy" in refusal("copy", data)
    assert "published tasks have no options; ask for 'puzzle/sudoku'" in refusal("sudoku@blanks=3", data)


def test_missing_and_empty_folders_are_refused(tmp_path):
    assert "no such folder of published data" in refusal("copy", tmp_path / "nowhere")
    assert "no tasks inside; expected <folder>/<name>.jsonl" in refusal("copy", tmp_path)


def test_only_the_test_split_and_only_the_records_there_are(data):
    task = load_task("waiting_line/copy", data)
    with pytest.raises(UsageError, match="3 samples asked for, the test split has 2"):
        task.samples(0, 3)
    with pytest.raises(UsageError, match="the train split has 0"):
        task.samples(0, 1, "train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "puzzle/latin.jsonl: the file is empty"),
        ("\n  \n", "the file is empty"),
        ('{"input": \n', "puzzle/latin.jsonl, line 1: not valid JSON"),
        ("{}\n", "line 1: the record has no field 'answer'"),
        ("3\n", "line 1: the record is not of the form"),
        ('{"input": {}, "answer": {"symbols": "ABCD", "example": "x"}}', "expected a list of texts"),
        ('{"input": {}, "answer": {"symbols": ["A"], "example": "x"}}', "expected 4 symbols"),
        ('{"input": {"size": 4}, "answer": {"symbols": ["A", "B", "C", "D"]}}', "no field 'symbols'"),
    ],
)
def test_bad_records_are_refused_with_file_and_line(data, content, message):
    (data / "puzzle" / "latin.jsonl").write_text(content)
    assert message in refusal("puzzle/latin", data)


def test_a_corrupt_line_is_counted_from_the_top_of_the_file(data):
    path = data / "waiting_line" / "copy.jsonl"
    path.write_text(path.read_text() + "\n{broken\n")
    assert "copy.jsonl, line 4: not valid JSON" in refusal("waiting_line/copy", data)


def test_a_file_that_is_no_text_is_refused(data):
    (data / "puzzle" / "latin.jsonl").write_bytes(b"\xff\xfe\x00")
    assert "latin.jsonl: cannot be read" in refusal("puzzle/latin", data)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("a: [", "task_config.yaml: not valid YAML"),
        ("- just\n- a list\n", "Known: none"),
        ("puzzle/latine: {prompt: x, metric: y}", "Unknown task in"),
        ("puzzle/latin: {metric: sudoku_score}", "puzzle/latin has no text 'prompt'"),
        ("puzzle/latin: {prompt: x, metric: 3}", "puzzle/latin has no text 'metric'"),
        ("puzzle/latin: {prompt: x, metric: latin_square_scor}", "Did you mean 'latin_square_score'"),
    ],
)
def test_bad_configurations_are_refused(data, config, message):
    (data / "puzzle" / "task_config.yaml").write_text(config)
    assert message in refusal("puzzle/latin", data)


def test_the_reference_data_loads_as_it_is():
    root = shared("reference_data")
    tasks = {task.name: task for task in expand_tasks(["all"], root)}
    assert len(tasks) == 45
    for task in tasks.values():
        samples = task.samples(0, task.default_count)
        assert len(samples) == (108 if "sudoku" in task.name else 100)
        shots = 0 if task.name.startswith(("words", "paraphrase")) else 1
        assert all(len(sample.messages) == 1 + 2 * shots for sample in samples)
        for sample in samples:
            support = task.support(sample)
            if support is None:
                assert task.kind == "words" and sample.answer == ""
            elif isinstance(support, Orderings):
                assert sorted(json.loads(sample.answer)) == sorted(support.items)
                assert json.loads(sample.answer) != list(support.items)
            else:
                assert sample.answer in support.weights
    first = tasks["waiting_line/sort"].samples(0, 100)
    assert any(sample.facts["expected"] != sorted(sample.facts["items"], key=by_last) for sample in first)


def by_last(person):
    return person.split(" ")[::-1]
