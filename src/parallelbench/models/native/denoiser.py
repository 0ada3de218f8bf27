"""A trained `AnswerNetwork` as a denoiser."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from parallelbench.models.base import DenoiserSpec, Message, Tokenizer
from parallelbench.models.lens import agreement
from parallelbench.models.native.cache import Cache, exchanged, recorded
from parallelbench.models.native.network import AnswerNetwork
from parallelbench.models.words import ASSISTANT, EOS, MASK, PAD, PhraseTokenizer

ABLE = frozenset({"prefix_cache", "dual_cache", "attention", "layers"})


class NativeDenoiser:
    """A small network that answers the last question of a chat.

    Capabilities: "prefix_cache" and "dual_cache", by `prefill` and `window_logits`; "attention" and "layers".

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
        self.network, self.words = network, tokenizer
        self.tokenizer: Tokenizer = tokenizer
        self.spec = DenoiserSpec(
            name=name, revision=revision, vocab_size=tokenizer.vocab_size, mask_id=MASK, eos_id=EOS, pad_id=PAD,
            capabilities=ABLE, tasks=tasks,
        )  # fmt: skip

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """The last turn alone: the network was trained without worked examples."""
        return [*self.words.encode(messages[-1]["content"]), ASSISTANT]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids."""
        return self.tokenizer.decode(ids)

    @torch.inference_mode()
    def logits(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "N V"]:
        """Logits of the positions in `rows`; behind the answer's window every position is the end of the text."""
        begins, *seen = self._split(canvas, attention_mask)
        return self._spread(self.network(*seen), rows, begins)

    @property
    def depth(self) -> int:
        """Number of layers."""
        return self.network.size.layers

    @torch.inference_mode()
    def attended(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"], last: int
    ) -> tuple[Float[Tensor, "N V"], Float[Tensor, "B L L"]]:
        """`logits`, and the attention of the last so many layers, averaged over them and their heads.

        0 for padding and for positions behind the answer's window.
        """
        begins, *seen = self._split(canvas, attention_mask)
        looks: list[Tensor] = []
        logits = self._spread(self.network(*seen, looks), rows, begins)
        mean = torch.stack(looks[-last:]).mean(0)
        place = torch.arange(canvas.shape[1]) - (begins - seen[0].shape[1])[:, None]
        there = attention_mask & (place >= 0) & (place < mean.shape[1])
        lane, place = torch.arange(len(canvas))[:, None, None], place.clamp(0, mean.shape[1] - 1)
        return logits, mean[lane, place[:, :, None], place[:, None, :]] * (there[:, :, None] & there[:, None, :])

    @torch.inference_mode()
    def layered(
        self, canvas: Int[Tensor, "B L"], attention_mask: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"], last: int
    ) -> tuple[Float[Tensor, "N V"], Bool[Tensor, "D N"], Float[Tensor, "D N"]]:
        """`logits`; which of the last layers agree on the favourite token; what they give to the last one's."""
        begins, prompt, present, answer = self._split(canvas, attention_mask)
        states: list[Tensor] = []
        hooks = [block.register_forward_hook(lambda *call: states.append(call[-1])) for block in self.network.blocks]
        try:
            logits = self._spread(self.network(prompt, present, answer), rows, begins)
        finally:
            for hook in hooks:
                hook.remove()
        earlier = (self._spread(self.network.read(x, prompt, present), rows, begins) for x in states[-last:-1])
        return logits, *agreement(logits, earlier)

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

    def _split(self, canvas: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Where the answers begin; prompts aligned at their ends, with what is present of them; answers."""
        begins, first = _begins(canvas), attention_mask.int().argmax(-1)
        place = begins[:, None] - torch.arange(int((begins - first).max()), 0, -1)
        present = place >= first[:, None]
        prompt = torch.where(present, canvas.gather(1, place.clamp_min(0)), PAD)
        # The full window whatever the canvas, or an answer would depend on the longer ones of its batch.
        place = begins[:, None] + torch.arange(self.network.size.answer)
        answer = torch.where(place < canvas.shape[1], canvas.gather(1, place.clamp_max(canvas.shape[1] - 1)), EOS)
        return begins, prompt, present, answer

    def _spread(self, said: Tensor, rows: Tensor, begins: Tensor) -> Tensor:
        """Logits [N, V] of `rows` from those of the answers' windows."""
        lane, column = rows.nonzero(as_tuple=True)
        asked = column - begins[lane]
        out = torch.full((len(lane), self.spec.vocab_size), -torch.inf)
        known = asked < said.shape[1]
        out[known.nonzero(), self.network.written] = said[lane[known], asked[known]].float()
        out[~known, EOS] = 0.0
        return out


def _begins(canvas: Int[Tensor, "B L"]) -> Int[Tensor, " B"]:
    """The column at which each answer begins."""
    return (canvas == ASSISTANT).int().argmax(-1) + 1
