"""Attention maps beside the fused forward equal transformers' own; earlier layers answer through the head."""

import pytest
import torch
from reference import checkpoint
from torch.testing import assert_close

from parallelbench.decoding import Lane, decode, parse_method
from parallelbench.errors import UsageError
from parallelbench.models.families.build import build, inspect
from parallelbench.models.families.looking import attended, layered
from parallelbench.models.families.masks import additive, allowed, positions_of
from parallelbench.models.registry import load_model
from shared import shared

WIDTH, PADS = 19, 5


def network_of(directory):
    return build(inspect(directory))


def canvases():
    ids = torch.randint(200, (3, WIDTH), generator=torch.Generator().manual_seed(1))
    present = torch.ones_like(ids).bool()
    present[1, :PADS], present[2, -3:] = False, False  # padding on the left, a canvas cut off on the right
    return ids, present


def eager_maps(network, ids, present, last):
    """transformers' own attention weights, the whole model switched to eager."""
    model = network.model.model
    kind = model.config._attn_implementation
    model.config._attn_implementation = "eager"
    try:
        out = model(
            input_ids=ids, position_ids=positions_of(present), output_attentions=True, use_cache=False,
            attention_mask=additive(allowed(present, torch.arange(WIDTH), network.block_size), network.dtype),
        )  # fmt: skip
    finally:
        model.config._attn_implementation = kind
    maps = torch.stack(out.attentions)[-last:].mean((0, 2))
    return maps * (present.unsqueeze(1) & present.unsqueeze(2))


@pytest.mark.parametrize("last", [1, 2])
@pytest.mark.parametrize("family", ["llada", "dream"])
def test_maps_equal_eager_attention_batched_and_padded(family, last):
    network = network_of(shared(f"golden/models/{family}"))
    ids, present = canvases()
    plain = network.logits(ids, present, present)
    logits, maps = attended(network, ids, present, present, last)
    assert_close(logits, plain, atol=0, rtol=0)  # watching changes nothing
    assert_close(maps, eager_maps(network, ids, present, last), atol=1e-5, rtol=0)
    assert_close(maps.sum(-1), present.float(), atol=1e-5, rtol=0)
    alone = attended(network, ids[1:2, PADS:], present[1:2, PADS:], present[1:2, PADS:], last)[1]
    assert_close(maps[1:2, PADS:, PADS:], alone, atol=1e-5, rtol=0)
    assert_close(network.logits(ids, present, present), plain, atol=0, rtol=0)


@pytest.mark.parametrize("family", ["sdar", "llada_moe", "llada2"])
def test_other_families_show_theirs_too(tmp_path, family):
    checkpoint(tmp_path, family)
    network = network_of(tmp_path)
    ids, present = canvases()
    maps = attended(network, ids, present, present, 1)[1]
    assert_close(maps, eager_maps(network, ids, present, 1), atol=1e-5, rtol=0)


def test_layers_answer_through_norm_and_head():
    network = network_of(shared("golden/models/dream"))
    ids, present = canvases()
    logits, agrees, probability = layered(network, ids, present, present, 2)
    assert_close(logits, network.logits(ids, present, present), atol=0, rtol=0)
    seen = network.model.model(
        input_ids=ids, position_ids=positions_of(present), output_hidden_states=True, use_cache=False,
        attention_mask=additive(allowed(present, torch.arange(WIDTH), None), network.dtype),
    ).hidden_states[1]  # fmt: skip
    answers = network.head(network.model.model.norm(network.pick(seen, present, present)))
    best = logits.argmax(-1)
    assert torch.equal(agrees[0], answers.argmax(-1) == best) and bool(agrees[1].all())
    assert_close(probability[0], answers.softmax(-1)[torch.arange(len(best)), best], atol=1e-6, rtol=0)
    assert_close(probability[1], logits.softmax(-1).amax(-1), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "setting", ["dawn:low=0.01", "dapd_staged:high=0.9", "adas:k=2", "rpd:tau=0.1", "punt:eps=1.0"]
)
def test_methods_that_look_decode_a_checkpoint(tmp_path, setting):
    checkpoint(tmp_path, "llada")
    model = load_model(str(tmp_path))
    lanes = [Lane(str(n), tuple(range(5, 9 + n)), 8, parse_method(setting)) for n in range(2)]
    batched = {r.lane.id: r for r in decode(model, lanes)}
    for lane in lanes:
        (alone,) = decode(model, [lane])
        assert alone.error is None and alone.tokens == batched[lane.id].tokens and alone.rows >= alone.nfe


def test_a_model_without_attention_refuses_at_the_start(tmp_path):
    checkpoint(tmp_path, "sedd_absorb")
    with pytest.raises(UsageError, match="'dawn:low=0.7' needs attention, which .* lacks"):
        list(decode(load_model(str(tmp_path)), [Lane("x", (1, 2), 4, parse_method("dawn"))]))
