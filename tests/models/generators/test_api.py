import json
import pickle
import re
import threading
import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proxy import FAULTS, anthropic_answer, openai_answer, serving

from parallelbench.errors import UsageError
from parallelbench.models.generators import http
from parallelbench.models.generators.api import load_api
from parallelbench.models.generators.base import Generator, Request
from parallelbench.models.generators.http import retry_after
from parallelbench.models.generators.secret import Secret
from parallelbench.models.registry import MODELS, load_denoiser, load_model
from parallelbench.runs.execute import run
from parallelbench.runs.plan import RunSettings
from parallelbench.runs.store import Store
from parallelbench.tasks import load_task
from parallelbench.tasks.scoring import judge

KEY = "sk-Zq7-very-secret-0123456789"
MESSAGES = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"})


def requests(count, max_tokens=16):
    return [Request(f"lane{number}", MESSAGES, max_tokens, 2**40 + number) for number in range(count)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(http, "FIRST_PAUSE", 0.005)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)


def test_an_openai_request_and_its_answer():
    with serving() as (url, proxy):
        model = load_model(f"openai:model=tiny-1,url={url}/v1")
        (answer,) = model.generate(requests(1), 8)
    assert isinstance(model, Generator)
    assert (answer.id, answer.text, answer.nfe, answer.effective, answer.error) == ("lane0", "echo 5", 7, 7, None)
    assert proxy.requests == [
        {"model": "tiny-1", "messages": list(MESSAGES), "max_tokens": 16, "temperature": 0.0, "stream": False,
         "seed": 2**40 % 2**31}
    ]  # fmt: skip
    assert proxy.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert proxy.headers[0]["Idempotency-Key"] == "lane0"


def test_the_token_limit_and_the_seed_can_be_named_as_an_endpoint_wants():
    with serving() as (url, proxy):
        model = load_model(f"openai:model=m,url={url},limit=max_completion_tokens,send_seed=false")
        list(model.generate(requests(1), 8))
    assert proxy.requests[0]["max_completion_tokens"] == 16
    assert not {"seed", "max_tokens"} & set(proxy.requests[0])


def test_an_anthropic_request_and_its_answer():
    with serving(answer=anthropic_answer) as (url, proxy):
        (answer,) = load_model(f"anthropic:model=claude,url={url}").generate(requests(1), 8)
    assert (answer.text, answer.nfe) == ("hello", 3)
    assert proxy.requests == [
        {"model": "claude", "messages": [MESSAGES[1]], "max_tokens": 16, "temperature": 0.0, "system": "Be brief."}
    ]
    assert proxy.headers[0]["X-Api-Key"] == KEY
    assert proxy.headers[0]["Anthropic-Version"] == "2023-06-01"


def test_an_endpoint_that_counts_no_tokens_is_taken_to_use_its_limit():
    with serving(answer=lambda body: {"choices": [{"message": {"content": "x"}}]}) as (url, _):
        (answer,) = load_model(f"openai:model=m,url={url}").generate(requests(1), 8)
    assert answer.nfe == 16


def patience(fault):
    """Seconds a client waits: long where no attempt is to time out, else shorter than the server hangs."""
    return 1.5 if fault == "timeout" else 30


@pytest.mark.parametrize("fault", FAULTS[:-1])
def test_each_fault_passes_with_a_second_attempt(fault):
    with serving(lambda number: fault if number == 0 else "none") as (url, proxy):
        (answer,) = load_model(f"openai:model=m,url={url},timeout={patience(fault)}").generate(requests(1), 8)
    assert answer.error is None
    assert proxy.count == 2
    assert proxy.served == {"lane0": 1}


@pytest.mark.parametrize("fault", FAULTS[:-1])
def test_a_fault_that_stays_is_a_recorded_failure(fault):
    with serving(lambda number: fault) as (url, proxy):
        (answer,) = load_model(f"openai:model=m,url={url},timeout={patience(fault)},retries=2").generate(requests(1), 8)
    assert answer.error is not None
    assert answer.error.endswith("(after 3 attempts)")
    assert proxy.count == 3
    assert KEY not in answer.error


@pytest.mark.parametrize("fault", ["400", "401", "403", "404", "redirect"])
def test_a_refusal_is_not_tried_again_and_shows_no_key(fault):
    with serving(lambda number: fault) as (url, proxy):
        (answer,) = load_model(f"openai:model=m,url={url}").generate(requests(1), 8)
    assert proxy.count == 1
    assert answer.error.startswith("HTTP 302" if fault == "redirect" else f"HTTP {fault}")
    assert KEY not in answer.error
    assert fault == "redirect" or "***" in answer.error


