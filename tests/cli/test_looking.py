"""`pb trace`, `pb compare`, `pb export`, `pb figures`: what a person gets to see, and what a hostile model cannot."""

import csv
import json
import sys
import unicodedata
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

import parallelbench
from parallelbench.cli import export as export_module
from parallelbench.decoding import METHODS
from parallelbench.errors import UsageError
from parallelbench.report.compare import comparison_view
from parallelbench.report.palette import HUES, shade, style
from parallelbench.report.trace import Look, trace_view
from parallelbench.runs.execute import run
from parallelbench.runs.plan import RunSettings
from parallelbench.runs.store import Store, read_frame

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden_run"
EVIL = (
    "<script>alert(1)</script>\"'`\x1b[31m\x1b]0;owned\x07\x1b[2J\u202egnp.exe\u2066\u200b\r\x08\x9b5m"
    "[red]x[/red]:bomb:" + "A" * 100_000
)


def shown(view, color=False, width=100):
    console = Console(file=StringIO(), width=width, force_terminal=color, color_system="truecolor" if color else None)
    console.print(view)
    return console.file.getvalue()


def hostile_trace(**changes):
    piece = EVIL[:300]
    step = {
        "step": 0, "block": [0, 3], "tokens": [5, 6, None], "committed": [0, 1], "replaced": [], "remasked": [],
        "candidate": [5, 6, 7], "confidence": [0.9, 0.2, 0.1], "model": [[[5, 0.9]], [[6, 0.2], [7, 0.1]], [[7, 0.1]]],
        "ideal": None, "ideal_confidence": None, "distance": None,
    }  # fmt: skip
    second = {**step, "step": 1, "tokens": [None, 6, 7], "committed": [2], "remasked": [0]}
    lane = {"id": "1", "model": EVIL[:90], "setting": EVIL[:90], "sample": EVIL[:90], "max_tokens": 3}
    trace = {
        "lane": lane, "messages": [{"role": "user", "content": EVIL}], "special": {"mask": 9, "eos": 8, "pad": 8},
        "texts": {"5": piece, "6": EVIL, "7": " fine"}, "steps": [step, second], "tokens": [5, 6, 7], "revisions": [],
        "text": EVIL, "score": 0.0, "why": EVIL[:200], "nfe": 2, "tps": 1.5, "error": None, "note": EVIL[:50],
    }  # fmt: skip
    return {**trace, **changes}


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("look", [Look(), Look("confidence", True, True)])
def test_hostile_output_is_shown_harmlessly(color, look):
    text = shown(trace_view([hostile_trace(), hostile_trace(error=EVIL[:100])], look), color)
    assert len(text) < 60_000, "100,000 characters of one token are cut"
    for control in ("\x07", "\x08", "\r", "\x9b", "\u202e", "\u2066", "\u200b", "\x1b]", "\x1b[2J"):
        assert control not in text
    allowed = {"\n"} | ({"\x1b"} if color else set())
    assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in allowed]
    assert "\\x1b" in text.replace("\n", "") and "[red]" in text.replace("\n", ""), "shown, not obeyed"
    if color:
        assert "\x1b[31m" not in text.split("\\x1b")[0]


def test_marks_stand_in_for_colours():
    text = shown(trace_view([hostile_trace(texts={"5": "one", "6": " two", "7": " six"})], Look(marks=True)))
    assert "‹one two›·" in text and "✗one✗ two‹ six›" in text
    colored = shown(trace_view([hostile_trace(texts={"5": "one", "6": " two", "7": " six"})], Look()), color=True)
    assert "‹" not in colored and "\x1b[" in colored


def test_a_sample_is_traced_with_two_methods_side_by_side(pb):
    done = pb("trace", "--task", "shuffle", "--method", "confidence:k=8", "--method", "wino:tau=0.5", "--sample", 2)
    assert done.code == 0 and "waiting_line/shuffle.1/test/0/2" in done.out
    assert "ideal  confidence:k=8: 4 forwards" in done.out and "ideal  wino:tau=0.5:" in done.out
    assert "(exact " in done.out and "·" in done.out and "∎" in done.out
    again = json.loads(pb("trace", "--task", "shuffle", "--method", "confidence:k=8", "--sample", 2, "--json").out)
    assert [trace["lane"]["setting"] for trace in again["traces"]] == ["confidence:k=8"]
    assert len(again["traces"][0]["steps"]) == 4


