"""Whole runs of tiny random checkpoints of every family: batch size 1 and 8, with and without padding."""

import json
from dataclasses import replace

import pytest
import torch
from reference import CONFIGS, MASK, VOCAB, checkpoint, write_tokenizer

from parallelbench.errors import UsageError
from parallelbench.models.base import Denoiser
from parallelbench.models.families.load import STEPS
from parallelbench.models.registry import Generator, load_model
from parallelbench.runs.execute import run
from parallelbench.runs.plan import RunSettings
from parallelbench.runs.store import Store

TASKS = ("waiting_line/copy@n=3", "waiting_line/reverse@n=4", "words_to_sentence/easy")
METHODS = ("confidence:k=16", "threshold:tau=0.005,block=16", "random:k=16")
STALE = ("confidence:k=8,block=16,cache=prefix", "threshold:tau=0.005,block=16,cache=dual")
EXACT = ("block_static:k=2,cache=block", "threshold:tau=0.005,block=16,cache=block")
CACHES = {
    "llada": STALE, "dream": STALE, "llada_moe": STALE, "sdar": EXACT, "llada2": EXACT, "fast_dllm_v2": EXACT,
    "sedd_absorb": (), "sedd_uniform": (),
}  # fmt: skip


def lanes(directory):
    with Store(directory) as store:
        found = [store.lane(lane) for lane in store.frame()["lane_id"]]
    return {
        lane["lane_id"]: {key: value for key, value in lane.items() if key not in ("seconds", "run_id")}
        for lane in found
    }


@pytest.mark.parametrize("family", CONFIGS)
def test_a_run_is_the_same_at_every_batch_size(tmp_path, family):
    changes = {"n_layers": 1} if family == "llada" else {"num_hidden_layers": 1} if "sedd" not in family else {}
    checkpoint(tmp_path / "model", family, **(changes if family not in ("llada2", "llada_moe") else {}))
    steps = (":steps=2", ":steps=4", ":steps=8") if family == "sedd_uniform" else ("",)
    models = tuple(f"{tmp_path}/model{given}" for given in steps)  # its own sampler stands for the methods
    settings = RunSettings(models=models, tasks=TASKS, methods=METHODS, samples=1, grammar="none")
    results = [run(settings, tmp_path / str(size), batch_size=size) for size in (1, 8)]
    first, second = lanes(tmp_path / "1"), lanes(tmp_path / "8")
    assert first == second
    assert all(result.failed == 0 for result in results)
    assert results[0].signature == results[1].signature
    assert len(first) == len(TASKS) * len(METHODS)
    mask = {"sedd_absorb": VOCAB - 1, "sedd_uniform": None}.get(family, MASK)
    assert all(mask not in lane["tokens"] for lane in first.values())


@pytest.mark.parametrize("family", [name for name, methods in CACHES.items() if methods])
def test_a_cached_run_is_the_same_at_every_batch_size(tmp_path, family):
    checkpoint(tmp_path / "model", family)
    settings = RunSettings(
        models=(str(tmp_path / "model"),), tasks=TASKS, methods=CACHES[family], samples=1, grammar="none"
    )
    results = [run(settings, tmp_path / str(size), batch_size=size) for size in (1, 8)]
    first = lanes(tmp_path / "1")
    assert first == lanes(tmp_path / "8") and len(first) == len(TASKS) * len(CACHES[family])
    assert all(result.failed == 0 for result in results)
    assert all(MASK not in lane["tokens"] for lane in first.values())
    for result in results:  # those that only fill the cache are forwards too
        assert result.cost.forwards_counted == sum(lane["nfe"] for lane in first.values())
        assert result.cost.rows_counted == sum(lane["rows"] for lane in first.values())
    if CACHES[family] is EXACT:
        plain = tuple(setting.removesuffix(",cache=block") for setting in EXACT)
        run(replace(settings, methods=plain), tmp_path / "plain")
        assert texts(tmp_path / "plain") == texts(tmp_path / "1")


