"""Traces: how one sample was decoded, forward by forward, as plain data (docs/trace.md tells every field)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from parallelbench.decoding import Lane, Method, decode, parse_method
from parallelbench.decoding.proposal import PREFILLED, UNDECIDED, Proposal
from parallelbench.errors import UsageError
from parallelbench.models.base import Denoiser
from parallelbench.models.ideal import IdealDenoiser, Special
from parallelbench.models.registry import load_denoiser
from parallelbench.runs.plan import Plan, Problem, RunSettings, problems
from parallelbench.runs.store import Store
from parallelbench.runs.work import Worker

SCHEMA = "parallelbench.trace/1"
BEST = 3
"""How many of the most probable tokens a trace keeps a position."""
DIGITS = 4
"""Decimals of probabilities."""
Trace = dict[str, Any]
_LANE = ("model", "revision", "task", "sample", "method", "setting", "kind", "seed", "profile", "numerics")
_RESULT = ("text", "score", "score_strict", "why", "nfe", "rows", "effective_tokens", "error")


@dataclass
class Recorder:
    """Writes down what the loop does with one lane: give its `inspect` and `watch` to `decode`.

    Attributes:
        mask_id: The mask token.
        ideal: Tells the exact marginals beside the model's; None where there are none.
        steps: One entry a forward.
    """

    mask_id: int
    ideal: IdealDenoiser | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    _before: list[int] = field(default_factory=list)
    _seen: dict[str, Any] = field(default_factory=dict)

    def inspect(self, lanes: Sequence[Lane], proposal: Proposal) -> None:
        """Note what the method sees before it decides."""
        (lane,) = lanes
        tokens = proposal.tokens[0].tolist()
        rows = proposal.rows[0].nonzero().squeeze(-1).tolist()
        probability = proposal.probabilities.double().cpu()
        candidate = dict(zip(rows, proposal.token[0][rows].tolist(), strict=True))
        confidence = probability.gather(-1, proposal.choice.cpu().unsqueeze(-1)).squeeze(-1).tolist()
        best = _best_of(probability, proposal.columns)
        size = len(tokens)
        self._seen = {
            "tokens": tokens,
            "block": proposal.block[0].tolist(),
            "candidate": _spread(candidate, size),
            "confidence": _spread(dict(zip(rows, map(_rounded, confidence), strict=True)), size),
            "model": _spread(dict(zip(rows, best, strict=True)), size),
            **self._exact(lane, tokens, candidate),
        }

    def watch(self, lane: Lane, region: Tensor) -> None:
        """Note what became of the canvas."""
        seen, after = self._seen, region.tolist()
        shown = seen.pop("tokens")
        before = self._before or shown
        places = range(len(after))
        replaced = [j for j in places if self.mask_id not in (shown[j], after[j]) and shown[j] != after[j]]
        filled = [j for j in places if shown[j] == self.mask_id != after[j]]
        step = {
            "step": len(self.steps),
            "block": seen["block"],
            "tokens": [None if token == self.mask_id else token for token in after],
            "committed": sorted([*filled, *replaced]),
            "replaced": replaced,
            "remasked": [j for j in places if before[j] != self.mask_id and self.mask_id in (shown[j], after[j])],
        }
        self.steps.append({**step, **seen, "distance": self._distance(lane, region)})
        self._before = after

    def _exact(self, lane: Lane, tokens: Sequence[int], candidate: Mapping[int, int]) -> dict[str, Any]:
        """The ideal denoiser's view of the same canvas."""
        if self.ideal is None:
            return {"ideal": None, "ideal_confidence": None}
        found = self.ideal.marginals(lane.prompt, tokens)
        at: dict[int, dict[int, float]] = {}
        for position, token, probability in zip(found.position, found.token, found.probability, strict=True):
            at.setdefault(int(position), {})[int(token)] = float(probability)
        ranked = {place: sorted(of.items(), key=lambda item: (-item[1], item[0]))[:BEST] for place, of in at.items()}
        best = {place: [[token, _rounded(p)] for token, p in top] for place, top in ranked.items()}
        sure = {place: _rounded(at[place].get(token, 0.0)) for place, token in candidate.items() if place in at}
        return {"ideal": _spread(best, len(tokens)), "ideal_confidence": _spread(sure, len(tokens))}

    def _distance(self, lane: Lane, region: Tensor) -> int | None:
        return None if self.ideal is None else self.ideal.distance(torch.tensor(lane.prompt), region)