def test_a_retry_after_beyond_patience_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(http, "LONGEST_ADVICE", 0.001)
    with serving(lambda number: "429") as (url, proxy):
        (answer,) = load_model(f"openai:model=m,url={url}").generate(requests(1), 8)
    assert proxy.count == 1
    assert "HTTP 429" in answer.error


def test_an_answer_without_end_is_cut_off(monkeypatch):
    monkeypatch.setattr(http, "ANSWER_LIMIT", 100)
    with serving(answer=lambda body: {"padding": "x" * 1000}) as (url, _):
        (answer,) = load_model(f"openai:model=m,url={url},retries=0").generate(requests(1), 8)
    assert "too large" in answer.error


def test_no_more_requests_fly_than_allowed_and_all_that_may():
    together = threading.Barrier(3)

    def answer(body):
        together.wait(60)  # fewer than three in flight would never be answered
        time.sleep(0.05)  # room for a fourth
        return openai_answer(body)

    with serving(answer=answer) as (url, proxy):
        model = load_model(f"openai:model=m,url={url},concurrency=3")
        answers = list(model.generate(requests(12), 64))
    assert proxy.most_flying == 3
    assert sorted(answer.id for answer in answers) == sorted(request.id for request in requests(12))


def test_requests_a_minute_are_spaced(monkeypatch):
    """While a clock stands still, each request but the first waits for its turn, whichever thread sends it."""
    waits = []
    monkeypatch.setattr(http, "time", SimpleNamespace(monotonic=lambda: 100.0))
    with serving() as (url, proxy):
        model = load_model(f"openai:model=m,url={url},rpm=1200")
        monkeypatch.setattr(model._endpoint, "_wait", waits.append)
        answers = list(model.generate(requests(5), 8))
    assert sorted(waits) == pytest.approx([place * 60 / 1200 for place in range(1, 5)])
    assert proxy.count == 5 and all(answer.error is None for answer in answers)


@given(st.floats(0, 1e6))
def test_retry_after_in_seconds(seconds):
    assert retry_after(str(seconds)) == seconds


def test_retry_after_in_words():
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert 3500 < retry_after(time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3600))) <= 3600
    assert retry_after(None) is None
    assert retry_after("soon") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("openai", "needs the model's name"),
        ("openai:model=m,concurrency=0", "concurrency from 1"),
        ("openai:model=m,retries=-1", "retries must be"),
        ("openai:model=m,timeout=never", "timeout must be"),
        ("openai:model=m,modle=x", "Did you mean 'model'"),
        ("openai:model=m,url=ftp://host", "http:// or https://"),
        ("openai:model=m,url=http://", "name a host"),
        ("anthropic:model=m,key_env=MISSING_VARIABLE", "MISSING_VARIABLE holds no API key"),
    ],
)
def test_bad_settings_are_refused(text, problem):
    with pytest.raises(UsageError, match=re.escape(problem)):
        load_model(text)


@pytest.mark.parametrize(
    "text",
    [
        f"openai:model=m,key_env={KEY}",
        f"openai:model=m,{KEY}",
        f"openai:{KEY}",
        f"openai:model=m,api_key={KEY}",
        f"openai:model=m,url=http://me:{KEY}@host/v1",
        f"openai:model=m,url=http://host/v1?key={KEY}",
        f"openai:model=m,url=http://host/#{KEY}",
    ],
)
def test_a_key_in_the_wrong_place_is_refused_and_not_repeated(text):
    with pytest.raises(UsageError) as caught:
        load_model(text)
    assert KEY not in str(caught.value)


def test_a_key_hides_itself():
    secret = Secret(KEY)
    assert KEY not in repr(secret) + str(secret) + f"{secret}"
    assert secret.hide(f"no {KEY}, Bearer abc or sk-abc***def") == "no ***, *** or ***"
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(secret)


def test_how_fast_it_is_asked_is_no_part_of_a_models_name():
    with serving() as (url, _):
        plain = load_model(f"openai:model=m,url={url}")
        hurried = load_model(f"openai:model=m,url={url},concurrency=9,retries=0,timeout=5,rpm=100")
    assert plain.spec == hurried.spec
    assert replace(plain.spec, name="x") != plain.spec


def test_a_generator_is_no_denoiser():
    with serving() as (url, _), pytest.raises(UsageError, match="nothing to unmask"):
        load_denoiser(f"openai:model=m,url={url}")


def test_every_provider_is_in_the_table():
    assert {"openai", "anthropic", "smollm2"} < set(MODELS)
    assert load_api("openai", {**MODELS["openai"].parameters, "model": "m"}).spec.name == "openai:model=m"


