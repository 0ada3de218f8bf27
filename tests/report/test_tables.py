"""The tables as a terminal shows them."""

import io

import numpy as np
import pytest
from rich.console import Console

from analysis.frames import frame, lane
from parallelbench.analysis.pbx import leaderboard
from parallelbench.report.tables import leaderboard_table, score_table


def shown(table, width=100, color=False):
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=color, color_system="standard" if color else None).print(table)
    return stream.getvalue()


def entry(method, *values, model="m", **more):
    names = ("PB90", "PB80", "PB75", "PB70", "PB60")
    return {"model": model, "method": method} | dict(zip(names, values, strict=True)) | more


BOARD = [
    entry("slow", 0.0, 1.0, 2.0, 2.0, 4.0),
    entry("fast", 0.0, 4.0, 4.5, 5.0, 6.25),
    entry("tied", 0.0, 1.0, 2.0, 3.0, 6.25),
    entry("none", None, None, None, None, None),
    entry("alone", 0.0, 0.5, 0.5, 0.5, 0.5, model="another"),
]


def line_of(text, word):
    (line,) = [line for line in text.splitlines() if word in line]
    return line


def test_sorted_by_pb80_then_pb70_within_a_model():
    text = shown(leaderboard_table(BOARD))
    words = ["another", "alone", "fast", "tied", "slow", "none"]
    places = [text.index(f" {word} ") for word in words]
    assert places == sorted(places)
    assert text == shown(leaderboard_table(BOARD[::-1]))
    assert line_of(text, "fast").split() == ["fast", "0", "4.00", "4.50", "5.00", "6.25"]
    assert line_of(text, " none ").split() == ["none", *"–––––"]
    assert "0 = never reaches x." in text and "– = not measured" in text


def test_the_best_of_a_column_in_its_model_is_bold_and_zero_never():
    text = shown(leaderboard_table(BOARD), color=True)
    bold = {word: line_of(text, word).count("\x1b[1m") for word in ("fast", "tied", "slow", "alone")}
    assert bold == {"fast": 4, "tied": 1, "slow": 0, "alone": 4}
    assert "\x1b[1m6.25" in line_of(text, "tied")


def test_intervals_and_what_stands_beside():
    rows = [
        entry(
            *("fast", 0.0, 4.0, 4.5, 5.0, 12.0),
            intervals={
                "PB90": [0, 0.5],
                "PB80": [3.46, 4.44],
                "PB75": [4, 5],
                "PB70": [4, 6],
                "PB60": [11.4, 13.6],
            },
            effective={"PB80": 2.5},
            harmonic={"PB80": 3.5},
            profile="native",
        )
    ]
    text = shown(leaderboard_table(rows), width=80)
    assert line_of(text, "fast").split() == ["fast", "0", "4.00", "4.50", "5.00", "12.00", "2.50", "3.50"]
    assert line_of(text, "3.5–4.4").split() == ["0.0–0.5", "3.5–4.4", "4.0–5.0", "4.0–6.0", "11–14"]
    assert "95 %" in text and "Profile: native." in text and "harm. = harmonic mean" in text


def test_what_is_missing_is_said():
    lanes = [lane(task, "confidence:k=4", i, 1.0) for task in ("copy", "sort") for i in range(3)]
    lanes += [lane("haiku", "confidence:k=4", 0, None), lane("copy", "confidence:k=16", 0, 1.0)]
    text = " ".join(shown(leaderboard_table(leaderboard(frame(*lanes), 10))).split())
    assert "m: 1 of 3 tasks missing, no sample scored (haiku)." in text
    assert "m: 1 of 8 lanes unscored." in text
    assert "some task lacks them: confidence:k=16." in text


def test_nothing_to_show():
    assert "PB80" in shown(leaderboard_table([]))
    assert "mean of 0 tasks" in shown(score_table([]))