def _best_of(probability: Tensor, columns: Tensor | None) -> list[list[list[float]]]:
    """The most probable tokens of each logits row as [id, probability], best first."""
    value, column = probability.topk(min(BEST, probability.shape[-1]), dim=-1)
    token = column if columns is None else columns.cpu()[column]
    return [
        [[int(t), _rounded(p)] for t, p in zip(ts, ps, strict=True) if p > 0]
        for ts, ps in zip(token.tolist(), value.tolist(), strict=True)
    ]


def _rounded(probability: float) -> float:
    return round(probability, DIGITS)


def _spread(values: Mapping[int, Any], size: int) -> list[Any]:
    return [values.get(place) for place in range(size)]


def trace(
    denoiser: Denoiser, settings: RunSettings, problem: Problem, method: Method, lane_id: str | None = None
) -> Trace:
    """Decode a sample and tell how.

    Args:
        denoiser: The model.
        settings: Say how the answer is cut and scored, and the seed.
        problem: The sample.
        method: The unmasking method.
        lane_id: What the lane's randomness comes from; the id it has in a run unless given.

    Raises:
        UsageError: the method does not fit the length, or needs what the model lacks.
    """
    spec, plan = denoiser.spec, Plan(settings, [problem])
    prompt = tuple(denoiser.encode(problem.sample.messages))
    identity = lane_id or plan.identity(spec, problem, method)
    recorder = Recorder(spec.mask_id, _ideal_beside(denoiser, problem))
    lane = Lane(identity, prompt, problem.task.max_tokens, method, settings.seed)
    (result,) = decode(denoiser, [lane], 1, watch=recorder.watch, inspect=recorder.inspect)
    row = Worker(denoiser, plan).row(result, problem)
    special = {"mask": spec.mask_id, "eos": spec.eos_id, "pad": spec.pad_id}
    return {
        **_head(row, problem.sample.messages),
        "source": "decoded",
        "special": special,
        "texts": _texts(denoiser, special, recorder.steps, result.tokens),
        "given": [j for j, step in enumerate(result.commit_step) if step == PREFILLED],
        "steps": recorder.steps,
    }


def _head(row: Mapping[str, Any], messages: Iterable[Mapping[str, str]]) -> Trace:
    """Everything of a trace but its steps, from a row of the store."""
    lane = {"id": row["lane_id"], **{name: row[name] for name in _LANE}, "max_tokens": row["max_tokens"]}
    nfe, effective = row["nfe"] or 0, row["effective_tokens"] or 0
    names = ("position", "token", "committed", "removed")
    return {
        "schema": SCHEMA,
        "source": "stored",
        "note": "",
        "lane": lane,
        "messages": [dict(message) for message in messages],
        "special": None,
        "texts": {},
        "given": [],
        "steps": [],
        "tokens": list(row["tokens"] or ()),
        "commit_step": list(row["commit_step"] or ()),
        "revisions": [dict(zip(names, revision, strict=True)) for revision in row["revisions"] or ()],
        **{name: row[name] for name in _RESULT},
        "tps": row["max_tokens"] / nfe if nfe else None,
        "effective_tps": effective / nfe if nfe else None,
    }


def _texts(
    denoiser: Denoiser, special: Mapping[str, int], steps: Sequence[Mapping[str, Any]], tokens: Iterable[int]
) -> dict[str, str]:
    """Text of every token that a trace mentions."""
    ids = set(tokens)
    for step in steps:
        ids.update(token for name in ("tokens", "candidate") for token in step[name] or () if token is not None)
        for name in ("model", "ideal"):
            ids.update(token for best in step[name] or () for token, _ in best or ())
    names = {number: f"<{name}>" for name, number in reversed(list(special.items()))}
    return {str(number): names.get(number) or denoiser.decode([number]) for number in sorted(ids)}


def _ideal_beside(denoiser: Denoiser, problem: Problem) -> IdealDenoiser | None:
    """The ideal denoiser of the same tokens, None where the answers cannot be listed."""
    spec = denoiser.spec
    special = Special(spec.mask_id, spec.eos_id, spec.pad_id)
    asked = [(problem.task, problem.sample)]
    try:
        ideal = IdealDenoiser("ideal", denoiser.tokenizer, denoiser.encode, spec.vocab_size, special, asked, 0.0)
        ideal.columns(denoiser.encode(problem.sample.messages))
    except UsageError:
        return None
    return ideal


