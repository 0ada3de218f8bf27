"""APD on small networks: the verifier reads the draft from the left, and nothing else changes."""

import pytest
import torch

from parallelbench.decoding import Lane, decode, parse_method
from parallelbench.errors import UsageError
from parallelbench.models.generators.base import Request
from parallelbench.models.native.files import save_network
from parallelbench.models.native.network import AnswerNetwork, Size
from parallelbench.models.registry import load_model
from parallelbench.models.words import PhraseTokenizer
from parallelbench.tasks import load_task

BOTH = "tiny:verifier=tiny-ar"


@pytest.fixture(scope="module")
def model():
    return load_model(BOTH)


def asked(name, count):
    task = load_task(name)
    return task, task.samples(0, count)


def test_the_verdict_on_its_own_answer_is_that_answer(model):
    task, samples = asked("reverse", 3)
    judge = load_model("tiny-ar")
    for sample in samples:
        (said,) = judge.generate([Request(sample.id, sample.messages, 32, 0)], 1)
        prompt = model.encode(sample.messages)
        answer = torch.tensor([*said.tokens, *[model.spec.eos_id] * (task.max_tokens - len(said.tokens))])
        canvas = torch.cat([torch.tensor(prompt), answer])[None]
        rows = torch.arange(canvas.shape[1])[None] >= len(prompt)
        present = torch.ones_like(rows)
        verdict = model.verify(canvas, present, rows)
        assert verdict.argmax(-1)[: len(said.tokens)].tolist() == list(said.tokens)
        changed = canvas.clone()
        changed[0, len(prompt) + 5] = model.spec.mask_id
        other = model.verify(changed, present, rows)
        assert torch.equal(other[:6], verdict[:6]), "a token is judged by what is to its left"
        assert not torch.equal(other[6:9], verdict[6:9])


def test_apd_decodes_with_it_whatever_the_batch(model):
    task, samples = asked("copy", 4)
    for method in ("apd:r=0.5", "apd:r=0.9"):
        lanes = [
            Lane(sample.id, tuple(model.encode(sample.messages)), task.max_tokens, parse_method(method))
            for sample in samples
        ]
        together = {result.lane.id: result for result in decode(model, lanes)}
        for lane, sample in zip(lanes, samples, strict=True):
            (alone,) = decode(model, [lane])
            assert together[lane.id].tokens == alone.tokens and together[lane.id].nfe == alone.nfe
            assert alone.error is None and alone.nfe < 8
            assert task.score(sample, model.decode(alone.tokens)).lenient == 1.0


def test_it_is_the_denoiser_otherwise(model):
    tiny = load_model("tiny")
    assert model.spec.name == BOTH and model.spec.tasks == tiny.spec.tasks
    assert model.spec.capabilities == tiny.spec.capabilities | {"verifier"}
    assert model.spec.revision == f"{tiny.spec.revision}+{load_model('tiny-ar').spec.revision}"


def trained(directory, process, pieces):
    words = PhraseTokenizer(["Say this again:\n"], pieces)
    written = torch.tensor([1, words.encode("a")[0]])
    size = Size(words.vocab_size, 2, 8, 6, width=16, layers=1, heads=2, hidden=24, causal=process == "causal")
    save_network(directory, AnswerNetwork(size, written), words, {"process": process, "tasks": ["copy"]}, torch.float32)


def test_directories_of_pb_train_join_too_where_their_tokens_are_the_same(tmp_path):
    for name, process, pieces in (("draft", "masked", "ab"), ("judge", "causal", "ab"), ("other", "causal", "ac")):
        (tmp_path / name).mkdir()
        trained(tmp_path / name, process, pieces)
    joined = load_model(f"{tmp_path}/draft:verifier={tmp_path}/judge")
    assert "verifier" in joined.spec.capabilities and joined.spec.name == f"{tmp_path}/draft:verifier={tmp_path}/judge"
    for text, told in {
        f"{tmp_path}/draft:verifier={tmp_path}/other": "cannot verify: its tokens are not those of",
        f"{tmp_path}/judge:verifier={tmp_path}/judge": "decodes by itself",
        f"{tmp_path}/draft:verifier={tmp_path}/draft": "is no autoregressive model of `pb train`",
        "tiny:verifier=tiny": "is no autoregressive model of `pb train`; there is tiny-ar",
        "tiny:verifier=tinyar": "Did you mean 'tiny-ar'",
        "tiny-ar:verifier=tiny-ar": "Unknown parameter of tiny-ar 'verifier'",
    }.items():
        with pytest.raises(UsageError, match=told):
            load_model(text)
