"""The ideal denoiser: exact, for every task and any tokenizer, noise included."""

import copy
from itertools import combinations, islice

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from parallelbench.decoding import Lane, decode, parse_method
from parallelbench.errors import UsageError
from parallelbench.models.ideal import IdealDenoiser, Special, _frame, distribution_of, normal_hash
from parallelbench.models.registry import load_model, word_tokenizer
from parallelbench.tasks import TASKS, load_task
from parallelbench.tasks.base import Answers, Orderings
from parallelbench.theory.dependence import edge_auc, edge_order, pairwise_information
from parallelbench.theory.distribution import HIDDEN, TableDistribution
from parallelbench.theory.orderings import OrderingDistribution


class Letters:
    """A tokenizer of single characters, shifted past its special tokens."""

    def encode(self, text):
        return [ord(c) for c in text]

    def decode(self, ids):
        return "".join(chr(i) for i in ids if i > 2)


class Pairs(Letters):
    """Two characters a token wherever they fall, so that pieces do not line up with list items."""

    def encode(self, text):
        return [
            ord(text[i]) * 256 + ord(text[i + 1]) if i + 1 < len(text) else ord(text[i]) for i in range(0, len(text), 2)
        ]

    def decode(self, ids):
        return "".join((chr(i // 256) if i > 255 else "") + chr(i % 256) for i in ids if i > 2)


def ideal(task, samples, noise=0.0, tokenizer=None):
    words = word_tokenizer()
    if tokenizer is None:
        return load_model(f"ideal:noise={noise}", [(task, s) for s in samples])
    chat = lambda messages: words.encode_chat(messages)  # noqa: E731
    return IdealDenoiser("test", tokenizer, chat, 1 << 16, Special(2, 1, 0), [(task, s) for s in samples], noise)


def logits(model, prompt, region, positions):
    canvas = torch.tensor([[*prompt, *region]])
    rows = torch.zeros_like(canvas, dtype=torch.bool)
    rows[0, len(prompt) + torch.tensor(positions)] = True
    return model.logits(canvas, torch.ones_like(rows), rows)


@pytest.mark.parametrize("name", TASKS)
def test_the_first_step_shows_the_exact_marginals(name):
    task = TASKS[name]()
    (sample,) = task.samples(1, 1)
    model = ideal(task, [sample])
    prompt = model.encode(sample.messages)
    found = logits(model, prompt, [model.spec.mask_id] * task.max_tokens, list(range(task.max_tokens))).exp()
    columns = model.columns(prompt)
    expected = torch.zeros_like(found)
    support = list(task.support(sample))
    for text, weight in support:
        ids = model.tokenizer.encode(text)
        for j, token in enumerate([*ids, *[model.spec.eos_id] * (task.max_tokens - len(ids))]):
            expected[j, (columns == token).nonzero()] += weight / sum(w for _, w in support)
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("n", [2, 6, 7, 8, 15])
@pytest.mark.parametrize("setting", ["random:k=1", "confidence:k=1", "left_to_right:k=1", "threshold:tau=1"])
def test_shuffles_of_every_size_come_out_right_one_token_a_step(n, setting):
    if n == 15 and setting != "random:k=1":
        setting = "threshold:tau=0.95"
    task = load_task(f"shuffle@n={n}")
    (sample,) = task.samples(0, 1)
    model = ideal(task, [sample], noise=1e-3)
    lane = Lane("x", tuple(model.encode(sample.messages)), task.max_tokens, parse_method(setting))
    (result,) = decode(model, [lane])
    text = model.decode(result.tokens[: result.tokens.index(model.spec.eos_id)])
    assert result.error is None and result.distance == 0
    assert task.score(sample, text).strict == 1


@pytest.mark.parametrize("name", ["waiting_line/shuffle@n=4", "puzzle/sudoku", "waiting_line/insert_random@n=3"])
@pytest.mark.parametrize("tokenizer", [Letters(), Pairs()], ids=["letters", "pairs"])
def test_any_tokenizer_will_do(name, tokenizer):
    task = load_task(name)
    task_view = longer(task)
    samples = task.samples(0, 2)
    model = ideal(task_view, samples, 1e-3, tokenizer)
    method = parse_method("random:k=1")
    for sample in samples:
        (result,) = decode(model, [Lane(sample.id, tuple(model.encode(sample.messages)), task_view.max_tokens, method)])
        text = model.decode([t for t in result.tokens if t != 1])
        assert task.score(sample, text).lenient == 1, text


def longer(task):
    """The task with room for answers in letters."""
    roomy = copy.copy(task)
    object.__setattr__(roomy, "max_tokens", 128)
    return roomy


def test_sums_over_orders_equal_listed_orders_with_the_real_tokenizer():
    words = word_tokenizer()
    support = Orderings(("Ada Hill", "Bea Hill", "Ada Young", "Cy Ford", "Dan Oak", "Eve Ray", "Fay Lee"))
    summed = distribution_of(support, words, 1, 40)
    listed = distribution_of(Answers(dict(support)), words, 1, 40)
    rng = np.random.default_rng(0)
    for _ in range(20):
        region = np.where(rng.random(40) < 0.2, listed.rows[rng.integers(len(listed.rows))], HIDDEN)
        region[rng.integers(40)] = rng.choice(listed.tokens)  # now and then off the support
        a, b = (d.conditionals(region, np.arange(40)) for d in (summed, listed))
        assert a.distance == b.distance
        assert np.array_equal(a.position, b.position) and np.array_equal(np.sort(a.token), np.sort(b.token))
        keys = [
            sorted(zip(x.position.tolist(), x.token.tolist(), x.probability.round(9).tolist(), strict=True))
            for x in (a, b)
        ]
        assert keys[0] == keys[1]


def test_a_tokenizer_that_splits_across_items_is_refused_where_orders_must_be_summed():
    support = Orderings(tuple(f"Nam{i} Long" for i in range(8)))
    with pytest.raises(ValueError, match="does not split a list at its separators"):
        distribution_of(support, Pairs(), 1, 200)


def test_too_many_items_and_too_long_answers_are_refused():
    with pytest.raises(ValueError, match="go to 16 items, the list has 17"):
        distribution_of(Orderings(tuple(f"N{i} L" for i in range(17))), Letters(), 1, 500)
    with pytest.raises(ValueError, match="has 3 tokens, the region 2"):
        distribution_of(Answers.of("abc"), Letters(), 1, 2)


def test_a_canvas_off_the_support_gets_the_nearest_answers_and_is_flagged():
    task = load_task("copy@n=3")
    (sample,) = task.samples(0, 1)
    model = ideal(task, [sample])
    prompt = model.encode(sample.messages)
    right = model.tokenizer.encode(sample.answer)
    region = [*right, *[1] * (task.max_tokens - len(right))]
    region[1], region[2] = region[2], model.spec.mask_id
    found = logits(model, prompt, region, [2])
    assert model.columns(prompt)[found.argmax()] == right[2]
    assert model.distance(torch.tensor(prompt), torch.tensor(region)) == 1


def test_an_unknown_prompt_is_refused():
    task = load_task("copy")
    model = ideal(task, task.samples(0, 1))
    with pytest.raises(UsageError, match="belongs to none of the 1 known samples"):
        model.columns([1, 2, 3])


def test_noise_depends_on_lane_position_and_token_and_is_standard_normal():
    rng = np.random.default_rng(0)
    seed, position, token = rng.integers(0, 2**62, 20_000), rng.integers(0, 64, 20_000), rng.integers(0, 9000, 20_000)
    noise = normal_hash(seed, position, token)
    assert np.array_equal(noise, normal_hash(seed, position, token))
    assert abs(noise.mean()) < 0.03 and abs(noise.std() - 1) < 0.03 and np.abs(noise).max() < 6
    for other in (
        normal_hash(seed + 1, position, token),
        normal_hash(seed, position + 1, token),
        normal_hash(seed, position, token + 1),
    ):
        assert abs(np.corrcoef(noise, other)[0, 1]) < 0.03


def test_noise_breaks_ties_and_leaves_certainty_alone():
    task = load_task("shuffle@n=4")
    (sample,) = task.samples(0, 1)
    method = parse_method("confidence:k=1")
    for noise, most in ((0.0, 1), (1e-3, 24)):
        model = ideal(task, [sample], noise)
        prompt = tuple(model.encode(sample.messages))
        lanes = [Lane(str(i), prompt, task.max_tokens, method) for i in range(20)]
        texts = {model.decode(r.tokens) for r in decode(model, lanes)}
        assert len(texts) == 1 if most == 1 else len(texts) > 5


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_results_do_not_depend_on_batch_size_order_or_sharing(batch_size, share):
    settings = ("random:k=4", "threshold:tau=0.6", "entropy:k=4,temperature=1", "factor:f=1.3,block=16")
    methods = [parse_method(text) for text in settings]
    tasks = [load_task(t) for t in ("shuffle", "insert_random", "words_to_sentence/easy")]
    pairs = [(task, sample) for task in tasks for sample in task.samples(0, 2)]
    model = load_model("ideal", pairs)
    lanes = [
        Lane(f"{sample.id}{method.setting}", tuple(model.encode(sample.messages)), task.max_tokens, method)
        for task, sample in pairs
        for method in methods
    ]
    expected = getattr(test_results_do_not_depend_on_batch_size_order_or_sharing, "expected", None)
    order = np.random.default_rng(batch_size).permutation(len(lanes))
    found = {
        r.lane.id: (r.tokens, r.commit_step, r.nfe, r.distance, r.error)
        for r in decode(model, [lanes[i] for i in order], batch_size, share)
    }
    if expected is None:
        expected = {
            r.lane.id: (r.tokens, r.commit_step, r.nfe, r.distance, r.error) for r in decode(model, lanes, 1, False)
        }
        test_results_do_not_depend_on_batch_size_order_or_sharing.expected = expected
    assert found == expected and all(outcome[-1] is None for outcome in expected.values())


@pytest.mark.parametrize("name", [n for n in TASKS if TASKS[n]().parallel])
@pytest.mark.parametrize(
    "setting", ["random:k=32", "confidence:k=8", "margin:k=32", "entropy:k=32", "left_to_right:k=32"]
)
def test_tasks_with_one_answer_lose_nothing_at_any_speed(name, setting):
    task = TASKS[name]()
    samples = task.samples(0, 4)
    assert all(len(list(islice(task.support(s), 2))) == 1 for s in samples)
    model = ideal(task, samples, 1e-3)
    lanes = [Lane(s.id, tuple(model.encode(s.messages)), task.max_tokens, parse_method(setting)) for s in samples]
    by_id = {s.id: s for s in samples}
    for result in decode(model, lanes):
        text = model.decode([t for t in result.tokens if t != model.spec.eos_id])
        assert task.score(by_id[result.lane.id], text).strict == 1


def test_noise_stays_while_a_logit_does_and_is_fresh_when_it_changes():
    task = load_task("waiting_line/shuffle@n=4")
    model = ideal(task, list(islice(task.samples(0, 1), 1)), noise=0.5)
    seeds, positions, columns = torch.tensor([7, 7]), torch.tensor([0, 0]), torch.tensor([3, 5, 8])
    same = model.perturb(torch.tensor([[-1.0, -2.0, -3.0], [-1.0, -2.5, -torch.inf]]), seeds, positions, columns)
    assert same[0, 0] == same[1, 0] and same[1, 2] == -torch.inf
    noise = same - torch.tensor([[-1.0, -2.0, -3.0], [-1.0, -2.5, -3.0]])
    assert noise[0, 1] != noise[1, 1]


def test_leftover_positions_are_as_lucky_as_others():
    """Noise that stayed would leave the unlucky for last: 7 % correct instead of the half that chance gives."""
    own, new, n = np.arange(10, 16), 50, 6
    rows = np.where(np.eye(n, dtype=bool), new, own)
    model = IdealDenoiser("items", Letters(), lambda messages: [99], 100, Special(2, 1, 0), (), 1e-5)
    model.learn((), TableDistribution(rows, [1.0] * n))
    lanes = [Lane(str(i), (99,), n, parse_method("confidence:k=2")) for i in range(400)]
    right = sum((np.array(result.tokens) == rows).all(-1).any() for result in decode(model, lanes))
    assert abs(right / len(lanes) - 0.5) < 3.3 * 0.5 / len(lanes) ** 0.5  # 99.9 % of a binomial


def mutual_information(rows, weights, region, i, j):
    """I(y_i; y_j | visible) in bits by its definition, from listed answers."""
    fits = [k for k, row in enumerate(rows) if all(v in (HIDDEN, row[p]) for p, v in enumerate(region))]
    total, joint = sum(weights[k] for k in fits), {}
    for k in fits:
        joint[rows[k][i], rows[k][j]] = joint.get((rows[k][i], rows[k][j]), 0.0) + weights[k] / total
    left, right = {}, {}
    for (a, b), p in joint.items():
        left[a], right[b] = left.get(a, 0.0) + p, right.get(b, 0.0) + p
    return sum(p * np.log2(p / (left[a] * right[b])) for (a, b), p in joint.items())


@pytest.mark.parametrize("seed", range(5))
def test_pairwise_information_is_what_its_definition_says(seed):
    rng = np.random.default_rng(seed)
    rows = np.unique(rng.integers(0, 3, (9, 5)), axis=0)
    weights = rng.dirichlet(np.ones(len(rows))).tolist()
    region = np.where(rng.random(5) < 0.3, rows[0], HIDDEN)
    found = pairwise_information(TableDistribution(rows, weights), region)
    hidden = [i for i in range(5) if region[i] == HIDDEN]
    for i in range(5):
        for j in range(5):
            told = mutual_information(rows.tolist(), weights, region, i, j) if i != j and {i, j} <= {*hidden} else 0.0
            assert found[i, j] == pytest.approx(told, abs=1e-9)


def test_orders_without_a_list_have_the_same_dependencies():
    support = Orderings(("ab", "cd", "ef", "gh"), "[", "]", ",")
    listed = distribution_of(support, Letters(), 1, 14)
    summed = OrderingDistribution(_frame(support, Letters(), 1), 14)
    region = np.full(14, HIDDEN)
    assert isinstance(listed, TableDistribution)
    for known in (region, np.where(np.arange(14) == 1, ord("c"), HIDDEN)):
        assert pairwise_information(summed, known) == pytest.approx(pairwise_information(listed, known), abs=1e-9)


def test_the_ideal_model_shows_dependencies_where_others_show_attention():
    task = load_task("shuffle")
    sample = task.samples(0, 2)[1]
    model = ideal(task, [sample])
    prompt = model.encode(sample.messages)
    canvas = torch.tensor([[*prompt, *[model.spec.mask_id] * task.max_tokens]])
    padded = torch.cat([torch.full((1, 3), model.spec.pad_id), canvas], dim=1)
    rows, present = torch.zeros_like(padded).bool(), torch.arange(padded.shape[1]).unsqueeze(0) >= 3
    rows[0, -task.max_tokens :] = True
    shown, maps = model.attended(padded, present, rows, 1)
    assert torch.equal(shown, model.logits(padded, present, rows))
    answers = distribution_of(task.support(sample), model.tokenizer, model.spec.eos_id, task.max_tokens)
    exact = pairwise_information(answers, np.full(task.max_tokens, HIDDEN))
    assert exact.max() > 1 and not maps[0, : -task.max_tokens].any() and not maps[0, :, : -task.max_tokens].any()
    assert maps[0, -task.max_tokens :, -task.max_tokens :].numpy() == pytest.approx(exact, abs=1e-6)


def test_a_canvas_cut_off_behind_the_block_has_the_same_marginals():
    task = load_task("shuffle")
    (sample,) = task.samples(0, 1)
    model = ideal(task, [sample])
    whole, cut = (next(decode(model, [Lane("x", tuple(model.encode(sample.messages)), 32, parse_method(m))]))
                  for m in ("threshold:tau=0.95,block=8", "threshold@sglang:tau=0.95,block=8"))  # fmt: skip
    assert whole.error is None and whole.tokens == cut.tokens and cut.nfe == whole.nfe + 4


@pytest.mark.parametrize(
    ("score", "edge", "auc"),
    [((3, 1, 2), (1, 0, 0), 1.0), ((1, 3, 2), (1, 0, 0), 0.0), ((1, 1, 1), (1, 1, 0), 0.5),
     ((2, 2, 1), (1, 0, 0), 0.75), ((1, 2, 3), (0, 0, 0), None), ((1, 2, 3), (1, 1, 1), None)],
)  # fmt: skip
def test_auc_counts_pairs_in_the_right_order(score, edge, auc):
    def symmetric(values):
        out = np.zeros((3, 3))
        out[np.triu_indices(3, 1)] = values
        return out + out.T

    assert edge_auc(symmetric(score), symmetric(edge) > 0) == auc


@given(st.integers(3, 9), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_the_order_of_ties_is_the_rank_correlation_over_them(size, levels, seed):
    rng = np.random.default_rng(seed)
    score, bits = (np.triu(rng.integers(levels + 1, size=(size, size)) / 7.0, 1) for _ in range(2))
    score, bits = score + score.T, bits + bits.T
    pairs = pd.DataFrame([(score[i, j], bits[i, j]) for i, j in combinations(range(size), 2) if bits[i, j] > 0.1])
    expected = pairs[0].rank().corr(pairs[1].rank()) if len(pairs) and pairs.nunique().min() > 1 else None
    assert edge_order(score, bits, bits > 0.1) == (expected if expected is None else pytest.approx(expected))
