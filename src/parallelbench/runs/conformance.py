"""Golden decoder traces: cases made by published code on a stub model, decoded here and compared step by step."""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from parallelbench.decoding import Lane, decode, diffusion_gemma, find_method, parse_method, split_setting
from parallelbench.decoding.method import Method, build_method, declared
from parallelbench.errors import UsageError, lookup
from parallelbench.models.golden import GoldenStub, Tables
from parallelbench.settings import Value, format_setting

Case = Mapping[str, Any]
Setting = Callable[[Mapping[str, Any]], str | None]
PROMPT = 6
"""Prompt tokens of the second set's stub."""
NOISED = "diffusion_gemma_eb"
"""Traces on canvases of random tokens, which their tables hold."""
SHOWN = 5
"""Failures that a report spells out."""
PB_SCORES = {
    "confidence_topk": "confidence", "confidence_threshold": "confidence", "confidence_factor": "confidence",
    "topk_margin": "margin", "entropy_topk": "entropy", "left_to_right": "left_to_right",
    "maskgit_plus": "confidence", "entropy": "entropy",
}  # fmt: skip


def _setting(name: str, case: Mapping[str, Any], **parameters: Value | None) -> str:
    given = {key: value for key, value in parameters.items() if value is not None}
    if case.get("block_length"):
        given["block"] = case["block_length"]
    return format_setting(name, given)


def _parallelbench(p: Mapping[str, Any], score: str, other: str) -> str:
    """threshold, factor, or `other` by steps: what ParallelBench's own loops choose between."""
    if p.get("threshold") is not None:
        return _setting("threshold@pb", p, tau=p["threshold"], score=score)
    if p.get("factor") is not None:
        return _setting("factor@pb", p, f=p["factor"], score=score)
    return other


def _pb_generate(p: Mapping[str, Any]) -> str | None:
    if "eb_sampler_gamma" in p:
        return None
    score = PB_SCORES[p["unmasking"]]
    return _parallelbench(p, score, _setting(f"{score}@pb", p, steps=p["steps"]))


def _dream_block(p: Mapping[str, Any]) -> str:
    score = PB_SCORES[p["alg"]]
    return _parallelbench(p, score, _setting("timesteps@pb", p, steps=p["steps"], eps=p["eps"], score=score))


def _dream_full(p: Mapping[str, Any]) -> str:
    if p["alg"] == "confidence_threshold":
        return _setting("threshold@dream", p, tau=p["threshold"], steps=p["steps"])
    return _setting("timesteps@dream", p, steps=p["steps"], eps=p["eps"], score=PB_SCORES[p["alg"]])


def _fast_dllm(p: Mapping[str, Any]) -> str:
    if p["cache"] == "none":
        return _parallelbench(p, "confidence", _setting("confidence@pb", p, steps=p["steps"]))
    if p.get("threshold") is not None:
        return _setting("threshold@fastdllm", p, tau=p["threshold"], cache=p["cache"])
    return _setting("confidence@fastdllm", p, steps=p["steps"], cache=p["cache"])


def _klass(p: Mapping[str, Any]) -> dict[str, Value]:
    return {"tau": p["conf_threshold"], "kappa": p["kl_threshold"], "history": p["kl_history_length"]}


