import itertools

import pytest
import torch

from parallelbench.errors import UsageError
from parallelbench.models.generators.base import Generator, GeneratorSpec, Request
from parallelbench.models.native.files import load_directory, save_network
from parallelbench.models.native.network import AnswerNetwork, Size, initialise
from parallelbench.models.native.samplers import STEPS, CausalSampler, UniformSampler, earlier
from parallelbench.models.words import ASSISTANT, EOS, PhraseTokenizer

WORDS = PhraseTokenizer([], ["a", "b", "c", "d", " "])
WRITTEN = torch.tensor([EOS, *(WORDS.encode(letter)[0] for letter in "abcd")])


def network(causal=False, seed=0):
    size = Size(WORDS.vocab_size, len(WRITTEN), 8, 6, width=16, layers=2, heads=2, hidden=24, causal=causal)
    made = AnswerNetwork(size, WRITTEN)
    initialise(made, torch.Generator().manual_seed(seed), torch.linspace(0, 1, size.vocabulary))
    with torch.no_grad():
        made.head.weight.mul_(30)
        made.point_from.weight.mul_(30)  # so that answers differ with the question
    return made.eval()


def requests(count=6, length=6):
    texts = [" ".join(letters[: 1 + place % 2]) for place, letters in enumerate(itertools.permutations("abcd"))][:count]
    return [Request(f"{i}", [{"role": "user", "content": text}], length, i) for i, text in enumerate(texts)]


def test_an_autoregressive_answer_is_the_likeliest_next_token_again_and_again():
    made = network(causal=True)
    model = CausalSampler(GeneratorSpec("x", "1"), made, WORDS)
    for answer in model.generate(requests(), 4):
        prompt = torch.tensor([[*WORDS.encode(requests()[int(answer.id)].messages[0]["content"]), ASSISTANT]])
        by_hand = []
        while len(by_hand) < 6 and (not by_hand or by_hand[-1] != EOS):
            canvas = torch.tensor([[*by_hand, EOS]])
            said = made(prompt, torch.ones_like(prompt, dtype=torch.bool), canvas)[0, len(by_hand)]
            by_hand.append(int(WRITTEN[said.argmax()]))
        assert list(answer.tokens) == by_hand
        assert answer.nfe == answer.effective == len(by_hand)


@pytest.mark.parametrize("kind", ["causal", "uniform"])
def test_answers_do_not_depend_on_their_company(kind):
    spec = GeneratorSpec("x", "1", parameters={"steps": 4})
    model = (CausalSampler if kind == "causal" else UniformSampler)(spec, network(causal=kind == "causal"), WORDS)
    found = [{answer.id: answer.tokens for answer in model.generate(requests(), size)} for size in (1, 4, 6)]
    assert found[0] == found[1] == found[2]
    assert len(set(found[0].values())) > 1


def test_a_uniform_answer_takes_its_steps_and_is_as_random_as_its_seed():
    spec = GeneratorSpec("x", "1", parameters={"steps": 5})
    model = UniformSampler(spec, network(), WORDS)
    first, again = (list(model.generate(requests(), 6)) for _ in range(2))
    assert [answer.tokens for answer in first] == [answer.tokens for answer in again]
    assert {answer.nfe for answer in first} == {5}
    short = next(iter(model.generate(requests(1, length=3), 1)))
    assert len(short.tokens) == 3
    assert all(token in WRITTEN for answer in first for token in answer.tokens)


def test_the_step_back_in_time_is_bayes_rule():
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(2, 3, 4, generator=generator).softmax(-1)
    now = torch.tensor([[0, 1, 2], [3, 3, 0]])
    t, s = 0.8, 0.5
    kept, kept_before = 1 - t, 1 - s

    def q(i, j, keep):
        return keep * (i == j) + (1 - keep) / 4

    for b, a in itertools.product(range(2), range(3)):
        x = int(now[b, a])
        by_hand = [
            sum(clean[b, a, j] * q(x, i, kept / kept_before) * q(i, j, kept_before) / q(x, j, kept) for j in range(4))
            for i in range(4)
        ]
        found = earlier(clean, now, t, s)[b, a]
        assert found.tolist() == pytest.approx([float(value) for value in by_hand], rel=1e-5)
        assert float(found.sum()) == pytest.approx(1, rel=1e-5)


def test_what_a_folder_loads_as_is_told_by_its_process(tmp_path):
    for process, kind in (("causal", CausalSampler), ("uniform", UniformSampler)):
        facts = {"process": process, "tasks": ["waiting_line/copy"]}
        save_network(tmp_path / process, network(process == "causal"), WORDS, facts, torch.float32)
        model = load_directory(tmp_path / process, process)
        assert isinstance(model, Generator) and isinstance(model, kind)
        assert model.spec.tasks == {"waiting_line/copy"}
    assert model.spec.parameters == {"steps": STEPS} and model.spec.setting == f"ancestral:steps={STEPS}"
    assert load_directory(tmp_path / "uniform", "x", 7).spec.parameters == {"steps": 7}
    with pytest.raises(UsageError, match="uniform diffusion"):
        load_directory(tmp_path / "causal", "x", 7)
    save_network(tmp_path / "odd", network(), WORDS, {"process": "odd", "tasks": []}, torch.float32)
    with pytest.raises(UsageError, match="process 'odd'"):
        load_directory(tmp_path / "odd", "x")
