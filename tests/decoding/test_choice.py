"""Temperature, top-k, top-p, Gumbel confidence and EOS: which token a position would become."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from parallelbench.decoding import Lane, decode, parse_method
from parallelbench.decoding.choice import choose, column_of, restricted
from parallelbench.decoding.proposal import NEVER
from parallelbench.errors import UsageError
from parallelbench.models.scripted import ScriptedDenoiser, random_script

ROW = torch.tensor([[4.0, 3.0, 2.0, 1.0, NEVER]])
UNIFORM = torch.tensor([0.5])


def kept(**limits):
    return restricted(ROW, 1.0, limits.get("top_k"), limits.get("top_p")).isfinite()[0].tolist()


def test_top_k_and_top_p_keep_the_most_probable_tokens():
    assert kept() == [True] * 4 + [False]
    assert kept(top_k=2) == [True, True, False, False, False]
    assert kept(top_p=0.0) == [True, False, False, False, False]
    assert kept(top_p=0.643) == [True, False, False, False, False]  # softmax: .644, .237, .087, .032
    assert kept(top_p=0.65) == [True, True, False, False, False]
    assert kept(top_p=1.0) == [True] * 4 + [False] and kept(top_k=9, top_p=0.9) == [True, True, True, False, False]


@given(seed=st.integers(0, 99), k=st.integers(1, 6), p=st.floats(0, 1), u=st.floats(0, 0.999))
def test_samples_come_from_what_is_kept(seed, k, p, u):
    logits = torch.randn(3, 6, generator=torch.Generator().manual_seed(seed))
    method = parse_method(f"confidence:temperature=0.7,top_k={k},top_p={p}")
    seen, choice = choose(method, logits, torch.full((3,), u), None)
    assert seen.gather(-1, choice.unsqueeze(-1)).isfinite().all()
    assert (seen.isfinite().sum(-1) <= k).all()


def test_gumbel_leaves_the_scores_untempered_and_draws_the_same_tokens():
    tempered, gumbel = (parse_method(f"confidence:temperature=2,top_k=2{more}") for more in ("", ",sampling=gumbel"))
    assert torch.equal(choose(tempered, ROW, UNIFORM, None)[1], choose(gumbel, ROW, UNIFORM, None)[1])
    assert torch.equal(choose(gumbel, ROW, UNIFORM, None)[0], ROW)
    assert not torch.equal(choose(tempered, ROW, UNIFORM, None)[0], ROW)
    model = ScriptedDenoiser(random_script(0, 12, 40), 12)
    for setting in ("threshold:tau=0.3,temperature=2", "threshold:tau=0.3,temperature=2,sampling=gumbel"):
        (result,) = decode(model, [Lane("x", (1,), 16, parse_method(setting))])
        assert result.error is None


def test_eos_is_never_committed_or_last():
    never, last = parse_method("confidence:eos=never"), parse_method("confidence:eos=last")
    seen, choice = choose(never, ROW, None, 0)
    assert int(choice) == 1 and seen[0, 0] == NEVER
    alone = torch.tensor([[1.0, NEVER, NEVER]])
    assert int(choose(never, alone, None, 0)[1]) == 0  # nothing else is possible
    seen, choice = choose(last, ROW, None, 0)
    assert int(choice) == 0 and torch.softmax(seen, -1)[0, 0] == 0
    assert torch.equal(choose(last, ROW, None, None)[0], ROW)


def test_eos_comes_last_in_a_decode():
    def eager(ids):
        logits = random_script(0, 12, 40)(ids)
        logits[1:9, 10] = 50.0
        return logits

    model = ScriptedDenoiser(eager, 12)
    (plain,) = decode(model, [Lane("x", (1,), 16, parse_method("confidence:k=1"))])
    (late,) = decode(model, [Lane("x", (1,), 16, parse_method("confidence:k=1,eos=last"))])
    (none,) = decode(model, [Lane("x", (1,), 16, parse_method("confidence:k=1,eos=never"))])
    assert set(plain.commit_step[:8]) == set(range(8)) and set(late.commit_step[:8]) == set(range(8, 16))
    assert plain.tokens[:8] == late.tokens[:8] == (10,) * 8 and 10 not in none.tokens


def test_columns():
    columns = torch.tensor([2, 5, 9])
    assert column_of(5, columns) == 1 and column_of(4, columns) is None and column_of(4, None) == 4


@pytest.mark.parametrize("bad", ["top_k=0", "top_p=1.5", "sampling=other", "eos=first", "cache=none"])
def test_nonsense_is_refused(bad):
    with pytest.raises(UsageError):
        parse_method(f"confidence:{bad}")