def texts(directory):
    """Tokens by task, sample and method, whatever the cache."""
    return {
        (lane["task"], lane["sample"], lane["setting"].partition(",cache")[0]): lane["tokens"]
        for lane in lanes(directory).values()
    }


def test_a_model_without_a_cache_refuses_one_before_the_run(tmp_path):
    checkpoint(tmp_path / "model", "sedd_absorb")
    settings = RunSettings(models=(str(tmp_path / "model"),), tasks=TASKS[:1], methods=STALE[:1], samples=1)
    with pytest.raises(UsageError, match="needs prefix_cache, which .* lacks"):
        run(settings, tmp_path / "out")


def test_lanes_of_a_sampler_count_its_steps(tmp_path):
    checkpoint(tmp_path / "model", "sedd_absorb")
    settings = RunSettings(models=(f"{tmp_path}/model:steps=5",), tasks=TASKS[:1], samples=2, grammar="none")
    run(settings, tmp_path / "out")
    for lane in lanes(tmp_path / "out").values():
        assert (lane["setting"], lane["nfe"], lane["max_tokens"]) == ("analytic:steps=5", 5, 32)


def test_what_a_model_string_loads_as(tmp_path):
    for family in ("dream", "sedd_absorb", "sedd_uniform"):
        checkpoint(tmp_path / family, family)
    assert isinstance(load_model(str(tmp_path / "dream")), Denoiser)
    assert isinstance(load_model(str(tmp_path / "sedd_absorb")), Denoiser)
    assert isinstance(load_model(f"{tmp_path}/sedd_absorb:steps=3"), Generator)
    uniform = load_model(str(tmp_path / "sedd_uniform"))
    assert isinstance(uniform, Generator)
    assert uniform.spec.parameters == {"steps": STEPS}
    with pytest.raises(UsageError, match="decoded by --method"):
        load_model(f"{tmp_path}/dream:steps=3")


def causal(path, family="llama"):
    """A tiny random Llama that shares the byte tokenizer."""
    import transformers

    torch.manual_seed(3)
    config = transformers.LlamaConfig(
        vocab_size=257, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        eos_token_id=256, bos_token_id=None,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(path)
    write_tokenizer(path, family)


def test_a_verifier_reads_a_draft_from_the_left(tmp_path):
    checkpoint(tmp_path / "draft", "dream")
    causal(tmp_path / "judge")
    model = load_model(f"{tmp_path}/draft:verifier={tmp_path}/judge")
    assert {"verifier", "prefix_cache"} <= model.spec.capabilities and "+" in model.spec.revision
    canvas = torch.arange(10).repeat(2, 1)
    present = torch.ones_like(canvas).bool()
    present[1, :3] = False
    rows = torch.zeros_like(present)
    rows[0, 4], rows[0, 9], rows[1, 7] = True, True, True
    found = model.verify(canvas, present, rows)
    inner = load_model(str(tmp_path / "judge")).model
    expected = [inner(canvas[:1, :4]), inner(canvas[:1, :9]), inner(canvas[1:, 3:7])]
    assert torch.allclose(found[:, :257], torch.cat([out.logits[:, -1] for out in expected]), atol=1e-5)
    assert found.shape == (3, model.spec.vocab_size) and (found[:, 257:] == found.min()).all()


@pytest.mark.parametrize(
    ("parameter", "methods"), [("verifier", ("apd:r=0.5", "apd:r=0.9")), ("guidance", METHODS[:2])]
)
def test_guided_and_verified_runs_are_the_same_at_every_batch_size(tmp_path, parameter, methods):
    checkpoint(tmp_path / "model", "dream")
    causal(tmp_path / "judge")
    model = f"{tmp_path}/model:{parameter}=" + (f"{tmp_path}/judge" if parameter == "verifier" else "1.5")
    settings = RunSettings(models=(model,), tasks=TASKS, methods=methods, samples=1, grammar="none")
    results = [run(settings, tmp_path / str(size), batch_size=size) for size in (1, 8)]
    assert lanes(tmp_path / "1") == lanes(tmp_path / "8")
    assert [result.error for result in results] == [None, None]
    rows = sum(lane["rows"] for lane in lanes(tmp_path / "1").values())
    assert rows == results[0].cost.rows_counted and rows >= results[0].cost.forwards_executed
    run(replace(settings, models=(str(tmp_path / "model"),), methods=METHODS[:2]), tmp_path / "plain")
    if parameter == "guidance":
        assert texts(tmp_path / "plain") != texts(tmp_path / "1")


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [("verifier=draft", "not an autoregressive"), ("verifier=judge,guidance=1", "don't go together"),
     ("guidance=-1", "guidance is a number"), ("verifier=other", "cannot verify: its token")],
)  # fmt: skip
def test_companions_that_do_not_fit_are_refused(tmp_path, parameters, problem):
    checkpoint(tmp_path / "draft", "dream")
    for name in ("judge", "other"):
        causal(tmp_path / name)
    renamed = json.loads((tmp_path / "other" / "tokenizer.json").read_text())
    vocab = renamed["model"]["vocab"]
    vocab["a"], vocab["b"] = vocab["b"], vocab["a"]
    (tmp_path / "other" / "tokenizer.json").write_text(json.dumps(renamed))
    for name in ("draft", "judge", "other"):
        parameters = parameters.replace(f"={name}", f"={tmp_path}/{name}")
    with pytest.raises(UsageError, match=problem):
        load_model(f"{tmp_path}/draft:{parameters}")