def board_points(settings, tasks, unscored=()):
    rng = np.random.default_rng(0)
    rows = [
        lane(t, s, i, None if t in unscored and i else float(rng.random() < 0.5), nfe=32 // (1 + n % 32))
        for n, s in enumerate(settings)
        for t in tasks
        for i in range(3)
    ]
    return leaderboard(frame(*rows), 0)[0]["points"]


def test_scores_by_task_and_setting():
    rows = [lane("copy", f"confidence:k={k}", 0, score, nfe=32 // k) for k, score in ((4, 1.0), (16, 0.0))]
    rows += [lane("sort", "confidence:k=4", 0, 0.5, nfe=8), lane("haiku", "confidence:k=4", 0, None)]
    text = shown(score_table(leaderboard(frame(*rows), 0)[0]["points"], "m, confidence"))
    assert line_of(text, "Task").split() == ["Task", "k=4", "k=16"]
    assert line_of(text, "copy").split() == ["copy", "100.0", "0.0"]
    assert line_of(text, "sort").split() == ["sort", "50.0", "–"]
    assert line_of(text, "haiku").split() == ["haiku", "–", "–"]
    assert line_of(text, "mean of 2 tasks").split()[-2:] == ["75.0", "–"]
    assert line_of(text, "tokens per step").split()[-2:] == ["4.00", "–"]
    assert "m, confidence" in text


def test_partly_scored_points_carry_a_star():
    text = shown(score_table(board_points(["confidence:k=4"], ["copy", "haiku"], unscored=("haiku",))))
    assert "*" in line_of(text, "haiku ") and "*" not in line_of(text, "copy")
    assert "* = some samples unscored." in " ".join(text.split())


def test_labels_leave_out_what_settings_share():
    settings = [f"threshold:tau={tau},block=8" for tau in (0.5, 0.9)]
    header = line_of(shown(score_table(board_points(settings, ["copy"]))), "Task")
    assert header.split() == ["Task", "tau=0.5", "tau=0.9"]


@pytest.mark.parametrize("count", [8, 41])
@pytest.mark.parametrize("width", [60, 100])
def test_tables_fit_their_width_without_cutting_numbers(count, width):
    settings = [f"threshold:tau=0.{i:02}" for i in range(count)]
    tasks = [f"waiting_line/replace_random_{i}" for i in range(17)]
    table = score_table(board_points(settings, tasks), width=width)
    text = shown(table, width=250)
    body = [line for line in text.splitlines() if "=" not in line or "tau" in line]
    assert max(map(len, (line.rstrip() for line in body))) <= width
    assert text == shown(table, width=250) and "…" not in text
    assert "tau=0.00" in text and f"tau=0.{count - 1:02}" in text
    assert (f"of {count} settings shown" in text) == (len(line_of(text, "Task").split()) - 1 < count)


def test_a_real_leaderboard_fits_eighty_columns():
    methods = ["confidence:k=4", "threshold:tau=0.5", "remask:k=4"]
    rows = [lane("copy", m, i, 1.0, nfe=2) for m in methods for i in range(4)]
    text = shown(leaderboard_table(leaderboard(frame(*rows), 20)), width=80)
    assert "…" not in text and max(map(len, text.splitlines())) <= 80
    assert line_of(text, "confidence").split()[:3] == ["confidence", "16.00", "16.00"]


HOSTILE = "[red]x[/red]\x1b[2J\u202e:smile:[link=http://a]\\"
HARMLESS = r"[red]x[/red]\x1b[2J\u202e:smile:[link=http://a]" + "\\"


def test_untrusted_names_are_shown_not_obeyed():
    names = dict.fromkeys(["model", "method", "setting"], HOSTILE)
    lanes = [lane(HOSTILE, "threshold:tau=0.5", 0, None) | names]
    entries = leaderboard(frame(*lanes), 0)
    text = shown(leaderboard_table(entries), width=300)
    assert text.count(HARMLESS) >= 4 and "\x1b" not in text and "\u202e" not in text
    text = shown(score_table(entries[0]["points"], HOSTILE, width=300), width=300)
    assert HARMLESS in text and "\x1b" not in text and "\u202e" not in text
