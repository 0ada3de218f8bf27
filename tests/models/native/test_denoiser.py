import copy
import json
import math
from dataclasses import asdict

import pytest
import torch

from parallelbench.decoding import Lane, decode, parse_method
from parallelbench.errors import UsageError
from parallelbench.models.base import Denoiser
from parallelbench.models.native.files import is_native, load_directory, save_network
from parallelbench.models.native.network import AnswerNetwork, Size, initialise, rotary, rotate
from parallelbench.models.registry import load_denoiser
from parallelbench.models.words import ASSISTANT, EOS, FIRST_PIECE, MASK, PhraseTokenizer

WORDS = PhraseTokenizer(["Say this again:\n"], [*"abcd", ", ", "\n"])
WRITTEN = torch.tensor([EOS, *(WORDS.encode(letter)[0] for letter in "abcd")])
SIZE = Size(WORDS.vocab_size, len(WRITTEN), 8, 6, width=16, layers=2, heads=2, hidden=24)
CHAT = [{"role": "user", "content": "Say this again:\na, b"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("model")
    network = AnswerNetwork(SIZE, WRITTEN)
    rank = torch.linspace(0, 1, SIZE.vocabulary)
    initialise(network, torch.Generator().manual_seed(0), rank)
    with torch.no_grad():
        network.head.weight.mul_(30)  # so that logits differ between places
    save_network(place, network, WORDS, {"process": "masked", "tasks": ["waiting_line/copy"]}, torch.float16)
    return place


@pytest.fixture
def model(folder):
    return load_directory(folder, "small")


def canvas_of(model, prompts, regions):
    width = max(len(p) + len(r) for p, r in zip(prompts, regions, strict=True))
    rows = [[0] * (width - len(p) - len(r)) + p + r for p, r in zip(prompts, regions, strict=True)]
    canvas = torch.tensor(rows)
    present = torch.tensor(
        [
            [False] * (width - len(p) - len(r)) + [True] * (len(p) + len(r))
            for p, r in zip(prompts, regions, strict=True)
        ]
    )
    return canvas, present


def test_it_is_a_denoiser_that_reads_the_last_question(model):
    assert isinstance(model, Denoiser)
    ids = model.encode([{"role": "user", "content": "something else"}, *CHAT])
    assert ids == [*WORDS.encode("Say this again:\na, b"), ASSISTANT]
    assert ids[0] == FIRST_PIECE and len(ids) == 5  # the phrase is one token
    assert model.decode([*WORDS.encode("a, b"), EOS]) == "a, b"


def test_logits_are_those_of_the_network_alone_whatever_the_padding(model):
    one, two = model.encode(CHAT), model.encode([{"role": "user", "content": "Say this again:\na"}])
    regions = [[MASK] * 6, [WORDS.encode("d")[0], MASK, MASK]]
    canvas, present = canvas_of(model, [one, two], regions)
    rows = canvas == MASK
    found = model.logits(canvas, present, rows)
    assert found.shape == (8, WORDS.vocab_size)
    alone = []
    for prompt, region in zip((one, two), regions, strict=True):
        single, there = canvas_of(model, [prompt], [region])
        alone.append(model.logits(single, there, single == MASK))
    torch.testing.assert_close(found[:6], alone[0])
    # the shorter region of the second row reads as ended behind its last column, as it does alone only in part
    direct = model.network(torch.tensor([one]), torch.ones(1, 5, dtype=torch.bool), torch.tensor([regions[0]]))
    torch.testing.assert_close(found[:6, WRITTEN], direct[0])
    assert found[:, WORDS.encode("z")[0]].eq(-torch.inf).all()


def test_behind_its_window_a_text_has_ended(model):
    canvas, present = canvas_of(model, [model.encode(CHAT)], [[MASK] * 9])
    found = model.logits(canvas, present, canvas == MASK).softmax(-1)
    assert found[6:, EOS].tolist() == [1, 1, 1]
    assert (found[:6, EOS] < 1).all()


def test_lanes_come_out_the_same_at_every_batch_size(model):
    lanes = [
        Lane(
            f"{number}/{length}",
            tuple(model.encode([{"role": "user", "content": text}])),
            length,
            parse_method("confidence:k=1"),
        )
        for number, text in enumerate(("a", "a, b", "a, b, c, d", "b"))
        for length in (4, 6, 9)
    ]
    found = [{done.lane.id: done.tokens for done in decode(model, lanes, size)} for size in (1, 5, 12)]
    assert found[0] == found[1] == found[2]
    assert len({*found[0].values()}) > 3


def test_weights_on_disk_are_half_as_wide_and_computed_in_full(folder, model):
    assert {weight.dtype for weight in model.network.parameters()} == {torch.float32}
    assert (folder / "model.safetensors").stat().st_size < 2.2 * sum(
        w.numel() for w in model.network.parameters()
    ) + 4096
    assert is_native(json.loads((folder / "config.json").read_text()))


def test_the_registry_loads_a_trained_folder(folder):
    loaded = load_denoiser(str(folder))
    assert loaded.spec.name == str(folder) and len(loaded.spec.revision) == 12
    with pytest.raises(UsageError, match="takes no dtype"):
        load_denoiser(f"{folder}:dtype=float16")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"size": {**asdict(SIZE), "layers": 3}}, "do not make a network"),
        ({"size": {**asdict(SIZE), "vocabulary": 10}}, "do not make a network"),
        ({"size": {**asdict(SIZE), "layers": 10**12}}, "layers is 1000000000000 in the one, 2 in the other"),
        ({"size": 5}, "do not make a network"),
        ({"pieces": None}, "do not make a network"),
    ],
)
def test_files_that_do_not_fit_are_refused(folder, tmp_path, change, told):
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(UsageError, match=told):
        load_directory(tmp_path, "broken")