def test_stored_lanes_are_traced_by_id_or_by_what_they_are(pb):
    frame = read_frame(GOLDEN)
    row = frame[(frame["setting"] == "wino:tau=0.5") & (frame["task"] == "puzzle/latin_square")].iloc[0]
    (one,) = json.loads(pb("trace", GOLDEN, "--lane", row["lane_id"][:9], "--stored", "--json").out)["traces"]
    assert one["lane"]["id"] == row["lane_id"] and len(one["steps"]) == row["nfe"]
    chosen = ("--task", "copy", "--sample", 0, "--method", "wino:tau=0.5", "--method", "confidence:k=16")
    found = json.loads(pb("trace", GOLDEN, *chosen, "--stored", "--json").out)["traces"]
    assert [trace["lane"]["setting"] for trace in found] == ["wino:tau=0.5", "confidence:k=16"]
    played = pb("trace", GOLDEN, *chosen, "--stored", "--play", 0)
    assert played.code == 0 and "confidence:k=16: 2 forwards" in played.out
    failed = pb("trace", GOLDEN, "--task", "copy", "--sample", 1, "--method", "threshold:tau=0.7", "--stored")
    assert failed.code == 0 and "error: RuntimeError: boom" in failed.out


def test_bad_wishes_for_traces_are_told(refused):
    assert "60 lanes of" in refused("trace", GOLDEN, "--task", "copy") and "--lane" in refused("trace", GOLDEN)
    assert "no lane with an id that begins with 'zz'" in refused("trace", GOLDEN, "--lane", "zz")
    assert "or --task NAME" in refused("trace")
    assert "--lane needs the run directory" in refused("trace", "--lane", "3f")
    assert "Did you mean 'confidence'" in refused("trace", "--task", "copy", "--method", "confidense")
    assert "Unknown color 'red'" in refused("trace", "--task", "copy", "--color", "red")
    assert "--sample -1" in refused("trace", "--task", "copy", "--sample", "-1")
    assert "5 traces are too many" in refused("trace", "--task", "copy", *["--method", "random:k=4"] * 5)
    assert "--play -1" in refused("trace", "--task", "copy", "--play", "-1")


def test_two_settings_are_compared(pb):
    done = pb("compare", "confidence:k=2", "threshold:tau=0.4", "--in", GOLDEN)
    assert done.code == 0 and "difference" in done.out and "samples flipped" in done.out
    assert done.raw_err.count("signature ") == 2
    found = json.loads(pb("compare", "confidence:k=2", "threshold:tau=0.4", "--in", GOLDEN, "--json").out)
    assert found["n"] == 16 and len(found["tasks"]) == 4 and found["differ"]["setting"]
    one = json.loads(
        pb("compare", "confidence:k=2", "threshold:tau=0.4", "--in", GOLDEN, "--task", "copy", "--json").out
    )
    assert [row["task"] for row in one["tasks"]] == ["waiting_line/copy"]


def test_two_directories_are_compared_and_a_directory_equals_itself(pb, refused):
    found = json.loads(pb("compare", GOLDEN, GOLDEN, "--json", "--bootstrap", 50).out)
    assert found["score"]["difference"] == 0 == found["tps"]["difference"] and found["shared"] == ["model", "setting"]
    assert not found["flipped"] and not found["moved"] and not found["differ"]
    assert "is a run directory" in refused("compare", "confidence:k=2", "random:k=2")
    assert "Unknown setting 'random:k=3'. Did you mean" in refused(
        "compare", "random:k=2", "random:k=3", "--in", GOLDEN
    )
    assert "Unknown setting, method or model 'x'" in refused("compare", "x", "y", "--in", GOLDEN)
    assert "share no setting and A has several" in refused("compare", "random", "wino", "--in", GOLDEN)
    assert "Unknown task 'sort'" in refused("compare", GOLDEN, GOLDEN, "--task", "sort")