def trace_sample(settings: RunSettings, sample: int) -> list[Trace]:
    """Traces of one sample under every method of the settings, for one model.

    Args:
        settings: One model, one task, and methods with their parameters; `samples` is not looked at.
        sample: Index of the sample.

    Raises:
        UsageError: an unknown name, several models or tasks, no such sample, or a model that decodes by itself.
    """
    methods = [parse_method(text, settings.profile) for text in settings.methods]  # no sweeps
    settings = replace(settings, samples=sample + 1)
    found = [problem for problem in problems(settings) if problem.sample.index == sample]
    if len(found) != 1:
        told = f"{len(found)} samples with index {sample}"
        raise UsageError(f"{told} in {', '.join(settings.tasks)}: name one task and a sample that it has.")
    if len(settings.models) != 1:
        raise UsageError(f"A trace is of one model, got {len(settings.models)}: {', '.join(settings.models)}.")
    denoiser = load_denoiser(settings.models[0], [(found[0].task, found[0].sample)])
    return [trace(denoiser, settings, found[0], method) for method in methods]


def trace_stored(directory: Path, lane_id: str, decode_again: bool = True) -> Trace:
    """Trace of a stored lane, decoded again where that can be done, else rebuilt from the store.

    Args:
        directory: Run directory.
        lane_id: A unique prefix of the lane's id is enough.
        decode_again: False to use nothing but the store.

    Raises:
        UsageError: no run directory, or no or several such lanes.
    """
    with Store(directory) as store:
        row = store.lane(lane_id)
        asked = {run["run_id"]: run["settings"] for run in store.runs()}.get(row["run_id"], {})
    return trace_row(row, asked, decode_again)


def trace_row(row: Mapping[str, Any], asked: Mapping[str, Any], decode_again: bool = True) -> Trace:
    """As `trace_stored`, of a row that was read already.

    Args:
        row: What `Store.lane` gives.
        asked: Settings of the run it belongs to.
        decode_again: False to use nothing but the row.
    """
    stored = from_store(row)
    if not decode_again:
        return stored
    try:
        return _decoded_again(row, asked, stored)
    except Exception as error:  # whatever keeps a model or a sample from loading: the store still has the steps
        return {**stored, "note": f"rebuilt from the store, since it cannot be decoded again: {error}"}


def _decoded_again(row: Mapping[str, Any], asked: Mapping[str, Any], stored: Trace) -> Trace:
    """The lane of a stored row decoded now; `stored` with texts where something else comes out."""
    data = asked.get("data")
    settings = RunSettings(
        models=(row["model"],), tasks=(row["task"],), methods=(row["setting"],), samples=row["sample_index"] + 1,
        seed=row["seed"], profile=row["profile"], data=None if data is None else Path(data),
    )  # fmt: skip
    found = [problem for problem in problems(settings) if problem.sample.id == row["sample"]]
    if not found:
        raise UsageError(f"the task has no sample {row['sample']} any more")
    denoiser = load_denoiser(row["model"], [(found[0].task, found[0].sample)])
    again = trace(denoiser, settings, found[0], parse_method(row["setting"], row["profile"]), row["lane_id"])
    if again["tokens"] == stored["tokens"] and again["commit_step"] == stored["commit_step"]:
        return {**again, **{name: row[name] for name in _RESULT}}
    texts = (
        {}
        if denoiser.spec.revision != row["revision"]
        else _texts(denoiser, again["special"], stored["steps"], stored["tokens"])
    )
    note = "rebuilt from the store, since decoding again gives something else now"
    return {**stored, "texts": texts, "special": again["special"], "messages": again["messages"], "note": note}


def from_store(row: Mapping[str, Any]) -> Trace:
    """Trace of a lane from its row alone: no texts of tokens, no model's view.

    Args:
        row: What `Store.lane` gives.
    """
    found = _head(row, ())
    size, commit_step = len(found["tokens"]), found["commit_step"]
    if not size or len(commit_step) != size:  # a model that decoded by itself, or a lane that never began
        return {**found, "note": "the lane has no commit steps"}
    spans = [(j, found["tokens"][j], step, None) for j, step in enumerate(commit_step) if step != UNDECIDED]
    spans += [(r["position"], r["token"], r["committed"], r["removed"]) for r in found["revisions"]]
    found["given"] = [j for j, _, step, _ in spans if step == PREFILLED]
    found["steps"] = [_rebuilt(spans, number, size) for number in range(row["nfe"] or 0)]
    return found


def _rebuilt(spans: Sequence[tuple[int, int, int, int | None]], number: int, size: int) -> dict[str, Any]:
    """One step from (position, token, committed, removed) of every token there ever was."""
    there = {j: token for j, token, begin, end in spans if begin <= number and (end is None or end > number)}
    committed = sorted(j for j, _, begin, _ in spans if begin == number)
    removed = {j for j, _, _, end in spans if end == number}
    return {
        "step": number,
        "block": None,
        "tokens": _spread(there, size),
        "committed": committed,
        "replaced": sorted(removed & set(committed)),
        "remasked": sorted(removed - set(committed)),
        **dict.fromkeys(("candidate", "confidence", "model", "ideal", "ideal_confidence", "distance")),
    }
