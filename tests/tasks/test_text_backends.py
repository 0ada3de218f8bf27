"""Grammar backends behind real interfaces: a server that speaks LanguageTool's protocol, and the link parser."""

import json
import os
import shutil
import socket
import sys
import threading
import urllib.parse
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from parallelbench.errors import JudgeError, UsageError
from parallelbench.runs.execute import run
from parallelbench.runs.plan import RunSettings
from parallelbench.runs.store import Store
from parallelbench.tasks import load_task
from parallelbench.tasks.scoring import grammar, grammar_signature, set_grammar
from parallelbench.tasks.scoring.batch import score_many
from parallelbench.tasks.scoring.grammar_harper import Harper

REQUIRED = {"language": ["en-US"]}


def match(text, word, category, message):
    """A match as LanguageTool tells it: offsets in UTF-16 units."""
    at = text.index(word)
    units = len(text[:at].encode("utf-16-le")) // 2
    return {
        "message": message,
        "offset": units,
        "length": len(word.encode("utf-16-le")) // 2,
        "rule": {"id": "X", "category": {"id": category}},
    }


class Server(ThreadingHTTPServer):
    """Speaks GET /v2/languages and POST /v2/check; `mode` decides how it fails."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.mode, self.checked, self.url = "good", [], f"http://127.0.0.1:{self.server_port}"

    def answer(self, text):
        matches = [match(text, "teh", "TYPOS", "Possible spelling mistake found.")] if "teh" in text else []
        if "he go" in text:
            matches.append(match(text, "he go", "GRAMMAR", "Agreement."))
        return {"software": {"name": "LanguageTool", "version": "6.9"}, "matches": matches}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply(
            [{"name": "English (US)", "code": "en", "longCode": "en-US"}] if self.path == "/v2/languages" else None
        )

    def do_POST(self):
        fields = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        (text,) = fields.pop("text")
        assert self.path == "/v2/check" and fields == REQUIRED
        self.server.checked.append(text)
        match self.server.mode:
            case "good":
                self.reply(self.server.answer(text))
            case "slow":
                self.connection.settimeout(5)
                self.rfile.read(1)  # no answer until the client hangs up
            case "error":
                self.send_error(500)
            case "closed":
                self.close_connection = True
            case body:
                self.reply(body)

    def reply(self, value):
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):  # a client that timed out is gone
            self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def default_afterwards():
    yield
    set_grammar("harper")


def test_a_server_judges_over_http(server):
    set_grammar(f"languagetool:url={server.url}")
    assert grammar_signature() == "languagetool-6.9"
    assert grammar.check("All is well.") == []
    assert grammar.check("It is teh end.") == ["'teh': Possible spelling mistake found."]
    assert grammar.check("See how he go.") == ["'he go': Agreement."]
    assert server.checked[1:] == ["All is well.", "It is teh end.", "See how he go."]


def test_words_of_the_prompt_are_not_misspelt_but_other_faults_stay(server):
    set_grammar(f"languagetool:url={server.url}/")
    assert grammar.check("It is teh end.", "Teh: hello") == []
    assert grammar.check("See how he go.", "he go") == ["'he go': Agreement."]


def test_offsets_count_utf_16_units(server):
    set_grammar(f"languagetool:url={server.url}")
    assert grammar.check("😀 and 😀 see teh end.") == ["does not start with a capital"]
    assert grammar.check("So 😀 and 😀 see teh end.") == ["'teh': Possible spelling mistake found."]


def test_our_own_rules_come_before_the_server(server):
    set_grammar(f"languagetool:url={server.url}")
    assert grammar.check("He drinks drinks it.") == ["doubled word 'drinks'"]
    assert len(server.checked) == 1


@pytest.mark.parametrize("mode", ["slow", "error", "closed", "[]", "no json", '{"matches": [{"offset": "x"}]}', "{}"])
def test_a_server_that_fails_leaves_texts_unscored(server, mode):
    set_grammar(f"languagetool:url={server.url},timeout=1.5")  # a good answer comes well before, the slow one never
    server.mode = mode
    with pytest.raises(JudgeError, match=f"languagetool at {server.url}: "):
        grammar.check("All is well.")
    task = load_task("paraphrasing")
    (sample,) = task.samples(0, 1)
    (judged,) = score_many(task, [(sample, "All is well.")])
    assert (judged.lenient, judged.strict) == (None, None)
    assert judged.why.startswith("unscored: languagetool at ")


def test_a_run_goes_on_after_the_server_came_back(server, tmp_path):
    settings = RunSettings(
        tasks=("text/paraphrasing",), methods=("confidence:k=1", "random:k=1"), samples=2,
        grammar=f"languagetool:url={server.url},timeout=5",
    )  # fmt: skip
    set_grammar(settings.grammar)
    down = run_with(server, "error", settings, tmp_path)
    assert (down.decoded, down.failed) == (4, 4)
    up = run_with(server, "good", settings, tmp_path)
    assert (up.decoded, up.skipped, up.failed) == (4, 0, 0)
    again = run_with(server, "error", settings, tmp_path)
    assert (again.decoded, again.skipped) == (0, 4)
    frame = Store(tmp_path).frame()
    assert len(frame) == 4 and frame["score"].notna().all() and frame["error"].isna().all()
    assert set(frame["grammar"]) == {"languagetool-6.9"}


def run_with(server, mode, settings, directory):
    """Run while the server fails at every check but the first, with which the run makes sure of it."""
    server.mode = "good"
    first = threading.Event()
    plain = Server.answer

    def answer(text):
        if not first.is_set():
            first.set()
            server.mode = mode
        return plain(server, text)

    server.answer = answer
    return run(settings, directory)


def test_a_run_with_no_server_is_refused_before_any_work(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"No LanguageTool server answers at {url}"):
            run(RunSettings(grammar=f"languagetool:url={url},timeout=2"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("languagetool", "needs a server: languagetool:url=http://HOST:PORT"),
        ("languagetool:url=http://a,jar=b", "needs a server"),
        ("languagetool:url=ftp://a", "it begins with http:// or https://"),
        ("languagetool:url=http://a,timeout=0", "a number of seconds above 0"),
        ("languagetool:url=http://a,timeout=soon", "a number of seconds above 0"),
        ("languagetool:uri=http://a", "Unknown parameter of grammar backend 'languagetool': 'uri'. Did you mean 'url'"),
        ("languagetool:jar=nowhere.jar", "there is no jar nowhere.jar|needs Java"),
        ("harper:strict=true", "Unknown parameter of grammar backend 'harper': 'strict'"),
        ("harpr", "Did you mean 'harper'"),
        ("harper:x", "expected key=value"),
    ],
)
def test_a_wrong_setting_is_refused_and_changes_nothing(setting, message):
    with pytest.raises(UsageError, match=message):
        set_grammar(setting)
    assert grammar_signature().startswith("harper-")


JAVA = f"""#!{sys.executable}
import sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from http.server import ThreadingHTTPServer
import test_text_backends as tests
assert sys.argv[1:5] == ["-cp", sys.argv[2], "org.languagetool.server.HTTPServer", "--port"], sys.argv
server = tests.Server()
handler = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[5])), tests.Handler)
handler.mode, handler.checked, handler.answer = "good", [], server.answer
handler.serve_forever()
"""


def test_a_jar_is_served_by_java(tmp_path, monkeypatch):
    java, jar = tmp_path / "java", tmp_path / "languagetool-server.jar"
    java.write_text(JAVA)
    java.chmod(0o755)
    jar.write_bytes(b"")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    set_grammar(f"languagetool:jar={jar}")
    assert grammar_signature() == "languagetool-6.9"
    assert grammar.check("It is teh end.") == ["'teh': Possible spelling mistake found."]


def test_a_jar_that_does_not_start_is_refused(tmp_path, monkeypatch):
    java, jar = tmp_path / "java", tmp_path / "broken.jar"
    java.write_text("#!/bin/sh\nexit 1\n")
    java.chmod(0o755)
    jar.write_bytes(b"")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(UsageError, match="the server of .*broken.jar did not start"):
        set_grammar(f"languagetool:jar={jar}")


@pytest.fixture
def parser():
    if shutil.which("link-parser") is None:
        pytest.skip("link-parser is not installed (apt-get install link-grammar)")
    set_grammar("linkgrammar")
    yield grammar._active
    grammar._active.close()


def test_the_link_parser_finds_wrong_word_order(parser):
    assert grammar_signature().startswith("linkgrammar-5.")
    assert grammar.check("The dog runs in the park. It barks.") == []
    assert grammar.check("The dog runs in park quickly quite dark cold.")[0].endswith(
        "runs in park quickly quite dark cold."
    )
    assert grammar.check("!exit\n") == [
        "does not start with a capital",
        "does not end with a full stop, question or exclamation mark",
    ]
    assert grammar.check("!Exit now.") == []
    assert grammar.check("% Exit now!") == []


def test_a_parser_that_stopped_is_told_and_started_again(parser):
    assert grammar.check("Dogs bark.") == []
    parser._process.kill()
    with pytest.raises(JudgeError, match="link-parser: "):
        grammar.check("Dogs bark.")
    assert grammar.check("Dogs bark.") == []


def test_an_absent_parser_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="needs link-parser: apt-get install link-grammar"):
        set_grammar("linkgrammar")


def test_one_parser_judges_as_a_stand_in_says(monkeypatch, tmp_path):
    """The line protocol without Debian's package: a stand-in that finds one null in every sentence with "xx"."""
    program = tmp_path / "link-parser"
    program.write_text(
        f"""#!{sys.executable}
import sys
if "--version" in sys.argv: print("Version: link-grammar-9.9"); sys.exit()
print("timeout set to 5")
for line in sys.stdin:
    if line.startswith("!verbosity"): print("verbosity set to 1")
    elif "xx" in line: print("No complete linkages found.\\nFound 2 linkages at null count 1")
    elif "yy" in line: print("No complete linkages found.")
    else: print("Found 2 linkages (2 had no P.P. violations)")
    sys.stdout.flush()
"""
    )
    program.chmod(0o755)
    (tmp_path / "stdbuf").write_text('#!/bin/sh\nshift\nexec "$@"\n')
    (tmp_path / "stdbuf").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    set_grammar("linkgrammar")
    assert grammar_signature() == "linkgrammar-9.9"
    assert grammar.check("Well. Oh xx dear. So yy.") == ["1 words do not fit: Oh xx dear.", "no parse: So yy."]
    assert grammar.check("Fine.") == []
    grammar._active.close()


def test_harper_judges_alike_in_two_threads():
    texts = [f"She {verb} a apple." for verb in ("have", "eats", "has", "sees")] * 3
    found, harper = [None] * len(texts), Harper()

    def judge(part):
        for at in range(part, len(texts), 2):
            found[at] = harper.faults(texts[at], frozenset())

    threads = [threading.Thread(target=judge, args=(part,)) for part in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [harper.faults(text, frozenset()) for text in texts] and all(found)
