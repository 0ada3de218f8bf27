import pytest
import torch
from torch import nn

from parallelbench.training.optimizer import BETAS, EPSILON, Optimizer, average, learning_rate, orthogonal


def test_newton_schulz_makes_all_singular_values_about_one():
    made = orthogonal(torch.randn(3, 20, 50, generator=torch.Generator().manual_seed(0)))
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.65 and values.max() < 1.25
    tall = orthogonal(torch.randn(2, 50, 20, generator=torch.Generator().manual_seed(0)))
    assert tall.shape == (2, 50, 20) and torch.linalg.svdvals(tall).max() < 1.25


def test_the_directions_of_a_matrix_are_kept():
    q, _ = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(1)))
    (made,) = orthogonal((3 * q).unsqueeze(0))
    assert torch.cosine_similarity(made.flatten(), q.flatten(), dim=0) > 0.999


def test_what_is_no_block_matrix_takes_steps_of_adamw():
    torch.manual_seed(0)
    ours, theirs = nn.Linear(5, 4), nn.Linear(5, 4)
    theirs.load_state_dict(ours.state_dict())
    optimizer = Optimizer(ours)
    reference = torch.optim.AdamW(theirs.parameters(), lr=0.01, betas=BETAS, eps=EPSILON, weight_decay=0)
    for number in range(1, 6):
        x = torch.randn(8, 5)
        for model in (ours, theirs):
            model(x).square().sum().backward()
        optimizer.step(number, 0.01)
        reference.step()
        reference.zero_grad()
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)


def test_muon_updates_block_matrices_by_as_much_as_adamw_would():
    torch.manual_seed(0)
    model = nn.ModuleDict({"blocks": nn.ModuleList([nn.Linear(32, 64, bias=False)]), "head": nn.Linear(2, 2)})
    before = model["blocks"][0].weight.detach().clone()
    model["blocks"][0].weight.grad = torch.randn(64, 32)
    optimizer = Optimizer(model)
    assert [name for name in optimizer.state if "blocks" in name] == ["momentum/blocks.0.weight"]
    optimizer.step(1, 0.01)
    change = model["blocks"][0].weight - before * (1 - 0.01 * 0.05)
    assert change.square().mean().sqrt().item() == pytest.approx(0.2 * 0.01, rel=0.2)
    assert model["blocks"][0].weight.grad is None


@pytest.mark.parametrize(("done", "rate"), [(0, 0), (0.05, 0.5), (0.1, 1), (0.6, 1), (0.8, 0.51), (1, 0.02)])
def test_the_learning_rate_warms_up_stays_and_falls(done, rate):
    assert learning_rate(done, 0.1, 1.0) == pytest.approx(rate)


def test_the_average_forgets_at_its_rate():
    kept, now = torch.ones(3), torch.zeros(3)
    average([kept], [now], 0.9)
    torch.testing.assert_close(kept, torch.full((3,), 0.9))
