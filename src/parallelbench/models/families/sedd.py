"""SEDD (Lou et al., arXiv 2310.16834): its network, noise schedules and graphs, in plain torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from parallelbench.errors import UsageError
from parallelbench.models.families.masks import positions_of
from parallelbench.models.families.spec import lookup_field, number, whole

FREQUENCIES = 256
NOISE_EPS = 1e-3
"""The loglinear schedule masks all but this share at time 1."""


@dataclass(frozen=True)
class SeddSizes:
    """What the network's shapes need."""

    vocab: int
    width: int
    cond: int
    blocks: int
    heads: int
    scale_by_sigma: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "SeddSizes":
        """From a config.json; absorbing noise adds the mask as one more token."""
        absorbs = lookup_field(config, "graph.type") == "absorb"
        width, heads = whole(config, "model.hidden_size"), whole(config, "model.n_heads")
        if width % heads or (width // heads) % 2:
            raise UsageError(f"config.json: hidden_size {width} gives no even width to {heads} heads.")
        return cls(
            vocab=whole(config, "tokens") + absorbs,
            width=width,
            cond=whole(config, "model.cond_dim"),
            blocks=whole(config, "model.n_blocks"),
            heads=heads,
            scale_by_sigma=bool(lookup_field(config, "model.scale_by_sigma")),
        )


class _Norm(nn.Module):
    """LayerNorm with a weight and no bias, in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.float(), (x.shape[-1],)) * self.weight


class _Embedding(nn.Module):
    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(rows, width))

    def forward(self, ids: Tensor) -> Tensor:
        return self.embedding[ids]


class _SigmaMap(nn.Module):
    """Sinusoids of the noise level, cosines first, through a small MLP."""

    def __init__(self, cond: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(FREQUENCIES, cond), nn.SiLU(), nn.Linear(cond, cond))

    def forward(self, sigma: Tensor) -> Tensor:
        half = FREQUENCIES // 2
        steps = torch.arange(half, dtype=torch.float32, device=sigma.device)
        angle = sigma[:, None].float() * torch.exp(-math.log(10000) * steps / half)
        out: Tensor = self.mlp(torch.cat([angle.cos(), angle.sin()], dim=-1))
        return out


class _Rotary(nn.Module):
    inv_freq: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("inv_freq", 1.0 / (10000 ** (torch.arange(0, width, 2).float() / width)))

    def forward(self, positions: Int[Tensor, "B L"]) -> tuple[Tensor, Tensor]:
        angle = positions[..., None].float() * self.inv_freq
        angle = torch.cat([angle, angle], dim=-1)[:, None]
        return angle.cos(), angle.sin()


def _rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * turn[0] + torch.cat([-second, first], dim=-1) * turn[1]


def _modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return x * (1 + scale) + shift


class _Block(nn.Module):
    def __init__(self, sizes: SeddSizes) -> None:
        super().__init__()
        width, self.heads = sizes.width, sizes.heads
        self.norm1, self.norm2 = _Norm(width), _Norm(width)
        self.attn_qkv = nn.Linear(width, 3 * width, bias=False)
        self.attn_out = nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))
        self.adaLN_modulation = nn.Linear(sizes.cond, 6 * width)

    def forward(self, x: Tensor, cond: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(cond)[:, None].chunk(6, dim=-1)
        qkv = self.attn_qkv(_modulate(self.norm1(x), shift1, scale1))
        query, key, value = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(_rotate(query, turn), _rotate(key, turn), value, attn_mask=mask)
        x = x + gate1 * self.attn_out(seen.transpose(1, 2).flatten(2))
        mixed: Tensor = x + gate2 * self.mlp(_modulate(self.norm2(x), shift2, scale2))
        return mixed


class _Output(nn.Module):
    def __init__(self, sizes: SeddSizes) -> None:
        super().__init__()
        self.norm_final = _Norm(sizes.width)
        self.linear = nn.Linear(sizes.width, sizes.vocab)
        self.adaLN_modulation = nn.Linear(sizes.cond, 2 * sizes.width)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(cond)[:, None].chunk(2, dim=-1)
        out: Tensor = self.linear(_modulate(self.norm_final(x), shift, scale))
        return out


class SeddModel(nn.Module):
    """The DDiT network: ids and total noise to log scores. Parameter names are the checkpoint's own."""

    def __init__(self, sizes: SeddSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.vocab_embed = _Embedding(sizes.vocab, sizes.width)
        self.sigma_map = _SigmaMap(sizes.cond)
        self.rotary_emb = _Rotary(sizes.width // sizes.heads)
        self.blocks = nn.ModuleList(_Block(sizes) for _ in range(sizes.blocks))
        self.output_layer = _Output(sizes)

    def forward(
        self, ids: Int[Tensor, "B L"], sigma: Float[Tensor, " B"], present: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B L V"]:
        """Scores log s(v | x, sigma) for every position and token; 0 at the token that stands there."""
        x = self.vocab_embed(ids)
        cond = F.silu(self.sigma_map(sigma))
        turn = self.rotary_emb(positions_of(present))
        mask = present[:, None, None, :] | ~present.any(-1)[:, None, None, None]
        for block in self.blocks:
            x = block(x, cond, turn, mask)
        out: Tensor = self.output_layer(x, cond)
        if self.sizes.scale_by_sigma:
            grown = torch.where(sigma < 0.5, torch.expm1(sigma), sigma.exp() - 1).log()
            out = out - grown[:, None, None] - math.log(out.shape[-1] - 1)
        return out.scatter(-1, ids[..., None], 0.0)


@dataclass(frozen=True)
class Noise:
    """A schedule t in [0, 1] -> total noise sigma and its rate."""

    kind: Literal["loglinear", "geometric"]
    low: float
    high: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Noise":
        """From a config.json."""
        kind = lookup_field(config, "noise.type")
        if kind not in ("loglinear", "geometric"):
            raise UsageError(f"config.json: noise.type is loglinear or geometric, got {kind!r}.")
        if kind == "loglinear":
            return cls(kind, 0.0, 0.0)
        return cls(kind, number(config, "noise.sigma_min"), number(config, "noise.sigma_max"))

    def total(self, t: Tensor) -> Tensor:
        """Noise gathered until t."""
        if self.kind == "loglinear":
            return -torch.log1p(-(1 - NOISE_EPS) * t)
        return self.low ** (1 - t) * self.high**t

    def rate(self, t: Tensor) -> Tensor:
        """Its derivative."""
        if self.kind == "loglinear":
            return (1 - NOISE_EPS) / (1 - (1 - NOISE_EPS) * t)
        return self.total(t) * math.log(self.high / self.low)


@dataclass(frozen=True)
class Graph:
    """How tokens turn into one another under noise: into the last one ("absorb"), or into any ("uniform")."""

    kind: Literal["absorb", "uniform"]
    size: int

    def transp_rate(self, ids: Int[Tensor, "B L"]) -> Float[Tensor, "B L V"]:
        """Rates into the present token from every other one."""
        if self.kind == "uniform":
            rates = torch.full((*ids.shape, self.size), 1 / self.size, device=ids.device)
            return rates.scatter(-1, ids[..., None], (1 - self.size) / self.size)
        rates = -F.one_hot(ids, self.size).float()
        return rates + (ids == self.size - 1)[..., None].float()

    def reverse_rate(self, ids: Int[Tensor, "B L"], score: Float[Tensor, "B L V"]) -> Float[Tensor, "B L V"]:
        """Rates of the reverse process."""
        rates = (self.transp_rate(ids) * score).scatter(-1, ids[..., None], 0.0)
        return rates.scatter(-1, ids[..., None], -rates.sum(-1, keepdim=True))

    def transp_transition(self, ids: Int[Tensor, "B L"], sigma: Float[Tensor, "B 1"]) -> Float[Tensor, "B L V"]:
        """Probabilities of having come to the present token from each one during noise sigma."""
        stay = (-sigma).exp()[..., None]
        if self.kind == "uniform":
            moved = ((1 - stay) / self.size).expand(*ids.shape, self.size).scatter(-1, ids[..., None], 0.0)
            return moved.scatter(-1, ids[..., None], 1 - moved.sum(-1, keepdim=True))
        edge = stay * F.one_hot(ids, self.size)
        return edge + torch.where(ids == self.size - 1, 1 - stay[..., 0], 0.0)[..., None]

    def staggered_score(self, score: Float[Tensor, "B L V"], dsigma: Float[Tensor, "B 1"]) -> Float[Tensor, "B L V"]:
        """Score of the distribution dsigma earlier (equation 18 of the paper, solved for each graph)."""
        if self.kind == "uniform":
            keep = (-dsigma).exp()[..., None]
            return (keep - 1) / (self.size * keep) * score.sum(-1, keepdim=True) + score / keep
        grown = dsigma.exp()[..., None]
        rest = (1 - grown) * score.sum(-1, keepdim=True)
        return torch.cat([score[..., :-1] * grown, score[..., -1:] * grown + rest], dim=-1)


class SeddNetwork:
    """SEDD as a denoiser's network: the score at the noise level that the share of masks stands for.

    Under absorbing noise the scores of a masked position are proportional to p(token | visible), so log scores
    are logits. Only the mask needs a noise level: t = masks / present tokens, the mean share at time t.
    """

    shift = False
    block_size = None

    def __init__(self, model: SeddModel, config: Mapping[str, Any]) -> None:
        kind = lookup_field(config, "graph.type")
        self.model, self.noise = model, Noise.of(config)
        self.graph = Graph(kind, model.sizes.vocab)
        self.vocab_size, self.dtype = model.sizes.vocab, torch.float32

    @property
    def device(self) -> torch.device:
        """Where token ids go in."""
        return self.model.vocab_embed.embedding.device

    @torch.inference_mode()
    def log_score(
        self, ids: Int[Tensor, "B L"], sigma: Float[Tensor, " B"], present: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "B L V"]:
        """Log scores at a total noise of sigma."""
        out: Tensor = self.model(ids.to(self.device), sigma.to(self.device), present.to(self.device))
        return out

    def logits(
        self, canvas: Int[Tensor, "B L"], present: Bool[Tensor, "B L"], rows: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "N V"]:
        """Log scores of the rows, at the noise of each canvas's own share of masks."""
        masks = ((canvas == self.vocab_size - 1) & present).sum(-1)
        share = masks / present.sum(-1).clamp_min(1)
        sigma = self.noise.total(share.clamp_min(NOISE_EPS))
        return self.log_score(canvas, sigma, present)[rows.to(self.device)]
