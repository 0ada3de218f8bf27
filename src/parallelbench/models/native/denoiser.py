"""A trained `AnswerNetwork` as a denoiser."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from parallelbench.models.base import DenoiserSpec, Message, Tokenizer
from parallelbench.models.native.cache import Cache, exchanged, recorded
from parallelbench.models.native.network import AnswerNetwork
from parallelbench.models.words import ASSISTANT, EOS, MASK, PAD, PhraseTokenizer

CACHES = frozenset({"prefix_cache", "dual_cache"})


class NativeDenoiser:
    """A small network that answers the last question of a chat.

    Capabilities: "prefix_cache" and "dual_cache", by `prefill` and `window_logits`.

    Args:
        name: Canonical model string.
        revision: Digest of the weights.
        network: The network, in evaluation mode.
        tokenizer: Its tokenizer.
        tasks: What it was trained on.
    """

    def __init__(
        self,
        name: str,
        revision: str,
        network: AnswerNetwork,
        tokenizer: PhraseTokenizer,
        tasks: frozenset[str] | None = None,
    ) -> None:
        self.network, self._words = network, tokenizer
        self.tokenizer: Tokenizer = tokenizer
        self.spec = DenoiserSpec(
            name=name, revision=revision, vocab_size=tokenizer.vocab_size, mask_id=MASK, eos_id=EOS, pad_id=PAD,
            capabilities=CACHES, tasks=tasks,
        )  # fmt: skip

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """The last turn alone: the network was trained without worked examples."""
        return [*self._words.encode(messages[-1]["content"]), ASSISTANT]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids."""
        return self.tokenizer.decode(ids)

    @torch.inference_mode()
    def logits(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "N V"]:
        """Logits of the positions in `rows`; behind the answer's window every position is the end of the text."""
        begins = _begins(canvas)
        prompt, present = self._prompts(canvas, attention_mask, begins)
        # The full window whatever the canvas, or an answer would depend on the longer ones of its batch.
        window = self.network.size.answer
        place = begins[:, None] + torch.arange(window)
        inside = place < canvas.shape[1]
        answer = torch.where(inside, canvas.gather(1, place.clamp_max(canvas.shape[1] - 1)), EOS)
        said = self.network(prompt, present, answer)
        lane, column = rows.nonzero(as_tuple=True)
        asked = column - begins[lane]
        out = torch.full((len(lane), self.spec.vocab_size), -torch.inf)
        known = asked < window
        out[known.nonzero(), self.network.written] = said[lane[known], asked[known]].float()
        out[~known, EOS] = 0.0
        return out

    def prefill(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"]
    ) -> tuple[Float[Tensor, "N V"], Cache]:
        """`logits`, and the keys and values of every column."""
        with recorded(self.network) as kept:
            logits = self.logits(canvas, attention_mask, rows)
        return logits, Cache(canvas.clone(), attention_mask, kept)

    def window_logits(
        self, cache: Cache, window: Int[Tensor, "B W"], start: int, rows: Bool[Tensor, "B W"]
    ) -> Float[Tensor, "N V"]:
        """Logits of `rows` in columns [start, start + W) of the answer; all other columns are as they were stored."""
        end = start + window.shape[1]
        canvas, wanted = cache.canvas.clone(), torch.zeros_like(cache.present)
        canvas[:, start:end], wanted[:, start:end] = window, rows
        begins = _begins(canvas)
        column = begins[:, None] + torch.arange(self.network.size.answer)
        fresh = (column >= start) & (column < end)
        prompts = int((begins - cache.present.int().argmax(-1)).max())
        with exchanged(self.network, cache.kept, F.pad(fresh, (prompts, 0))):
            return self.logits(canvas, cache.present, wanted)

    def _prompts(self, canvas: Tensor, attention_mask: Tensor, begins: Tensor) -> tuple[Tensor, Tensor]:
        """Prompts aligned at their ends, with what is present of them."""
        first = attention_mask.int().argmax(-1)
        place = begins[:, None] - torch.arange(int((begins - first).max()), 0, -1)
        present = place >= first[:, None]
        prompt = canvas.gather(1, place.clamp_min(0))
        return torch.where(present, prompt, PAD), present


def _begins(canvas: Int[Tensor, "B L"]) -> Int[Tensor, " B"]:
    """The column at which each answer begins."""
    return (canvas == ASSISTANT).int().argmax(-1) + 1
