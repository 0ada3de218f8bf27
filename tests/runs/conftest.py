from collections.abc import Callable

import pytest
import torch

from parallelbench.models import registry
from parallelbench.models.base import DenoiserSpec
from parallelbench.models.scripted import NumberTokenizer
from parallelbench.models.words import WordTokenizer


class Babbler:
    """A denoiser with random-looking logits whose every answer reads as `say` wants."""

    def __init__(self, name: str, say: Callable[[list[int]], str], fail: Callable[[], bool] = lambda: False) -> None:
        self._say, self._fail = say, fail
        self.tokenizer = NumberTokenizer()
        self.spec = DenoiserSpec(name=name, revision="1", vocab_size=9, mask_id=8, eos_id=7, pad_id=7)

    def encode(self, messages):
        return WordTokenizer([]).encode_chat(messages)

    def decode(self, ids):
        return self._say(list(ids))

    def logits(self, canvas, attention_mask, rows):
        if self._fail():
            raise ArithmeticError("the model broke")
        place = rows.nonzero()[:, 1]
        return torch.cos(place[:, None] * torch.arange(1, 10)).float()


@pytest.fixture
def babbler(monkeypatch):
    """Put a model `babbler` into the table of models; give it what it says and when it fails."""

    def add(say=lambda ids: "", fail=lambda: False, name="babbler"):
        entry = registry.ModelEntry(name, "", {}, lambda name, parameters, problems: Babbler(name, say, fail))
        monkeypatch.setitem(registry.MODELS, name, entry)
        return name

    return add