def _pc(name: str) -> Setting:
    return lambda p: _setting(name, p, k=p["gen_length"] // p["steps"], lam=p["lambd"], alpha=float(p["alpha"]))


def _leap(p: Mapping[str, Any], tau: float) -> str:
    return _setting("localleap", p, tau=tau, near=p["relaxed_threshold"], radius=p["radius"])


def _dawn(p: Mapping[str, Any], low: float) -> str:
    """The repaired one counts sinks in multiples of the average attention, 1 / canvas."""
    rest = {"edge": p["tau_edge"], "induce": p["tau_induce"], "low": low}
    if p["repaired"]:
        return _setting("dawn", p, sink=p["tau_sink"] * (p["gen_length"] + PROMPT), **rest)
    return _setting("dawn@published", p, sink=p["tau_sink"], **rest)


def _free_dave(p: Mapping[str, Any]) -> str:
    """Without a threshold the plain one spends no forward that the published one doesn't."""
    tau = p["confidence_threshold"]
    name = "freedave@eager" if p["eager"] else "freedave" if tau is None else "freedave@published"
    return _setting(name, p, d=p["draft_steps"], tau=tau)


SETTINGS: Mapping[str, Setting] = {
    "pb_generate": _pb_generate,
    "dream_block": _dream_block,
    "dream_full": _dream_full,
    "fastdllm_llada": _fast_dllm,
    "klass_pb": lambda p: _setting("klass@pb", p, **_klass(p), steps=p["steps"]),
    "klass_upstream": lambda p: _setting(
        "klass@upstream", p, **_klass(p), steps=p["steps"], choose=p["unmask_strategy"]
    ),
    "wino_upstream": lambda p: _setting("wino", p, tau=p["threshold"], back=p["threshold_back"]),
    "slowfast_pb": lambda p: _setting(
        "slowfast@pb", p, tau=p["high_threshold"], cycle=p["cycle_threshold"], explore=p["exploration_steps"]
    ),
    "dus_pb": lambda p: _setting("dus@pb", p, base=p["base"], rho=p["remasking_threshold"]),
    "rcr": lambda p: _setting("rcr" if p["overtime_conf"] else "confidence@pb", p, steps=p["steps"]),
    "remdm": lambda p: _setting("remdm@pb", p, steps=p["steps"], loops=p["remdm_steps"], number=p["remdm_number"]),
    "pc_sampler": _pc("pc_sampler"),
    "uncode_linear_position": _pc("pc_linear"),
    "uncode_eb": lambda p: _setting("eb", p, gamma=p["gamma"]),
    "uncode_entropy": lambda p: _setting("entropy@uncode", p, steps=p["steps"]),
    "uncode_margin": lambda p: _setting("margin@uncode", p, steps=p["steps"]),
    "dawn_llada": lambda p: _dawn(p, p["tau_low"]),
    "dawn_dream": lambda p: _dawn(p, p["conf_threshold"]),
    "dapd": lambda p: _setting(
        p["alg"], p, low=p["tau_min"], high=p["tau_max"], sure=1.0 if p["alg"] == "dapd_direct" else None
    ),
    "punt": lambda p: _setting("punt@lsb" if p["bit_order"] == "lsb" else "punt", p, eps=p["epsilon"]),
    "freedave": _free_dave,
    "adas_topk_derived": lambda p: _setting("adas", p, k=p["k"], alpha=p["alpha"]),
    "p2": lambda p: _setting("p2@upstream", p, steps=p["num_steps"], eta=p["eta"], kappa=p["kappa"]),
    "localleap_llada": lambda p: _leap(p, p["threshold"]),
    "localleap_dream": lambda p: _leap(p, p["conf_threshold"]),
    "adablock": lambda p: _setting(
        "adablock",
        p,
        tau=p["threshold"],
        size=p["init_block_length"],
        ids="/".join(map(str, p["delimiter_ids"])),
        delimiter=2.0 if p["delimiter_threshold"] is None else p["delimiter_threshold"],
    ),
    "sglang_low_confidence": lambda p: _setting("threshold@sglang", p, tau=p["threshold"]),
    "sglang_eb": lambda p: _setting("eb@sglang", p, gamma=p["gamma"]),
    "sglang_joint_threshold": lambda p: _setting(
        "joint@sglang",
        p,
        tau=p["threshold"],
        edit=p["edit_threshold"],
        extra=p["max_post_edit_steps"],
        penalty=p["penalty_lambda"],
    ),
    "diffusion_gemma_eb": lambda p: _setting(
        "diffusion_gemma@published",
        p,
        bound=p["entropy_bound"],
        limit=p["max_denoising_steps"],
        stable=p["stability_threshold"],
        sure=p["confidence_threshold"],
        cold=p["t_min"],
        hot=p["t_max"],
        draw="greedy",
    ),
}
"""The setting that decodes a golden method's cases, from a case's parameters; None for a branch we don't have."""


@dataclass(frozen=True)
class Golden:
    """The cases of a file and the tables of their stub models."""

    cases: Sequence[Case]
    tables: Mapping[str, Any]

    @classmethod
    def read(cls, file: Path, tables: Path) -> "Golden":
        """Read both files.

        Raises:
            UsageError: one is missing or is not what it should be.
        """
        try:
            opened = gzip.open(file, "rt") if file.suffix == ".gz" else file.open()
            with opened as text:
                cases = [_with_length(case) for case in json.load(text)["cases"]]
            with np.load(tables) as arrays:
                return cls(cases, dict(arrays))
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise UsageError(f"{file} and {tables} are not golden decoder traces: {error}") from error

    def stub(self, case: Case) -> GoldenStub:
        """The model a case was made with."""
        params = case["params"]
        length = len(case["prompt"]) + params["gen_length"]
        context = params.get("stub") == "context" or case["method"] == "dream_cache"
        tables, shift = Tables.of(self.tables, case["seed"]), "dream" in case["method"]
        return GoldenStub(tables, length, context, shift, params.get("logit_scale", 1.0))

    def noised(self, case: Case, method: Method) -> Method:
        """The method with the random canvases of the case instead of its own."""
        rows = torch.from_numpy(self.tables[f"noise_{case['seed']}"])
        own: dict[str, Any] = {p.name: method.parameters[p.name] for p in find_method(method.name).parameters}
        rule = diffusion_gemma.published(**own, noise=lambda proposal, mask, number: rows[number]).rule
        return replace(method, rule=rule)


def _with_length(case: dict[str, Any]) -> Case:
    """The second set of traces does not say how long its regions are; DiffusionGemma's end before the result."""
    case = {**case, "params": {"gen_length": len(case.get("tokens", ())), **case["params"]}}
    if case["method"] == NOISED:
        case["states"] = [*case["states"][:-1], case["tokens"]]
    return case


def conform_decoders(
    golden: Golden, only: str | None = None, port: Callable[[Case], Method] | None = None
) -> dict[str, Any]:
    """Decode every case and compare tokens, forwards and the region after every forward.

    Args:
        golden: Cases and tables.
        only: One golden method.
        port: Builds the method to check from a case, instead of ours.

    Returns:
        {"passed", "failed", "skipped", "by_method", "failures"}. Cases that torch's order of ties decided are
        skipped, and those of methods we don't have. Where the reference raised, ours passes if it finishes or
        refuses with a message.
    """
    methods = dict.fromkeys(case["method"] for case in golden.cases)
    if only is not None:
        lookup(methods, only, "golden method")
    counts = {name: {"passed": 0, "failed": 0, "skipped": 0} for name in methods if only in (None, name)}
    failures: list[dict[str, Any]] = []
    for case in golden.cases:
        if case["method"] not in counts:
            continue
        found = _judge(golden, case, port)
        counts[case["method"]][found[0]] += 1
        if found[0] == "failed" and len(failures) < SHOWN:
            failures.append({"id": case["id"], "method": case["method"], **found[1]})
    totals = {key: sum(count[key] for count in counts.values()) for key in ("passed", "failed", "skipped")}
    return {**totals, "by_method": counts, "failures": failures}


def ported(setting: str) -> Callable[[Case], Method]:
    """Builds somebody's port, `FILE.py:function` or any setting, with the case's parameters that it declares.

    Raises:
        UsageError: there is no such method.
    """
    name, given = split_setting(setting)
    entry = find_method(name)
    known = declared(entry)

    def build(case: Case) -> Method:
        params = dict(case["params"])
        params["block"] = params.get("block_length") or params["gen_length"]
        params["cache"] = None if params.get("cache") == "none" else params.get("cache")
        fitting = {key: value for key, value in params.items() if key in known and value is not None}
        return build_method(entry, {**fitting, **given})

    return build


def _judge(golden: Golden, case: Case, port: Callable[[Case], Method] | None) -> tuple[str, dict[str, Any]]:
    """Passed, failed or skipped, and where a failure begins."""
    method = port(case) if port is not None else _method_of(golden, case)
    if method is None or case.get("tie_dependent"):
        return "skipped", {}
    prefill = case.get("output0")
    length = case["params"]["gen_length"]
    lane = Lane(case["id"], tuple(case["prompt"]), length, method, prefill=tuple(prefill) if prefill else None)
    states: list[list[int]] = []
    try:
        (result,) = decode(golden.stub(case), [lane], watch=lambda lane, region: states.append(region.tolist()))
    except UsageError as error:
        if "error" in case:
            return "passed", {}
        return "failed", {"setting": method.setting, "error": str(error)}
    mask = golden.stub(case).spec.mask_id
    if "error" in case:
        return ("passed" if result.error or mask not in result.tokens else "failed"), {"setting": method.setting}
    wrong = next(_differences(case, states, list(result.tokens), result.nfe), None)
    if result.error is None and wrong is None:
        return "passed", {}
    return "failed", {"setting": method.setting, "error": result.error, **(wrong or {})}


def _differences(case: Case, states: list[list[int]], tokens: list[int], nfe: int) -> Iterator[dict[str, Any]]:
    """Where a trace parts from the golden one."""
    for step, (ours, theirs) in enumerate(zip(states, case.get("states", ()), strict=False)):
        if ours != theirs:
            places = [place for place, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1]]
            yield {"step": step, "positions": places, "ours": ours, "golden": theirs}
    if nfe != case["model_calls"]:
        yield {"step": min(nfe, case["model_calls"]), "ours": nfe, "golden": case["model_calls"]}
    if tokens != case["tokens"]:
        yield {"step": nfe, "ours": tokens, "golden": case["tokens"]}


def _method_of(golden: Golden, case: Case) -> Method | None:
    build = SETTINGS.get(case["method"])
    setting = build(case["params"]) if build else None
    if setting is None:
        return None
    method = parse_method(setting)
    return golden.noised(case, method) if case["method"] == NOISED else method
