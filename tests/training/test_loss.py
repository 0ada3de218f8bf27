import pytest
import torch

from parallelbench.models.native.network import AnswerNetwork, Size, initialise
from parallelbench.models.words import EOS, MASK
from parallelbench.training.data import Batch
from parallelbench.training.loss import EARLIEST, PROCESSES, causal, masked, times, token_losses, uniform

WRITTEN = torch.tensor([EOS, 10, 11, 12, 13])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_times_are_one_from_each_slice():
    found = sorted(times(50, generator()).tolist())
    width = (1 - EARLIEST) / 50
    for number, time in enumerate(found):
        assert EARLIEST + number * width <= time <= EARLIEST + (number + 1) * width


def test_the_weight_of_a_hidden_token_is_one_over_the_time():
    answer = torch.full((400, 30), 10)
    seen, weight = masked(answer, WRITTEN, generator())
    assert torch.equal(seen == MASK, weight > 0)
    shares = (seen == MASK).float().mean(1)
    for share, row in zip(shares, weight, strict=True):
        (value,) = set(row[row > 0].tolist()) or {1 / EARLIEST}
        assert 1 <= value <= 1 / EARLIEST + 1e-3
        # 30 throws of a coin of probability t: five standard deviations
        assert abs(share - 1 / value) < 5 * (0.25 / 30) ** 0.5
    # E[hidden / t] = 1 a token, which makes the loss a bound on the likelihood
    assert weight.mean().item() == pytest.approx(1, abs=0.08)


def test_uniform_noise_is_any_token_that_can_be_written_and_every_token_counts():
    answer = torch.full((400, 30), 10)
    seen, weight = uniform(answer, WRITTEN, generator())
    assert set(seen.unique().tolist()) == set(WRITTEN.tolist())
    assert torch.equal(weight, torch.ones_like(weight))
    # at a mean time of 0.51, four of five replacements differ
    assert (seen != 10).float().mean().item() == pytest.approx(0.51 * 0.8, abs=0.02)


def test_causal_training_counts_up_to_the_first_end():
    answer = torch.tensor([[10, 11, EOS, EOS], [10, 11, 12, EOS]])
    seen, weight = causal(answer, WRITTEN, generator())
    assert torch.equal(seen, answer)
    assert weight.tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]


def network(causal=False):
    size = Size(16, len(WRITTEN), 8, 6, width=16, layers=2, heads=2, hidden=24, causal=causal)
    made = AnswerNetwork(size, WRITTEN)
    initialise(made, generator(1), torch.linspace(0, 1, 16))
    return made


def test_losses_are_weighted_means_of_the_tokens_cross_entropies():
    answer = torch.tensor([[10, 11, EOS, EOS], [12, 13, 10, EOS]])
    prompt = torch.tensor([[0, 10, 5], [11, 12, 5]])
    batch = Batch(prompt, prompt != 0, answer, torch.tensor([0, 0]))
    seen = torch.tensor([[MASK, 11, MASK, EOS], [MASK] * 4])
    weight = torch.tensor([[2.0, 0, 2.0, 0], [1.0] * 4])
    made = network()
    log = made(prompt, batch.present, seen).detach().log_softmax(-1)
    column = {int(token): place for place, token in enumerate(WRITTEN)}
    by_hand = [
        sum(-w * log[i, j, column[int(answer[i, j])]] for j, w in enumerate(weight[i].tolist())) / 4 for i in range(2)
    ]
    assert token_losses(made, batch, seen, weight).detach().tolist() == pytest.approx(
        [float(x) for x in by_hand], rel=1e-5
    )


def test_an_autoregressive_network_sees_nothing_to_the_right():
    made = network(causal=True)
    prompt = torch.tensor([[10, 11, 5]])
    one, other = torch.tensor([[10, 11, 12, 13]]), torch.tensor([[10, 11, 10, 10]])
    first, second = (made(prompt, prompt != 0, answer) for answer in (one, other))
    assert torch.equal(first[:, :3], second[:, :3])  # row 2 says token 2 from those before it
    assert not torch.allclose(first[:, 3], second[:, 3])
    both = network()
    assert not torch.allclose(both(prompt, prompt != 0, one)[:, 0], both(prompt, prompt != 0, other)[:, 0])


def test_every_process_is_there():
    assert list(PROCESSES) == ["masked", "uniform", "causal"]
