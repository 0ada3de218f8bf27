"""Caches as capabilities: what a window costs less, it may not cost in correctness."""

import pytest
import torch
from reference import checkpoint
from torch.testing import assert_close

from parallelbench.errors import UsageError
from parallelbench.models.registry import load_model

WIDTH, BLOCK = 20, 4


def canvases(rows=2, pads=3, seed=0):
    """Random canvases, the second one shorter and padded on the left."""
    ids = torch.randint(250, (rows, WIDTH), generator=torch.Generator().manual_seed(seed))
    present = torch.ones_like(ids).bool()
    present[1:, :pads] = False
    return ids, present


def everywhere(ids):
    return torch.ones_like(ids).bool()


@pytest.mark.parametrize("family", ["sdar", "llada2", "fast_dllm_v2"])
@pytest.mark.parametrize("pads", [0, 4])
def test_the_block_cache_is_exact(tmp_path, family, pads):
    checkpoint(tmp_path, family, **{"bd_size" if family == "fast_dllm_v2" else "block_size": BLOCK})
    model = load_model(str(tmp_path))
    assert "block_cache" in model.spec.capabilities
    ids, present = canvases(pads=pads)
    full = model.logits(ids, present, everywhere(ids)).view(2, WIDTH, -1)
    before = 2 * BLOCK
    logits, cache = model.prefill(ids[:, :before], present[:, :before], everywhere(ids[:, :before]))
    assert_close(
        logits.view(2, before, -1)[present[:, :before]], full[:, :before][present[:, :before]], atol=1e-4, rtol=0
    )
    for start in range(before, WIDTH, BLOCK):
        block = ids[:, start : start + BLOCK]
        noise = model.window_logits(cache, (block + 1) % 250, start, everywhere(block))  # a draft leaves no trace
        assert not torch.allclose(noise.view(2, BLOCK, -1), full[:, start : start + BLOCK])
        found = model.window_logits(cache, block, start, everywhere(block), store=True)
        assert_close(found.view(2, BLOCK, -1), full[:, start : start + BLOCK], atol=1e-4, rtol=0)
    assert cache.present.shape == (2, WIDTH)


@pytest.mark.parametrize("family", ["llada", "dream", "llada_moe"])
def test_a_window_over_an_unchanged_canvas_changes_nothing(tmp_path, family):
    checkpoint(tmp_path, family)
    model = load_model(str(tmp_path))
    assert {"prefix_cache", "dual_cache"} <= model.spec.capabilities
    ids, present = canvases()
    full, cache = model.prefill(ids, present, everywhere(ids))
    full = full.view(2, WIDTH, -1)
    for start, end in ((8, WIDTH), (8, 12), (4, 5)):
        window = ids[:, start:end]
        found = model.window_logits(cache, window, start, everywhere(window))
        assert_close(found.view(2, end - start, -1), full[:, start:end], atol=1e-4, rtol=0)


def test_stale_entries_are_seen_and_own_ones_replaced(tmp_path):
    checkpoint(tmp_path, "llada")
    model = load_model(str(tmp_path))
    old, present = canvases()
    new = old.clone()
    new[:, 8:12] = (new[:, 8:12] + 7) % 250
    _, cache = model.prefill(old, present, everywhere(old))
    exact = model.logits(new, present, everywhere(new)).view(2, WIDTH, -1)[:, 8:12]
    window = new[:, 8:12]
    stale = model.window_logits(cache, window, 8, everywhere(window)).view(2, 4, -1)
    assert not torch.allclose(stale, exact, atol=1e-2)  # the columns around were computed with the old block
    again = model.window_logits(cache, window, 8, everywhere(window), store=True).view(2, 4, -1)
    assert_close(again, stale)
    rest = new[:, 12:]
    assert not torch.allclose(
        model.window_logits(cache, rest, 12, everywhere(rest)),
        model.window_logits(model.prefill(old, present, everywhere(old))[1], rest, 12, everywhere(rest)),
    )  # what was stored is what later windows see


def test_a_cache_may_begin_empty(tmp_path):
    checkpoint(tmp_path, "sdar")
    model = load_model(str(tmp_path))
    ids, present = canvases(pads=0)
    none = ids[:, :0]
    _, cache = model.prefill(none, present[:, :0], none.bool())
    first = model.window_logits(cache, ids[:, :BLOCK], 0, everywhere(ids[:, :BLOCK]), store=True)
    second = model.window_logits(cache, ids[:, BLOCK : 2 * BLOCK], BLOCK, everywhere(ids[:, :BLOCK]))
    full = model.logits(ids, present, everywhere(ids)).view(2, WIDTH, -1)
    assert_close(
        torch.cat([first.view(2, BLOCK, -1), second.view(2, BLOCK, -1)], 1), full[:, : 2 * BLOCK], atol=1e-4, rtol=0
    )


def test_sedd_has_no_cache(tmp_path):
    checkpoint(tmp_path, "sedd_absorb")
    model = load_model(str(tmp_path))
    assert not model.spec.capabilities
    ids, present = canvases()
    with pytest.raises(UsageError, match="no key-value cache"):
        model.prefill(ids, present, everywhere(ids))


@pytest.mark.parametrize("family", ["llada", "dream", "sdar", "llada_moe", "llada2", "fast_dllm_v2", "sedd_absorb"])
def test_padding_moves_nothing(tmp_path, family):
    checkpoint(tmp_path, family)
    model = load_model(str(tmp_path))
    ids, present = canvases(rows=3)
    together = model.logits(ids, present, present).split([int(row.sum()) for row in present])
    for row, mask, found in zip(ids, present, together, strict=True):
        alone = row[mask][None]
        assert_close(found, model.logits(alone, everywhere(alone), everywhere(alone)), atol=1e-4, rtol=0)
