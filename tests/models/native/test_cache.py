import pytest
import torch

from parallelbench.decoding import Lane, decode, parse_method
from parallelbench.models.native.denoiser import NativeDenoiser
from parallelbench.models.native.network import AnswerNetwork, Size, initialise, rotary, rotate
from parallelbench.models.words import ASSISTANT, EOS, MASK, PhraseTokenizer

WORDS = PhraseTokenizer([], [*"abcdefgh", " "])
WRITTEN = torch.tensor([EOS, *(WORDS.encode(letter)[0] for letter in "abcdefgh")])
SIZE = Size(WORDS.vocab_size, len(WRITTEN), 8, 6, width=16, layers=3, heads=2, hidden=24)
ASKED = [*WORDS.encode("a b c"), ASSISTANT]
START = len(ASKED)


@pytest.fixture(scope="module")
def model():
    network = AnswerNetwork(SIZE, WRITTEN)
    initialise(network, torch.Generator().manual_seed(3), torch.linspace(0, 1, SIZE.vocabulary))
    with torch.no_grad():
        for part in (network.head, network.point_from, *(block.o for block in network.blocks)):
            part.weight.mul_(20)  # so that what is stale shows
    return NativeDenoiser("small", "1", network.eval(), WORDS)


def canvas_of(*answer):
    """The question with two columns of padding, and six answer tokens."""
    canvas = torch.tensor([[0, 0, *ASKED, *answer, *[MASK] * (6 - len(answer))]])
    present = torch.ones_like(canvas, dtype=torch.bool)
    present[:, :2] = False
    return canvas, present


def by_hand(network, stored, now, start, end):
    """Logits of the answer when answer columns [start, end) of `now` are computed alone against keys of `stored`."""
    prompt, width = torch.tensor([ASKED]), SIZE.width
    there, turn = torch.ones_like(prompt, dtype=torch.bool), rotary(START + 6, SIZE.width // SIZE.heads)
    old, new = (network._embed(prompt, there, answer) for answer in (stored, now))
    window = slice(START + start, START + end)
    new = new[:, window]
    split = lambda x: x.unflatten(-1, (SIZE.heads, -1)).transpose(1, 2)  # noqa: E731
    for block in network.blocks:
        before, normed = block.before_attention(old), block.before_attention(new)
        keys, values = block.k(before), block.v(before)
        keys[:, window], values[:, window] = block.k(normed), block.v(normed)
        query = rotate(split(block.q(normed)), turn[0][window], turn[1][window])
        scores = query @ rotate(split(keys), *turn).transpose(-1, -2) * (width // SIZE.heads) ** -0.5
        new = new + block.o((scores.softmax(-1) @ split(values)).transpose(1, 2).flatten(2))
        normed = block.before_mlp(new)
        new = new + block.down(torch.nn.functional.silu(block.gate(normed)) * block.up(normed))
        old = block(old, turn, torch.zeros(1, 1, 1, START + 6))
    old, new = network.norm(old), network.norm(new)
    logits = network.head(new)
    pointed = network.point_from(new) @ network.point_at(old[:, :START]).transpose(-1, -2) * width**-0.5
    for place, token in enumerate(ASKED):
        if (WRITTEN == token).any():
            logits[..., network.column[token]] += pointed[..., place]
    return logits[0]


@pytest.mark.parametrize("end", [6, 4], ids=["prefix", "dual"])
@torch.inference_mode()
def test_a_window_sees_stored_keys_of_everything_else(model, end):
    a, b = WORDS.encode("d")[0], WORDS.encode("e")[0]
    canvas, present = canvas_of(a)
    _, cache = model.prefill(canvas, present, canvas == MASK)
    later, _ = canvas_of(a, MASK, b)
    first, last = 2 + START + 2, 2 + START + end
    window = later[:, first:last]
    found = model.window_logits(cache, window, first, torch.ones_like(window, dtype=torch.bool))
    expected = by_hand(model.network, canvas[:, 2 + START :], later[:, 2 + START :], 2, end)
    torch.testing.assert_close(found[:, WRITTEN], expected, rtol=1e-4, atol=1e-4)
    fresh = torch.zeros_like(present)
    fresh[:, first:last] = True
    assert (found - model.logits(later, present, fresh))[:, WRITTEN].abs().max() > 0.1  # the cache is stale


@torch.inference_mode()
def test_nothing_is_stale_while_the_canvas_stays_as_it_is(model):
    canvas, present = canvas_of(WORDS.encode("d")[0])
    rows = canvas == MASK
    logits, cache = model.prefill(canvas, present, rows)
    assert torch.equal(logits, model.logits(canvas, present, rows))
    found = model.window_logits(cache, canvas[:, 2 + START :], 2 + START, rows[:, 2 + START :])
    torch.testing.assert_close(found, logits)
    later, _ = canvas_of(WORDS.encode("e")[0])
    assert not torch.equal(model.logits(later, present, rows), logits)  # no hook is left behind


def test_lanes_are_decoded_with_caches(model):
    lanes = [
        Lane(cache, tuple(ASKED), 6, parse_method(f"confidence:k=1,block=3{cache}"))
        for cache in ("", ",cache=prefix", ",cache=dual")
    ]
    found = {done.lane.id: done for done in decode(model, lanes, 3)}
    assert [done.error for done in found.values()] == [None] * 3
    assert {done.nfe for done in found.values()} == {6}
