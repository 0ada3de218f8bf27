"""Every method of the table on random denoisers: it ends, spares what was given, leaves no mask, costs what it says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelbench.decoding import METHODS, Lane, decode, default_sweep, parse_method
from parallelbench.errors import UsageError
from parallelbench.models.golden import GoldenStub, Tables

V, G, P = 12, 16, 3
MASK = V - 1
PLAIN = [name for name, entry in METHODS.items() if "@" not in name and "policy" not in entry.requires]
VARIANTS = [name for name in METHODS if "@" in name]
TABLES = {seed: Tables.drawn(seed, V, G + P + 2) for seed in range(12)}
MAY_MASK_GIVEN = {"dus@pb", "wino@upstream"}
OTHER_CHOICES = {"punt@lsb"}
MAY_KEEP_MASKS = {"dus@pb", "klass@pb", "klass@upstream", "entropy@uncode", "margin@uncode"}


torch.set_num_threads(1)


def stub(seed):
    return GoldenStub(TABLES[seed], G + P + 2)


def setting_of(name, number, block):
    """One of the default sweep's settings that fit the block."""
    sweep = [with_block(setting, block) for setting in default_sweep(name, G)]
    fitting = [setting for setting in sweep if fits(setting)]
    return fitting[number % len(fitting)]


def with_block(setting, block):
    if block is None or "block=" in setting:
        return setting
    return f"{setting}{',' if ':' in setting else ':'}block={block}"


def fits(setting):
    try:
        parse_method(setting).check_length(G)
    except UsageError:
        return False
    return True


def prefilled(share, seed):
    generator = torch.Generator().manual_seed(seed)
    given_here = torch.rand(G, generator=generator) < share
    tokens = torch.randint(0, V - 2, (G,), generator=generator)
    return tuple(torch.where(given_here, tokens, MASK).tolist())


def lane_of(name, number, block, share, seed, label="x"):
    method = parse_method(setting_of(name, number, block))
    return Lane(label, tuple(range(1, P + 1)), G, method, seed=seed, prefill=prefilled(share, seed))


def given_stays(lane, result):
    return all(old in (MASK, new) for old, new in zip(lane.prefill, result.tokens, strict=True))


CASES = {
    "number": st.integers(0, 7), "block": st.sampled_from([None, 4, 8]), "share": st.sampled_from([0.0, 0.3, 0.7]),
    "seed": st.integers(0, 11),
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
@given(**CASES)
@settings(max_examples=8)
def test_plain_methods_finish_and_spare_what_was_given(name, number, block, share, seed):
    lane = lane_of(name, number, block, share, seed)
    (result,) = decode(stub(seed), [lane])
    masks = lane.prefill.count(MASK)
    assert result.error is None and MASK not in result.tokens and given_stays(lane, result)
    assert result.nfe <= most_forwards(lane, masks)
    assert result.rows >= result.nfe


def most_forwards(lane, masks):
    """Documented upper bounds (docs/methods.md)."""
    method, p = lane.method, lane.method.parameters
    blocks = G // (method.block or G)
    if method.name == "dus":
        return blocks * (1 + 4)
    if method.name == "remdm":
        return G + blocks * p["loops"]
    if method.name == "joint":
        return masks + blocks * (p["extra"] + 1)
    if method.name in ("p2", "diffusion_gemma"):
        return G
    if method.name == "punt":
        return masks * (1 + max(masks - 1, 0).bit_length())
    if method.name == "wino":
        return 2 * masks + 2 * blocks
    return masks


@pytest.mark.parametrize("name", VARIANTS)
@given(**CASES)
@settings(max_examples=8)
def test_published_variants_finish_or_say_why_not(name, number, block, share, seed):
    lane = lane_of(name, number, block, share, seed)
    (result,) = decode(stub(seed), [lane])
    if MASK in result.tokens:
        assert name in MAY_KEEP_MASKS or "still masked" in result.error
    if name not in MAY_MASK_GIVEN:
        assert given_stays(lane, result)


@pytest.mark.parametrize(("seed", "share", "batch"), [(0, 0.0, 64), (1, 0.4, 5)])
def test_no_method_depends_on_its_company(seed, share, batch):
    names = [name for name in (*PLAIN, *VARIANTS) for _ in range(2)]
    lanes = [lane_of(name, i % 2, 8, share, seed, label=f"{name}/{i % 2}") for i, name in enumerate(names)]

    def outcome(size):
        found = decode(stub(seed), lanes, batch_size=size)
        return {r.lane.id: (r.tokens, r.commit_step, r.revisions, r.nfe, r.rows, r.error) for r in found}

    assert outcome(batch) == outcome(1)


def test_only_variants_have_faults():
    for name in PLAIN:
        assert not parse_method(setting_of(name, 0, None)).faults, name
    for name in VARIANTS:
        assert name in OTHER_CHOICES or parse_method(setting_of(name, 0, None)).faults, name


class Prompts(GoldenStub):
    """A stub that remembers the prompts it was shown."""

    def __init__(self, seed):
        super().__init__(TABLES[seed], G + P + 2)
        self.seen = set()

    def logits(self, canvas, attention_mask, rows):
        self.seen |= {tuple(ids[:P].tolist()) for ids in canvas}
        return super().logits(canvas, attention_mask, rows)


@pytest.mark.parametrize("name", PLAIN)
@given(**CASES)
@settings(max_examples=3)
def test_plain_methods_never_touch_the_prompt(name, number, block, share, seed):
    lane, model = lane_of(name, number, block, share, seed), Prompts(seed)
    (result,) = decode(model, [lane])
    assert result.error is None and model.seen <= {lane.prompt}


def test_the_published_dawn_does():
    lane, model = Lane("x", (1, 2, 3), G, parse_method("dawn@published:low=0.05,edge=0.01,sink=1.0")), Prompts(0)
    (result,) = decode(model, [lane])
    assert result.error is None and {prompt[1:] for prompt in model.seen} == {(2, 3)} and len(model.seen) > 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("block", [4, 16])
def test_freedave_gives_the_tokens_of_one_at_a_time(seed, block):
    one, *more = (
        next(decode(stub(seed), [Lane("x", (1, 2, 3), G, parse_method(f"{name},block={block}"))]))
        for name in ("confidence:k=1", "freedave:d=1", "freedave:d=2", "freedave:d=4", "freedave:d=8")
    )
    assert {result.tokens for result in more} == {one.tokens}
    assert more[0].nfe == one.nfe and all(later.nfe <= first.nfe for first, later in zip(more, more[1:], strict=False))
    assert more[2].nfe < one.nfe and more[2].rows >= one.nfe


@pytest.mark.parametrize("seed", range(4))
def test_diffusion_gemma_ends_when_its_favourite_repeats_and_is_sure(seed):
    def found(setting):
        return next(decode(stub(seed), [Lane("x", (1, 2, 3), G, parse_method(setting))]))

    at_once, never = found("diffusion_gemma:bound=1000,sure=1000,stable=0"), found("diffusion_gemma:steps=5,sure=0")
    assert at_once.tokens == found(f"confidence:k={G}").tokens and at_once.nfe == 1
    assert never.nfe == 5
    assert found("diffusion_gemma:bound=1000,sure=1000,stable=1").nfe > 1


def test_the_published_one_begins_with_random_tokens_of_its_lane():
    setting = "diffusion_gemma@published:limit=3"
    one, again, other = (
        next(decode(stub(0), [Lane(label, (1, 2, 3), G, parse_method(setting))])) for label in ("x", "x", "y")
    )
    assert one.tokens == again.tokens != other.tokens and one.nfe == one.rows == 3