def test_broken_weights_are_refused(folder, tmp_path):
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    with pytest.raises(UsageError, match=r"holds no model\.safetensors"):
        load_directory(tmp_path, "broken")
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04not safetensors")
    with pytest.raises(UsageError, match="do not make a network"):
        load_directory(tmp_path, "broken")


def eager_map(network, block, x):
    """Attention [B, L, L] of a block whose input is x, by its definition, head by head."""
    normed = block.before_attention(x)
    turn, found = rotary(x.shape[1], SIZE.width // SIZE.heads), []
    for q, k in zip(block.q(normed).chunk(SIZE.heads, -1), block.k(normed).chunk(SIZE.heads, -1), strict=True):
        score = torch.einsum("bhic,bhjc->bij", rotate(q[:, None], *turn), rotate(k[:, None], *turn))
        found.append((score / math.sqrt(q.shape[-1])).softmax(-1))
    return sum(found) / SIZE.heads


@pytest.mark.parametrize("last", [1, 2])
def test_attention_is_that_of_the_last_layers_and_changes_no_logits(model, last):
    prompt = model.encode(CHAT)
    canvas, present = canvas_of(model, [prompt], [[MASK] * 6])
    logits, maps = model.attended(canvas, present, present, last)
    assert torch.equal(logits, model.logits(canvas, present, present))
    x = model.network._embed(canvas[:, :-6], present[:, :-6], canvas[:, -6:])
    expected = []
    for block in model.network.blocks:
        expected.append(eager_map(model.network, block, x))
        x = block(x, rotary(x.shape[1], SIZE.width // SIZE.heads), torch.zeros(1, 1, 1, x.shape[1]))
    torch.testing.assert_close(maps, sum(expected[-last:]) / last, atol=1e-6, rtol=0)
    torch.testing.assert_close(maps.sum(-1), torch.ones(1, canvas.shape[1]))


def test_attention_of_a_lane_does_not_depend_on_the_others(model):
    one, two = model.encode(CHAT), model.encode([{"role": "user", "content": "Say this again:\na"}])
    regions = [[MASK] * 6, [MASK] * 9]  # the second one is longer than the answer's window
    canvas, present = canvas_of(model, [one, two], regions)
    _, maps = model.attended(canvas, present, present, 2)
    for lane, (prompt, region) in enumerate(zip((one, two), regions, strict=True)):
        alone, there = canvas_of(model, [prompt], [region])
        pad = canvas.shape[1] - alone.shape[1]
        expected = model.attended(alone, there, there, 2)[1][0]
        torch.testing.assert_close(maps[lane, pad:, pad:], expected, atol=1e-6, rtol=0)
        assert not maps[lane, :pad].any() and not maps[lane, :, :pad].any()
    assert not maps[1, -3:].any() and not maps[1, :, -3:].any() and maps[1, -4].any()


def test_an_earlier_layer_answers_as_the_network_without_the_later_ones(model):
    prompt = model.encode(CHAT)
    canvas, present = canvas_of(model, [prompt], [[MASK] * 9])
    rows = canvas == MASK
    logits, agrees, probability = model.layered(canvas, present, rows, 2)
    assert torch.equal(logits, model.logits(canvas, present, rows)) and agrees.shape == probability.shape == (2, 9)
    shallow = copy.deepcopy(model)
    del shallow.network.blocks[1]
    early = shallow.logits(canvas, present, rows)
    best = logits.argmax(-1)
    assert agrees.tolist() == [(early.argmax(-1) == best).tolist(), [True] * 9]
    expected = torch.stack([answers.softmax(-1)[torch.arange(9), best] for answers in (early, logits)])
    torch.testing.assert_close(probability, expected)
    assert not agrees[0].all() and model.layered(canvas, present, rows, 1)[1].shape == (1, 9)
    assert not any(block._forward_hooks for block in model.network.blocks)


@pytest.mark.parametrize("method", ["dawn:low=0.5", "dapd_staged:high=0.4", "adas:k=2", "rpd:tau=0.6"])
def test_methods_that_look_inside_decode_with_it(model, method):
    prompts = [tuple(model.encode([{"role": "user", "content": f"Say this again:\n{text}"}])) for text in ("a, b", "c")]
    lanes = [Lane(str(i), prompt, 6, parse_method(method)) for i, prompt in enumerate(prompts)]
    together = {result.lane.id: result for result in decode(model, lanes)}
    for lane in lanes:
        (alone,) = decode(model, [lane])
        assert together[lane.id].error is None and MASK not in alone.tokens
        assert together[lane.id].tokens == alone.tokens
