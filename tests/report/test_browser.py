"""The page in a real browser: it works, fetches nothing, and runs nothing but its own script.

One browser serves the whole file. Needs Debian's chromium and playwright's Python package.
"""

import re
import socket
from importlib.util import find_spec
from pathlib import Path

import pytest

from parallelbench.cli.report_page import Wanted, make_page
from parallelbench.report.traces import trace_page
from report.pages import EVIL, hostile_run, small_run, trace

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
]
TABS = ["overview", "curves", "oracle", "map", "failures", "order", "cost", "traces", "runs"]
pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def browser():
    if find_spec("playwright") is None:
        pytest.skip("the package playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The files under test, by name."""
    folder = tmp_path_factory.mktemp("pages")
    curves = folder / "published"
    curves.mkdir()
    (curves / "confidence-topk.csv").write_text("task,tps,accuracy\navg,1,90\navg,2,70\nwaitingline-copy,1,95\n")
    two = small_run(folder / "two", samples=1, tasks=("copy",))
    small_run(two, samples=1, tasks=("copy",), profile="pb2025")
    models = small_run(folder / "models", samples=1, tasks=("copy", "shuffle", "sudoku"))
    small_run(models, samples=1, models=("tiny",), tasks=("copy", "shuffle"))
    (empty := folder / "empty").mkdir()
    from parallelbench.runs.store import Store

    Store(empty, create=True).close()
    files = {}
    for name, (directory, folders) in {
        "report": (small_run(folder / "run"), [curves]),
        "hostile": (hostile_run(folder / "hostile"), []),
        "profiles": (two, []),
        "models": (models, []),
        "empty": (empty, []),
    }.items():
        text, _ = make_page(Wanted([directory], folders, "lists", 1, 20, name))
        files[name] = folder / f"{name}.html"
        files[name].write_text(text, encoding="utf-8")
    files["trace"] = folder / "trace.html"
    traces = [trace(), trace("threshold:tau=0.5", revised=False), trace("random:k=1", piece=EVIL, text=EVIL)]
    files["trace"].write_text(trace_page(traces, EVIL[:60]), encoding="utf-8")
    return files


class Watched:
    """A page with everything it complained about or tried to fetch."""

    def __init__(self, context, file):
        self.faults, self.requests = [], []
        self.page = context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        context.route(re.compile("^(?!file:|data:|blob:)"), lambda route: route.abort())
        self.page.goto(file.as_uri())

    def open(self, tab):
        self.page.click(f"#tab-{tab}")
        assert self.page.get_attribute(f"#tab-{tab}", "aria-selected") == "true"
        return self.page.locator("#panel")


@pytest.fixture
def visit(browser, pages):
    """Open a page; at the end nothing may have gone wrong and nothing but files been asked for."""
    opened = []

    def start(name, **settings):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        watched = Watched(context, pages[name])
        opened.append((context, watched, pages[name]))
        return watched

    yield start
    for context, watched, file in opened:
        hacked = watched.page.evaluate("window.hacked")
        context.close()
        assert hacked is None
        assert watched.faults == []
        assert [url for url in watched.requests if not url.startswith(("data:", "blob:"))] == [file.as_uri()]


def test_every_tab_opens_and_shows_what_it_is_for(visit):
    watched = visit("report")
    told = {
        "overview": "Leaderboard", "curves": "Score against tokens per step: all tasks", "oracle": "Oracle gap",
        "map": "Parallelizability", "failures": "Failures of confidence", "order": "Kendall", "cost": "Mean score",
        "traces": "Play", "runs": "signature",
    }  # fmt: skip
    assert list(told) == TABS
    for tab, text in told.items():
        panel = watched.open(tab)
        assert text in panel.inner_text()
        if tab not in ("traces", "runs"):
            assert panel.locator(".plot svg path, .plot svg rect").count() >= 2, tab


def test_tabs_are_walked_with_arrow_keys(visit):
    watched = visit("report")
    watched.page.focus("#tab-overview")
    for tab in TABS[1:]:
        watched.page.keyboard.press("ArrowRight")
        assert watched.page.evaluate("document.activeElement.id") == f"tab-{tab}"
    watched.page.keyboard.press("Home")
    assert watched.page.get_attribute("#tab-overview", "aria-selected") == "true"


def test_a_method_toggles_everywhere(visit):
    watched = visit("report")
    panel, button = watched.open("curves"), watched.page.locator("#methods-confidence")
    count = panel.locator(".plot svg path").count
    before = count()
    button.click()
    assert button.get_attribute("aria-pressed") == "false" and count() < before
    assert "confidence" not in watched.open("overview").locator("#board").inner_text()
    button.click()
    assert "confidence" in panel.locator("#board").inner_text()
    watched.open("curves")
    assert count() == before


def test_published_curves_lie_over_ones_own(visit):
    watched = visit("report")
    panel = watched.open("curves")
    with_them = panel.locator(".plot svg path").count()
    watched.page.uncheck("#check-published")
    assert panel.locator(".plot svg path").count() < with_them
    watched.page.check("#check-published")
    assert "confidence-topk\npublished" in watched.open("overview").locator("#board").inner_text()


@pytest.mark.parametrize("column", ["PB90", "PB60"])
def test_the_leaderboard_sorts(visit, column):
    watched = visit("report")
    place = {"PB90": 3, "PB60": 7}[column]
    header = watched.page.locator(f"th:has(#sort-{column})")

    def values():
        cells = watched.page.locator(f"#board tbody tr > *:nth-child({place}) b").all_inner_texts()
        assert len(cells) == 4
        return [float(cell) for cell in cells]

    watched.page.click(f"#sort-{column}")
    first = values(), header.get_attribute("aria-sort")
    watched.page.click(f"#sort-{column}")
    second = values(), header.get_attribute("aria-sort")
    assert {first[1], second[1]} == {"ascending", "descending"}
    for found, order in (first, second):
        assert found == sorted(found, reverse=order == "descending")
    assert first[0] != second[0]


def test_points_are_read_by_keyboard(visit):
    watched = visit("report")
    watched.open("curves")
    plot = watched.page.locator(".plot").first
    plot.focus()
    told = set()
    for _ in range(4):
        watched.page.keyboard.press("ArrowRight")
        told.add(watched.page.inner_text("#tip"))
    assert len(told) == 4 and all("tokens per step" in text for text in told)
    watched.page.keyboard.press("Escape")
    assert watched.page.is_hidden("#tip")


def test_figures_are_saved(visit):
    watched = visit("report")
    watched.open("curves")
    saved = {}
    for kind in ("SVG", "PNG", "CSV"):
        with watched.page.expect_download() as waiting:
            watched.page.locator("figure").first.get_by_role("button", name=f"as {kind}").click()
        saved[kind] = waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()
    assert {name.rpartition(".")[2] for name, _ in saved.values()} == {"svg", "png", "csv"}
    assert saved["SVG"][1].startswith(b"<svg") and b"threshold" in saved["SVG"][1] and b"var(" not in saved["SVG"][1]
    assert saved["PNG"][1].startswith(b"\x89PNG") and len(saved["PNG"][1]) > 5000
    lines = saved["CSV"][1].decode().splitlines()
    assert lines[0].startswith("model,method,setting,tps,score") and len(lines) >= 6


def test_a_trace_plays_to_its_end(visit):
    watched = visit("report")
    watched.open("traces")
    watched.page.select_option("#pace", "16")
    masked = watched.page.locator(".token.masked").count
    assert masked() > 0 and watched.page.is_hidden(".texts >> nth=1")
    watched.page.click("#play")
    last = watched.page.get_attribute("#step", "max")
    watched.page.get_by_text(f"step {last} / {last}", exact=True).wait_for()
    assert masked() == 0 and "Play" in watched.page.inner_text("#play")
    assert watched.page.is_visible(".viewer .texts >> nth=0")


def test_a_trace_is_stepped_by_keyboard_and_marks_what_was_taken_back(visit):
    watched = visit("trace")
    watched.page.focus("#play")
    for count in (1, 2):
        watched.page.keyboard.press("ArrowRight")
        assert watched.page.inner_text("#step-told").startswith(f"step {count} /")
    left = watched.page.locator(".viewer").first
    assert left.locator(".token.masked.again").count() == 1, "taken back, not yet filled anew"
    watched.page.keyboard.press("End")
    assert left.locator(".token.masked").count() == 0 and left.locator(".token.again").count() == 1
    left.locator(".token").first.click()
    assert "exact marginals" in left.inner_text() and "0.750" in left.inner_text()
    watched.page.keyboard.press("Home")
    assert left.locator(".token.masked").count() == 4


def test_two_methods_stand_side_by_side(visit):
    watched = visit("trace")
    assert watched.page.locator(".viewer").count() == 2
    titles = watched.page.locator(".viewer h3").all_inner_texts()
    assert len(set(titles)) == 2
    watched.page.select_option("#choose-right", "none")
    assert watched.page.locator(".viewer").count() == 1


@pytest.mark.parametrize("name", ["report", "hostile", "trace"])
def test_nothing_scrolls_sideways_on_a_phone(visit, name):
    watched = visit(name, viewport={"width": 390, "height": 844}, color_scheme="dark")
    tabs = TABS if name != "trace" else ["traces"]
    for tab in tabs:
        watched.open(tab)
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390, tab
    assert watched.page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_hostile_text_is_shown_and_does_nothing(visit):
    watched = visit("hostile")
    for tab in TABS:
        watched.open(tab)
    watched.page.click("#theme")
    text = watched.open("traces").inner_text()
    assert watched.page.locator("#panel script, #panel img").count() == 0
    assert "more characters" in watched.page.locator(".viewer .texts").first.text_content()
    assert "<script>" in text and "\u202e" not in text and "\x1b" not in text
    assert "\\u202e" in watched.page.content()
    watched = visit("trace")
    watched.page.select_option("#choose-left", "id random:k=1")
    watched.page.click("[aria-label='last step']")
    assert "<script>" in watched.page.locator(".token").first.inner_text()


def test_the_policy_lets_nothing_in_or_out(browser, pages):
    """Even code that had found its way into the page could neither run nor fetch."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(pages["report"].as_uri())
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        outcome = page.evaluate(
            """async (address) => {
                const script = document.createElement("script");
                script.textContent = "window.hacked = true";
                document.body.append(script);
                const image = new Image();
                const loaded = new Promise((end) => {
                    image.onload = () => end("yes");
                    image.onerror = () => end("no");
                });
                image.src = address;
                return [window.hacked === undefined, await loaded, await fetch(address).then(() => "yes", () => "no")];
            }""",
            f"http://127.0.0.1:{server.getsockname()[1]}/",
        )
        with pytest.raises(TimeoutError):
            server.accept()
    assert outcome == [True, "no", "no"]
    context.close()


def test_models_with_other_tasks_are_told_apart(visit):
    watched = visit("models")
    assert "the tasks each model has (ideal 3, tiny 2)" in watched.open("overview").inner_text()
    panel = watched.open("curves")
    assert "compare models on “tasks of all models”" in panel.inner_text()
    watched.page.select_option("#panel select", "tasks of all models")
    note = watched.page.locator("#panel figure").first
    assert "mean of 2 tasks" in note.inner_text() and "each model has" not in note.inner_text()
    names = [heading.inner_text() for heading in watched.page.locator("#panel .grid figure h3").all()]
    assert "tasks of all models" not in names and "puzzle" in names
    watched.page.select_option("#panel select", "all tasks")
    watched.page.click("#models-tiny")
    assert "mean of 3 tasks" in watched.page.locator("#panel figure").first.inner_text()


def test_profiles_are_shown_one_at_a_time(visit):
    watched = visit("profiles")
    assert "Lanes of several profiles: native" in watched.page.inner_text(".notes")
    assert "never averaged together" in watched.page.inner_text(".notes")
    watched.page.select_option("#choose-profile", "1")
    assert "profile:pb2025" in watched.open("runs").inner_text()


def test_an_empty_run_says_so(visit):
    watched = visit("empty")
    for tab in TABS:
        assert watched.open(tab).inner_text().strip() != ""
    assert "No lanes yet" in watched.open("overview").inner_text()
