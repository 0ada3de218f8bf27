"""Caches, leave-one-out forwards, verifiers and guidance: what methods may ask of a model beside its logits."""

from dataclasses import replace

import pytest
import torch

from parallelbench.decoding import Lane, decode, parse_method
from parallelbench.errors import UsageError
from parallelbench.models.golden import GoldenStub, Tables
from parallelbench.models.guidance import GuidedDenoiser
from parallelbench.models.scripted import ScriptedDenoiser, random_script

V, G = 12, 16
MASK = V - 1
TABLES = Tables.drawn(1, V, G + 8)


def run(model, setting, prompt=(1, 2, 3), prefill=None):
    (result,) = decode(model, [Lane("x", prompt, G, parse_method(setting), prefill=prefill)])
    return result


@pytest.mark.parametrize("cache", ["prefix", "dual"])
def test_a_stale_cache_shows_and_a_fresh_one_does_not(cache):
    plain, stale = (
        run(GoldenStub(TABLES, G + 8, context=True), f"confidence:k=2,block=8{c}") for c in ("", f",cache={cache}")
    )
    assert stale.error is None and stale.nfe == plain.nfe and stale.tokens != plain.tokens
    exact = GoldenStub(TABLES, G + 8, context=False)
    assert run(exact, f"confidence:k=2,block=8,cache={cache}").tokens == run(exact, "confidence:k=2,block=8").tokens


def test_each_block_starts_with_a_full_forward_and_goes_on_with_its_window():
    seen = []

    class Watching(GoldenStub):
        def prefill(self, canvas, attention_mask, rows):
            seen.append(("full", canvas.shape[1]))
            return super().prefill(canvas, attention_mask, rows)

        def window_logits(self, cache, window, start, rows):
            seen.append((start, window.shape[1]))
            return super().window_logits(cache, window, start, rows)

    run(Watching(TABLES, G + 8), "confidence:k=4,block=8,cache=prefix")
    assert seen == [("full", 19), (3, 16), ("full", 19), (11, 8)]
    seen.clear()
    run(Watching(TABLES, G + 8), "confidence:k=4,block=8,cache=dual")
    assert seen == [("full", 19), (3, 8), ("full", 19), (11, 8)]


def test_a_cache_is_refused_where_it_cannot_be():
    with pytest.raises(UsageError, match="looks at its own block only"):
        parse_method("klass:cache=dual")
    with pytest.raises(UsageError, match="needs prefix_cache, which 'scripted' lacks"):
        run(ScriptedDenoiser(random_script(0, V, 40), V), "confidence:k=2,cache=prefix")


