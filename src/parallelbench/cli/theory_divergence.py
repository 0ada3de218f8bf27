"""`pb theory divergence`: the distribution a method induces on the answers at temperature 1."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations, islice, product
from typing import Any

import numpy as np
import torch

from parallelbench.cli.theory_runs import finished, item_denoiser, item_lanes
from parallelbench.decoding import Lane, Method, parse_method
from parallelbench.decoding.peek import commits
from parallelbench.errors import UsageError
from parallelbench.settings import format_setting, parse_setting
from parallelbench.theory.distribution import HIDDEN, TableDistribution
from parallelbench.theory.divergence import State, divergence, induced
from parallelbench.theory.intervals import binomial_interval
from parallelbench.theory.subjects import Subject, listed_answers

TOP_K = ("random", "left_to_right", "confidence", "margin", "entropy")
THRESHOLDS = ("threshold", "factor", "factor@pb")
"""Methods without a memory, whose decoding tree can be followed canvas by canvas."""
BLIND = ("left_to_right", "margin", "entropy")
"""Scores that do not look at the token drawn."""
DRAWS_EACH = 50_000
"""Joint draws of one canvas that are enumerated."""
DRAWS_IN_ALL = 400_000
PORTION = 2048
RESAMPLES = 500


class TooLarge(Exception):
    """The decoding tree has too many branches."""


def measure(found: Subject, setting: str, lanes: int, seed: int) -> dict[str, Any]:
    """KL(true || induced) in bits, total variation and P(correct) of a method at temperature 1.

    Exact by enumeration of the decoding tree, else by `lanes` decodings, with 95 % intervals.

    Raises:
        UsageError: an unknown method, one that samples at another temperature, or too many answers to list.
    """
    method = _at_temperature_one(setting)
    table = listed_answers(found.parts[0][0])
    method.check_length(table.length)
    try:
        tree = Tree(table, method)
        told = vars(divergence(table.weights, induced(table, tree.moves)))
        result: dict[str, Any] = {**told, "exact": True, "intervals": {}, "lanes": None}
    except TooLarge:
        result = {**_sampled(table, method, lanes, seed), "exact": False, "lanes": lanes}
    return {"task": found.task, "n": found.n, "tokens": found.tokens, "method": method.setting, **result}


def _at_temperature_one(setting: str) -> Method:
    name, parameters = parse_setting(setting)
    if parameters.setdefault("temperature", 1) != 1:
        raise UsageError(f"{setting!r}: the induced distribution is defined at temperature 1; leave it out.")
    return parse_method(format_setting(name, parameters))


class Tree:
    """The moves of a method on exact marginals without noise: ties of scores go to the lowest position.

    Raises:
        TooLarge: from `moves`, when the joint draws are too many, or the method keeps a memory.
    """

    def __init__(self, table: TableDistribution, method: Method) -> None:
        self._table, self._method = table, method
        self._denoiser = item_denoiser(table, noise=0.0)
        self._prompt = tuple(self._denoiser.encode(()))
        self._draws = 0
        score = str(method.parameters.get("score", method.name))
        if method.name not in (*TOP_K, *THRESHOLDS) or (method.name not in TOP_K and score == "random"):
            raise TooLarge
        self._score = score

    def moves(self, state: State) -> Iterator[tuple[State, float]]:
        """The canvases one step leads to, those that fit no answer left out, with probabilities."""
        shown, step = state
        region = np.array(shown, dtype=np.int64)
        mask = self._denoiser.spec.mask_id
        lane = Lane(
            "", self._prompt, len(shown), self._method,
            prefill=tuple(mask if token == HIDDEN else int(token) for token in shown),
        )  # fmt: skip
        candidates = self._candidates(region)
        found = self._table.conditionals(region, candidates)
        options = [(found.token[found.position == j], found.probability[found.position == j]) for j in candidates]
        for after, probability in self._steps(lane, region, candidates, options):
            yield (after, step + 1), probability

    def _candidates(self, region: Any) -> Any:
        """Hidden positions of the active block, the first one that holds any."""
        hidden = (region == HIDDEN).nonzero()[0]
        size = self._method.block or len(region)
        return hidden[hidden // size == hidden[0] // size]

    def _steps(
        self, lane: Lane, region: Any, candidates: Any, options: Sequence[tuple[Any, Any]]
    ) -> Iterator[tuple[tuple[int, ...], float]]:
        if self._score == "random":
            k = min(int(self._method.parameters["k"]), len(candidates))
            chosen = [np.array(c) for c in combinations(candidates.tolist(), k)]
            for positions in chosen:
                yield from self._drawn(region, positions, 1 / len(chosen))
        elif self._score in BLIND:
            first = torch.tensor([[self._column(tokens[p.argmax()]) for tokens, p in options]])
            commit = commits(self._denoiser, lane, first)[0].numpy().nonzero()[0]
            yield from self._drawn(region, commit, 1.0)
        else:
            yield from self._seen(lane, region, candidates, options)

    def _column(self, token: int) -> int:
        return int(np.searchsorted(self._table.tokens, token))

    def _drawn(self, region: Any, positions: Any, weight: float) -> Iterator[tuple[tuple[int, ...], float]]:
        """Independent draws at fixed positions."""
        found = self._table.conditionals(region, positions)
        chance = {
            (int(j), int(v)): float(p) for j, v, p in zip(found.position, found.token, found.probability, strict=True)
        }
        fits = self._fitting(region)
        for tokens in np.unique(fits[:, positions], axis=0).tolist():
            after = region.copy()
            after[positions] = tokens
            probability = np.prod([chance[int(j), token] for j, token in zip(positions, tokens, strict=True)])
            yield tuple(after.tolist()), weight * float(probability)

    def _fitting(self, region: Any) -> Any:
        return self._table.rows[((self._table.rows == region) | (region == HIDDEN)).all(axis=1)]

    def _seen(
        self, lane: Lane, region: Any, candidates: Any, options: Sequence[tuple[Any, Any]]
    ) -> Iterator[tuple[tuple[int, ...], float]]:
        """Positions chosen after the tokens are drawn: every joint draw of the block is tried."""
        count = int(np.prod([float(len(tokens)) for tokens, _ in options]))
        self._draws += count
        if count > DRAWS_EACH or self._draws > DRAWS_IN_ALL:
            raise TooLarge
        fits = self._fitting(region)
        draws = product(*(range(len(tokens)) for tokens, _ in options))
        while portion := list(islice(draws, PORTION)):
            picks = np.array(portion)
            tokens = np.stack([options[i][0][picks[:, i]] for i in range(len(options))], axis=1)
            chance = np.prod([options[i][1][picks[:, i]] for i in range(len(options))], axis=0)
            columns = torch.from_numpy(np.searchsorted(self._table.tokens, tokens))
            commit = commits(self._denoiser, lane, columns).numpy()
            after = np.tile(region, (len(picks), 1))
            after[:, candidates] = np.where(commit[:, candidates], tokens, HIDDEN)
            distinct, number = np.unique(after, axis=0, return_inverse=True)
            mass = np.bincount(number.reshape(-1), chance)
            for row, probability in zip(distinct, mass.tolist(), strict=True):
                if ((fits == row) | (row == HIDDEN)).all(axis=1).any():
                    yield tuple(row.tolist()), probability


def _sampled(table: TableDistribution, method: Method, lanes: int, seed: int) -> dict[str, Any]:
    """Estimates from decodings: P(correct) with its exact interval, the rest with bootstrap intervals.

    KL is estimated only where every answer came up: an answer that never did may have any probability.
    """
    denoiser = item_denoiser(table, noise=0.0)
    number = {tuple(row): m for m, row in enumerate(table.rows.tolist())}
    ended = finished(denoiser, item_lanes(denoiser, table.length, method, lanes, seed))
    counts = Counter(number.get(trajectory.tokens, len(number)) for trajectory in ended)
    seen = np.array([counts[m] for m in range(len(number) + 1)])
    share = seen / lanes
    told = vars(divergence(table.weights, share[:-1])) if seen[:-1].all() else {
        **vars(divergence(table.weights, np.maximum(share[:-1], 1e-300))), "kl": None
    }  # fmt: skip
    again = np.random.default_rng(seed).multinomial(lanes, share, RESAMPLES) / lanes
    draws = [divergence(table.weights, np.maximum(row[:-1], 1e-300)) for row in again]
    intervals = {"correct": list(binomial_interval(int(seen[:-1].sum()), lanes))}
    for key in ("total_variation", *(("kl",) if told["kl"] is not None else ())):
        intervals[key] = np.quantile([getattr(d, key) for d in draws], [0.025, 0.975]).tolist()
    return {**told, "correct": float(share[:-1].sum()), "intervals": intervals}