def test_a_comparison_of_hostile_names_is_harmless():
    side = {"a": 0.0, "b": 1.0, "difference": 1.0, "interval": [0.0, 2.0]}
    task = {"task": EVIL[:120], "n": 1, **side, "tps_a": 1.0, "tps_b": 1.0, "gained": 1, "lost": 0}
    result = {
        "a": EVIL[:50], "b": EVIL[:50], "n": 1, "score": side, "tps": side, "moved": [task["task"]], "tasks": [task],
        "flipped": [{"task": "t", "sample": EVIL[:80], "a": 0.0, "b": 100.0}] * 12, "shared": ["model"], "only_a": 1,
        "only_b": 0, "differ": {"setting": [[EVIL[:60]], ["b"]]},
    }  # fmt: skip
    text = shown(comparison_view(result))
    assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"] and "and 2 more" in text


def test_export_as_csv_json_and_parquet(pb):
    assert pb("export", GOLDEN, "-o", "lanes.csv").code == 0
    with open("lanes.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    frame = read_frame(GOLDEN).set_index("lane_id")
    assert len(rows) == 240 and [float(r["nfe"]) for r in rows] == list(frame.loc[[r["lane_id"] for r in rows], "nfe"])
    lines = [json.loads(line) for line in pb("export", GOLDEN, "--format", "json", "--all").out.splitlines()]
    assert len(lines) == 240 and lines[0]["commit_step"] and isinstance(lines[0]["parts"], dict)
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    assert pb("export", GOLDEN, "--format", "parquet", "--all", "-o", "lanes.parquet").code == 0
    table = pd.read_parquet("lanes.parquet")
    assert list(table["lane_id"]) == [r["lane_id"] for r in rows] and json.loads(table["tokens"].iloc[0])


def test_a_terminal_gets_harmless_csv_and_a_pipe_the_text_itself(tmp_path, monkeypatch, capsys):
    with Store(GOLDEN) as store, Store(tmp_path, create=True) as other:
        other.add_lane({**store.lane(read_frame(GOLDEN)["lane_id"].iloc[0]), "text": EVIL[:200]})
    frame = read_frame(tmp_path, ["text"])
    export_module.write_frame(frame, "csv", None)
    assert "\x1b[31m" in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    export_module.write_frame(frame, "csv", None)
    text = capsys.readouterr().out
    assert "\\x1b[31m" in text and not [c for c in text if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"]


def test_export_says_what_is_missing(pb, refused, monkeypatch):
    assert "Unknown format 'xls'" in refused("export", GOLDEN, "--format", "xls")
    assert "Parquet is no text" in refused("export", GOLDEN, "--format", "parquet")
    assert "is no run directory" in refused("export", "nowhere")
    assert "Unknown seed '5'" in refused("export", GOLDEN, "--seed", 5)
    assert pb("export", GOLDEN, "-o", "no/such/folder.csv").code == 1
    monkeypatch.setattr(export_module, "find_spec", lambda name: None)
    assert "pip install 'parallelbench[parquet]'" in refused("export", GOLDEN, "-f", "parquet", "-o", "x.parquet")


def test_lanes_load_as_a_data_frame(tmp_path):
    frame = parallelbench.load_run(GOLDEN, everything=True)
    assert len(frame) == 240 and isinstance(frame["commit_step"].iloc[0], list)
    with Store(GOLDEN) as store, Store(tmp_path, create=True) as other:
        row = store.lane(frame["lane_id"].iloc[0])
        other.add_lane({**row, "lane_id": "other", "profile": "pb2025"})
    with pytest.raises(UsageError, match="mix profile values 'native', 'pb2025'"):
        parallelbench.load_run(GOLDEN, tmp_path)


def test_figures_are_drawn_and_kept_as_tables(pb):
    pytest.importorskip("vl_convert", reason="the figures extra is not installed")
    done = pb("figures", GOLDEN, "-o", "out", "--json")
    assert done.code == 0, done.raw_err
    written = json.loads(done.out)
    assert set(written) == {"curves", "oracle", "task_map", "orders", "failures"}
    for name, paths in written.items():
        assert [Path(path).suffix for path in paths] == [".svg", ".png", ".csv"], name
        assert Path(paths[1]).read_bytes()[:4] == b"\x89PNG" and len(pd.read_csv(paths[2])) > 3
    counted = pb("figures", GOLDEN, "-o", "rows", "--only", "curves", "--against", "rows")
    assert counted.code == 0 and "tokens per row" in Path("rows/curves.svg").read_text()
    forwards, rows = (pd.read_csv(path) for path in (written["curves"][2], "rows/curves.csv"))
    same = forwards["rows"] == forwards["nfe"]
    assert (rows["tps"][same] == forwards["tps"][same]).all() and (rows["tps"][~same] < forwards["tps"][~same]).all()
    svg = Path(written["curves"][0]).read_text()
    assert all(style(method).color.lower() in svg.lower() for method in ("confidence", "random", "threshold", "wino"))


def test_panels_of_models_with_other_tasks_say_how_many(pb, tmp_path):
    pytest.importorskip("vl_convert", reason="the figures extra is not installed")
    for model, tasks in {"ideal": ("copy", "shuffle"), "tiny": ("copy",)}.items():
        run(
            RunSettings((model,), tasks, ("confidence:k=4", "confidence:k=8"), samples=1, grammar="none"),
            tmp_path / model,
        )
    assert pb("figures", "ideal", "tiny", "-o", "both", "--only", "curves").code == 0
    assert pb("figures", "tiny", "-o", "alone", "--only", "curves").code == 0
    both, alone = ((tmp_path / name / "curves.svg").read_text() for name in ("both", "alone"))
    assert "ideal, 2 tasks" in both and "tiny, 1 task<" in both and ">tiny<" in alone and "tasks" not in alone
    table = pd.read_csv(tmp_path / "both" / "curves.csv").groupby(["group", "model"])["tasks"].max()
    assert table["tasks of all models"].to_dict() == {"ideal": 1, "tiny": 1}


def test_published_curves_get_panels_in_the_same_colours(pb, tmp_path):
    pytest.importorskip("vl_convert", reason="the figures extra is not installed")
    (tmp_path / "llada").mkdir()
    (tmp_path / "llada" / "topk-margin.csv").write_text("task,tps,accuracy\navg,1,85\navg,2,60\npuzzles-sudoku,1,80\n")
    done = pb("figures", GOLDEN, "-o", "out", "--only", "curves", "--curves", "llada")
    assert done.code == 0, done.raw_err
    table = pd.read_csv(tmp_path / "out" / "curves.csv")
    rows = table[table["model"] == "llada (published)"]
    assert list(zip(rows["method"], rows["tps"], rows["score"], strict=True)) == [("margin", 1, 85), ("margin", 2, 60)]
    svg = (tmp_path / "out" / "curves.svg").read_text()
    assert "llada (published)" in svg and style("margin").color.lower() in svg.lower()


def test_figures_say_what_a_run_lacks(pb, refused, tmp_path):
    pytest.importorskip("vl_convert", reason="the figures extra is not installed")
    with Store(GOLDEN) as store, Store(tmp_path / "one", create=True) as other:
        other.add_lane(store.lane(read_frame(GOLDEN)["lane_id"].iloc[0]))
    done = pb("figures", tmp_path / "one", "-o", "out", "--only", "task_map", "--only", "oracle")
    assert done.code == 0 and "not drawn: no top-k method ran with k = 2" in done.err and "adaptive" in done.err
    Store(tmp_path / "none", create=True).close()
    assert "No lanes yet" in refused("figures", tmp_path / "none")
    assert "Unknown style 'papier'. Did you mean 'paper'" in refused("figures", GOLDEN, "--style", "papier")
    assert "Unknown cost 'row'" in refused("figures", GOLDEN, "--against", "row")
    assert "Unknown figure 'curve'" in refused("figures", GOLDEN, "--only", "curve")


def test_every_method_has_a_look_of_its_own():
    looks = {name: style(name) for name in METHODS}
    assert len(set(looks.values())) == len(looks)
    assert {look.color for look in looks.values()} <= set(HUES)
    assert style("confidence-threshold") == style("threshold") and style("mine.py:rule") == style("mine.py:rule")
    assert shade(0) != shade(0.5) != shade(1) and shade(-1) == shade(0) and shade(7) == shade(1)
