"""The named table of unmasking methods, and setting strings that name one."""

from collections.abc import Callable, Mapping, Sequence

from parallelbench.decoding import (
    ada_block,
    adas,
    apd,
    block_diffusion,
    credit,
    dapd,
    dawn,
    diffusion_gemma,
    dus,
    editing,
    entropy_bounded,
    free_dave,
    klass,
    local_leap,
    path_planning,
    pc_sampler,
    prophet,
    published,
    punt,
    remasking,
    rpd,
    rules,
    saber,
    scores,
    sglang,
    slowfast,
    strangers,
    wino,
)
from parallelbench.decoding.method import (
    BLOCK,
    COMMON,
    PB2025,
    TEMPERATURE,
    Entry,
    Method,
    Parameter,
    build_method,
    declared,
    over,
    parts,
)
from parallelbench.decoding.optimal import optimal
from parallelbench.decoding.published import FACTORS, TAU, THRESHOLDS, F
from parallelbench.decoding.rules import Rule
from parallelbench.decoding.scores import SCORES
from parallelbench.errors import lookup
from parallelbench.settings import Value, format_setting, split_setting

SCORE = Parameter("score", "confidence", "score the rule looks at", choices=tuple(SCORES))
K = Parameter("k", 1, "tokens committed a step", low=1)
LIMIT = Parameter("T", 2, "steps to finish in", low=1)


def powers_of_two(length: int) -> list[Mapping[str, Value]]:
    """The paper's parallelism sweep: k = 1, 2, 4, ... 32, as far as it divides the length."""
    return [{"k": k} for k in (1, 2, 4, 8, 16, 32) if length % k == 0]


def _top_k_entry(name: str, summary: str, source: str) -> Entry:
    def build(k: int) -> Method:
        return parts(SCORES[name], rules.top_k(k))

    checked = "properties" if name == "random" else "traces"
    return Entry(name, "static", summary, source, (K,), build, powers_of_two, checked)


def _rule_entry(
    name: str, parameter: Parameter, rule: Callable[[float], Rule], sweep: Sequence[Value], summary: str
) -> Entry:
    def build(score: str, **value: float) -> Method:
        return parts(SCORES[score], rule(value[parameter.name]))

    return Entry(
        name, "adaptive", summary, "arXiv 2505.22618", (parameter, SCORE), build, over(parameter.name, *sweep), "traces"
    )


CORE = (
    _top_k_entry("random", "k positions in random order", "MaskGIT baseline"),
    _top_k_entry("left_to_right", "the k leftmost masks", "autoregressive order"),
    _top_k_entry("confidence", "the k positions with the most probable tokens", "arXiv 2202.04200, 2502.09992"),
    _top_k_entry("margin", "the k largest gaps between best and second token", "arXiv 2502.06768"),
    _top_k_entry("entropy", "the k positions of lowest entropy", "arXiv 2508.15487"),
    _rule_entry("threshold", TAU, rules.threshold, THRESHOLDS, "every position with a score of at least tau"),
    _rule_entry("factor", F, rules.factor, FACTORS, "the longest ranked prefix with (n+1)(1-c_n) <= f"),
    Entry(
        "optimal", "adaptive", "the best policy of at most T steps, computed exactly from the answers",
        "dynamic program over policies, docs/theory.md", (LIMIT,),
        lambda T: parts(scores.left_to_right, optimal(T), requires=frozenset({"policy"})), over("T", 1, 2, 4, 8),
        requires=frozenset({"policy"}),
    ),
)  # fmt: skip

CORE_METHODS = tuple(entry.name for entry in CORE if not entry.requires)
"""What a run decodes with by default."""

METHODS: Mapping[str, Entry] = {
    entry.name: entry
    for entries in (
        CORE,
        klass.ENTRIES,
        dus.ENTRIES,
        entropy_bounded.ENTRIES,
        slowfast.ENTRIES,
        pc_sampler.ENTRIES,
        wino.ENTRIES,
        remasking.ENTRIES,
        saber.ENTRIES,
        credit.ENTRIES,
        editing.ENTRIES,
        prophet.ENTRIES,
        apd.ENTRIES,
        block_diffusion.ENTRIES,
        sglang.ENTRIES,
        path_planning.ENTRIES,
        local_leap.ENTRIES,
        ada_block.ENTRIES,
        dawn.ENTRIES,
        dapd.ENTRIES,
        punt.ENTRIES,
        adas.ENTRIES,
        free_dave.ENTRIES,
        rpd.ENTRIES,
        diffusion_gemma.ENTRIES,
        published.ENTRIES,
    )
    for entry in entries
}


def find_method(name: str) -> Entry:
    """The row of a name: built in, `FILE.py:function`, or offered by an installed package.

    Raises:
        UsageError: there is none.
    """
    if name in METHODS:
        return METHODS[name]
    if ".py:" in name:
        return strangers.from_file(name)
    return lookup({**METHODS, **{entry.name: entry for entry in strangers.installed()}}, name, "method")


def parse_method(text: str, profile: str = "native") -> Method:
    """Build the method of a setting string such as `threshold:tau=0.9,block=8` or `mine.py:rule:alpha=0.3`.

    Raises:
        UsageError: unknown method or parameter, or a value out of range.
    """
    name, given = split_setting(text)
    return build_method(find_method(name), given, profile)


def default_sweep(name: str, length: int) -> list[str]:
    """Setting strings of a method's default sweep at a generation length."""
    return [format_setting(name, parameters) for parameters in find_method(name).sweep(length)]


__all__ = [
    "BLOCK", "COMMON", "CORE_METHODS", "METHODS", "PB2025", "TEMPERATURE", "Entry", "Method", "Parameter",
    "build_method", "declared", "default_sweep", "find_method", "parse_method", "split_setting",
]  # fmt: skip