def test_a_models_name_and_revision_tell_what_changes_results(tmp_path):
    config, _ = checkpoint(tmp_path / "a", "sdar")
    checkpoint(tmp_path / "b", "sdar", seed=1)
    plain = load_model(str(tmp_path / "a")).spec
    assert load_model(f"{tmp_path}/a/").spec == plain
    assert load_model(f"{tmp_path}/a:device=cpu").spec == plain
    assert load_model(str(tmp_path / "b")).spec.revision != plain.revision
    assert plain.block_size == 4
    other = load_model(f"{tmp_path}/a:block=8,dtype=bfloat16").spec
    assert (other.block_size, other.dtype, other.name) == (8, "bfloat16", f"{tmp_path}/a:block=8,dtype=bfloat16")
    (tmp_path / "a" / "config.json").write_text(json.dumps({**config, "rope_theta": 5.0}))
    assert load_model(str(tmp_path / "a")).spec.revision != plain.revision


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [("dtype=int3", "dtype is one of"), ("attention=flash", "attention is one of"),
     ("block=-1", "block is a whole number"), ("device=tpu:7", "device=tpu:7 is not here"),
     ("family=nope", "Unknown family"), ("dtyp=float32", "neither a directory nor a hub id")],
)  # fmt: skip
def test_bad_parameters_are_refused(tmp_path, parameters, problem):
    checkpoint(tmp_path / "m", "dream")
    with pytest.raises(UsageError, match=problem):
        load_model(f"{tmp_path}/m:{parameters}")


def test_sharded_files_and_one_file_are_the_same_model(tmp_path):
    checkpoint(tmp_path / "one", "llada2")
    checkpoint(tmp_path / "three", "llada2", shards=3)
    one, three = (load_model(str(tmp_path / name)) for name in ("one", "three"))
    canvas = torch.arange(20)[None]
    rows = torch.ones_like(canvas).bool()
    assert torch.equal(one.logits(canvas, rows, rows), three.logits(canvas, rows, rows))


def test_only_the_rows_asked_for_go_through_the_head(tmp_path):
    checkpoint(tmp_path / "m", "dream")
    model = load_model(str(tmp_path / "m"))
    widths = []
    model.network.model.lm_head.register_forward_hook(lambda module, given, out: widths.append(out.shape))
    canvas = torch.arange(30).view(2, 15)
    everywhere = torch.ones_like(canvas).bool()
    rows = torch.zeros_like(everywhere)
    rows[0, 3], rows[1, 7], rows[1, 14] = True, True, True
    some = model.logits(canvas, everywhere, rows)
    assert widths == [(3, model.spec.vocab_size)]
    assert torch.allclose(some, model.logits(canvas, everywhere, everywhere)[rows.flatten()], atol=1e-5)