class BlockCausal(ScriptedDenoiser):
    """Every position sees the tokens up to the end of its own block of four; the cache is the tokens themselves."""

    def __init__(self):
        inner = random_script(5, V, 40)

        def script(ids):
            ends = [min(len(ids), (place // 4 + 1) * 4) for place in range(len(ids))]
            return torch.stack([torch.from_numpy(inner(ids[:end])[place]) for place, end in enumerate(ends)]).numpy()

        super().__init__(script, V)
        self.spec = replace(self.spec, block_size=4, capabilities=frozenset({"block_cache"}))
        self.calls = []

    def prefill(self, canvas, attention_mask, rows):
        self.calls.append(("prefill", canvas.shape[1]))
        return self.logits(canvas, attention_mask, rows), [canvas.clone()]

    def window_logits(self, cache, window, start, rows, store=False):
        self.calls.append(("store" if store else "window", start, window.shape[1]))
        canvas = torch.cat([cache[0][:, :start], window], dim=1)
        assert not (canvas[:, :start] == MASK).any(), "the cache holds a block that was not final"
        if store:
            cache[0] = canvas
        whole = torch.cat([torch.zeros_like(canvas[:, :start], dtype=torch.bool), rows], dim=1)
        return self.logits(canvas, torch.ones_like(canvas, dtype=torch.bool), whole)


@pytest.mark.parametrize("length", [4, 5, 3])
@pytest.mark.parametrize("setting", ["block_static:k=2", "block_dynamic:tau=0.3", "block_sequential:k=1"])
def test_the_block_cache_is_exact(length, setting):
    prompt = tuple(range(1, length + 1))
    plain, cached = run(BlockCausal(), setting, prompt), run(BlockCausal(), f"{setting},cache=block", prompt)
    assert cached.tokens == plain.tokens and cached.error is None
    blocks = len({(length + place) // 4 for place in range(G)})
    prefill = 1 if length >= 4 else 0
    assert cached.nfe == plain.nfe + prefill + blocks - 1


@pytest.mark.parametrize("setting", ["threshold:tau=0.3,block=8", "confidence:k=2,block=2", "margin:k=4"])
def test_the_block_cache_is_exact_at_any_block_of_the_method(setting):
    method = f"{setting}{'' if 'block' in setting else ',block=8'}"
    plain, cached = (run(BlockCausal(), method + more, (1, 2, 3, 4, 5)) for more in ("", ",cache=block"))
    assert cached.tokens == plain.tokens and cached.error is None and cached.nfe > plain.nfe


def test_block_diffusion_counts_its_blocks_from_the_prompt():
    result = run(BlockCausal(), "block_sequential:k=4", prompt=(1, 2, 3, 4, 5))
    assert list(result.commit_step) == [0] * 3 + [1] * 4 + [2] * 4 + [3] * 4 + [4]


def test_without_a_shadow_block_the_token_is_hidden_and_the_canvas_counted():
    asked = []

    class Watching(ScriptedDenoiser):
        def logits(self, canvas, attention_mask, rows):
            asked.append(canvas.clone())
            return super().logits(canvas, attention_mask, rows)

    result = run(Watching(random_script(2, V, 40), V), "wino:tau=0.2,back=0.99")
    assert result.error is None and result.rows > result.nfe and result.revisions
    hidden = asked[2::2]  # the first forward has nothing to leave out
    assert sum(map(len, hidden)) == result.rows - result.nfe
    for before, canvases in zip(asked[1::2], hidden, strict=True):
        changed = canvases != before
        assert (changed.sum(-1) == 1).all() and (canvases[changed] == MASK).all()


def test_a_verifier_that_agrees_lets_everything_pass_and_one_that_objects_a_token_at_a_time():
    class Agreeing(GoldenStub):
        def verify(self, canvas, attention_mask, rows):
            return torch.nn.functional.one_hot(canvas[rows], V).float() * 100

    class Objecting(GoldenStub):
        def verify(self, canvas, attention_mask, rows):
            return torch.nn.functional.one_hot((canvas[rows] + 1) % (V - 1), V).float() * 1000

    assert run(Agreeing(TABLES, G + 8), "apd:r=0.5").nfe == 1
    slow = run(Objecting(TABLES, G + 8), "apd:r=0.5")
    assert slow.nfe == G and list(slow.commit_step) == list(range(G))


def test_guidance_pushes_away_from_the_masked_prompt():
    model = ScriptedDenoiser(random_script(0, V, 40), V)
    guided = GuidedDenoiser(model, 1.5)
    assert guided.spec.name == "scripted+cfg=1.5"
    canvas = torch.tensor([[1, 2, 3] + [MASK] * 4])
    present, rows = torch.ones_like(canvas, dtype=torch.bool), torch.tensor([[False] * 3 + [True] * 4])
    prompt = torch.tensor([[True] * 3 + [False] * 4])
    with_prompt = model.logits(canvas, present, rows)
    without = model.logits(torch.where(prompt, MASK, canvas), present, rows)
    found = guided.guided_logits(canvas, present, rows, prompt)
    assert torch.allclose(found[:, :MASK], (without + 2.5 * (with_prompt - without))[:, :MASK])
    assert run(GuidedDenoiser(model, 0.0), "confidence:k=2").tokens == run(model, "confidence:k=2").tokens
    assert run(guided, "confidence:k=2").tokens != run(model, "confidence:k=2").tokens
    assert torch.equal(guided.logits(canvas, present, rows), with_prompt)
    assert run(guided, "confidence:k=2").rows == 2 * run(guided, "confidence:k=2").nfe
    with pytest.raises(UsageError, match="needs shadow"):
        run(guided, "wino")


def test_a_model_that_knows_its_prompts_by_heart_cannot_be_guided():
    model = ScriptedDenoiser(random_script(0, V, 40), V)
    model.spec = replace(model.spec, capabilities=frozenset({"columns"}))
    with pytest.raises(UsageError, match="no answer to a masked prompt"):
        GuidedDenoiser(model, 1.0)