def chaos(number):
    """Two requests in three meet a fault, every kind in turn."""
    return "none" if number % 3 == 2 else FAULTS[number % len(FAULTS)]


def settings(url, **changes):
    text = f"openai:model=m,url={url},timeout={patience('timeout')},concurrency=8,retries=1"
    return RunSettings(models=(text,), tasks=("waiting_line/copy", "waiting_line/sort"), samples=10, **changes)


def test_a_run_through_a_faulty_endpoint_records_everything_and_resumes(tmp_path):
    with serving(chaos) as (url, proxy):
        first = run(settings(url), tmp_path)
        assert first.decoded == 20
        assert 0 < first.failed < 20
        with Store(tmp_path) as store:
            lanes = store.frame()
        finished = set(lanes.loc[lanes["error"].isna(), "lane_id"])
        asked = Counter(headers["Idempotency-Key"] for headers in proxy.headers)
        rounds = 0
        while (again := run(settings(url), tmp_path)).failed and rounds < 20:
            rounds += 1
        assert again.skipped + again.decoded == 20
        with Store(tmp_path) as store:
            frame = store.frame()
    assert len(frame) == 20
    assert frame["error"].isna().all()
    assert (frame["nfe"] == 7).all()
    assert (frame["max_tokens"] == 7).all()  # one token a forward: tokens per step is 1
    assert set(frame["setting"]) == {"autoregressive"}
    assert len(finished) == 20 - first.failed
    assert all(1 <= asked[lane] <= 2 for lane in finished), "more attempts than the first and one retry"
    again_asked = Counter(headers["Idempotency-Key"] for headers in proxy.headers) - asked
    assert again_asked and not finished & again_asked.keys(), "a finished sample was asked for again"


def test_a_finished_run_asks_nothing(tmp_path):
    with serving() as (url, proxy):
        run(settings(url), tmp_path)
        before = proxy.count
        assert run(settings(url), tmp_path).skipped == 20
    assert proxy.count == before == 20


def test_no_key_reaches_store_errors_output_or_report(tmp_path, capsys):
    def leaking(body):
        return {"choices": [{"message": {"content": f"your key is {KEY}"}}], "usage": {"completion_tokens": 3}}

    from parallelbench.cli.main import run_app

    args = ["run", "--task", "waiting_line/copy", "--samples", "12", "--out", str(tmp_path / "out"), "--json"]
    with serving(lambda number: "401" if number % 3 == 0 else "none", answer=leaking) as (url, proxy):
        code = call(run_app, [*args, "--model", f"openai:model=m,url={url}"])
    assert code == 1  # some lanes failed, and say so
    assert any(KEY in headers["Authorization"] for headers in proxy.headers)
    shown = capsys.readouterr()
    assert json.loads(shown.out)
    assert KEY not in shown.out + shown.err
    stored = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert stored
    assert not any(KEY.encode() in data for data in stored)
    with Store(tmp_path / "out") as store:
        texts = [store.lane(lane)["text"] for lane in store.frame()["lane_id"]]
    assert "your key is ***" in texts


def test_a_model_behind_an_endpoint_judges_answers(tmp_path, capsys):
    from parallelbench.cli.main import app

    samples = load_task("summarization").samples(0, 2)
    rows = [{"index": sample.index, "prediction": sample.answer} for sample in samples]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = []

    def strict(body):
        asked.append(body)
        better = samples[1].answer in body["messages"][-1]["content"]  # answers are judged in any order
        text = f"It leaves something out.\nRating: {4 if better else 3}"
        return {"choices": [{"message": {"role": "assistant", "content": text}}], "usage": {"completion_tokens": 9}}

    with serving(answer=strict) as (url, _):
        words = ["score", "summarization", "--predictions", str(tmp_path / "answers.jsonl"), "--json"]
        assert call(app, [*words, "--judge", f"openai:model=m,url={url}"]) == 0
        judge.set_judge(None)
    found = json.loads(capsys.readouterr().out)
    assert [row["parts"]["judge"] for row in found["samples"]] == [0.5, 0.75] and found["score"] == 100
    assert f"judge:openai:model=m,url={url}" in found["signature"]
    assert [body["max_tokens"] for body in asked] == [512, 512]
    for sample in samples:
        assert sum(sample.answer in body["messages"][-1]["content"] for body in asked) == 1


def call(app, arguments):
    """Exit code of the command line in this process."""
    import sys
    from unittest import mock

    with mock.patch.object(sys, "argv", ["pb", *arguments]), pytest.raises(SystemExit) as ended:
        app()
    return ended.value.code
