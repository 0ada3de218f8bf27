"""Checkpoint directories made to do harm are refused in a sentence; nothing in them runs, nothing is allocated."""

import json
import os
import pickle
import resource
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from reference import CONFIGS, checkpoint
from safetensors.torch import load_file, save_file

from parallelbench.errors import UsageError
from parallelbench.models.families.files import find_checkpoint
from parallelbench.models.registry import load_model


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.write_text, (Path(self.target), "ran")


def refused(directory, pattern):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UsageError, match=pattern) as caught:
        load_model(str(directory))
    assert "\n" not in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB
    return str(caught.value)


def test_pickled_weights(tmp_path):
    checkpoint(tmp_path / "m", "llada")
    (tmp_path / "m" / "model.safetensors").unlink()
    (tmp_path / "m" / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    refused(tmp_path / "m", r"pickles \(pytorch_model.bin\)")
    assert not (tmp_path / "ran").exists()


def test_a_pickle_under_a_safetensors_name(tmp_path):
    checkpoint(tmp_path / "m", "llada")
    (tmp_path / "m" / "model.safetensors").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    refused(tmp_path / "m", "no readable safetensors file")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("family", ["llada", "unknown"])
def test_remote_code_is_never_run(tmp_path, family):
    directory = tmp_path / "m"
    config, _ = checkpoint(directory, "llada")
    code = f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).write_text('ran')\nclass X: pass\n"
    for name in ("modeling_x.py", "configuration_x.py", "tokenization_x.py"):
        (directory / name).write_text(code)
    auto = {"AutoConfig": "configuration_x.X", "AutoModel": "modeling_x.X", "AutoModelForCausalLM": "modeling_x.X"}
    changes = {"model_type": "made_up"} if family == "unknown" else {}
    (directory / "config.json").write_text(json.dumps({**config, "auto_map": auto, **changes}))
    (directory / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "X", "auto_map": {"AutoTokenizer": ["tokenization_x.X", None]}})
    )
    if family == "unknown":
        refused(directory, "never run")
    else:
        assert load_model(str(directory)).spec.vocab_size == 280
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name",
    ["../secret.safetensors", "/etc/passwd", "a/../../b.safetensors", "..", "model.bin", ".hidden.safetensors", ""],
)
def test_an_index_that_points_elsewhere(tmp_path, name):
    checkpoint(tmp_path / "m", "llada", shards=2)
    save_file({"x": torch.zeros(1)}, tmp_path / "secret.safetensors")
    index = tmp_path / "m" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"model.x": name}}))
    refused(tmp_path / "m", "only plain .safetensors names are allowed")


def test_an_index_that_names_what_is_not_there(tmp_path):
    checkpoint(tmp_path / "m", "llada", shards=2)
    (tmp_path / "m" / "model-00002-of-00002.safetensors").unlink()
    refused(tmp_path / "m", "lacks model-00002-of-00002.safetensors")


@pytest.mark.parametrize(
    ("changes", "pattern"),
    [
        ({"d_model": 10**7, "mlp_hidden_size": 10**8}, r"config.json asks for \["),
        ({"embedding_size": 10**12}, r"config.json asks for \["),
        ({"n_layers": 10**12}, "n_layers=1000000000000 in config.json"),
        ({"n_heads": 10**9}, "config.json"),
        ({"d_model": -4}, "d_model must be a whole number"),
        ({"d_model": "64"}, "d_model must be a whole number"),
        ({"d_model": 1e30}, "d_model must be a whole number"),
        ({"rope_theta": float("nan")}, "rope_theta must be a number above 0"),
        ({"max_sequence_length": True}, "max_sequence_length must be"),
    ],
)
def test_a_configuration_that_asks_for_the_impossible(tmp_path, changes, pattern):
    checkpoint(tmp_path / "m", "llada")
    config = {**CONFIGS["llada"], **changes}
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    refused(tmp_path / "m", pattern)


def test_ten_terabytes_that_match_their_configuration(tmp_path):
    """A sparse file of the right shapes: only the memory check stands in its way."""
    checkpoint(tmp_path / "m", "llada")
    path = tmp_path / "m" / "model.safetensors"
    shapes = {name: list(tensor.shape) for name, tensor in load_file(path).items()}
    rows = 10**12 // 32
    for name in ("model.transformer.wte.weight", "model.transformer.ff_out.weight"):
        shapes[name] = [rows, 32]
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 4 * torch.Size(shape).numel()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        try:
            os.truncate(path, stream.tell() + end)
        except OSError:
            pytest.skip("this file system holds no sparse file of 8 TB")
    (tmp_path / "m" / "config.json").write_text(json.dumps({**CONFIGS["llada"], "embedding_size": rows}))
    try:
        refused(tmp_path / "m", r"needs 8,000.0 GB of memory|no readable safetensors file")
    finally:
        path.unlink()


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": ' * 50_000])
def test_a_configuration_that_is_none(tmp_path, content):
    checkpoint(tmp_path / "m", "llada")
    (tmp_path / "m" / "config.json").write_bytes(content)
    refused(tmp_path / "m", "config.json (is no readable JSON|holds no JSON object)")


def test_files_that_are_no_files(tmp_path):
    checkpoint(tmp_path / "m", "llada")
    (tmp_path / "m" / "config.json").unlink()
    os.mkfifo(tmp_path / "m" / "config.json")  # reading it would wait for ever
    refused(tmp_path / "m", "holds no config.json")


def test_huge_small_files(tmp_path):
    checkpoint(tmp_path / "m", "llada")
    os.truncate(tmp_path / "m" / "tokenizer.json", 1 << 30)
    refused(tmp_path / "m", "too large for a tokenizer")
    os.truncate(tmp_path / "m" / "config.json", 1 << 30)
    refused(tmp_path / "m", "larger than 4 MB")


def test_a_broken_tokenizer_and_none(tmp_path):
    checkpoint(tmp_path / "m", "llada")
    (tmp_path / "m" / "tokenizer.json").write_text("{}")
    refused(tmp_path / "m", "tokenizer cannot be read")
    (tmp_path / "m" / "tokenizer.json").unlink()
    refused(tmp_path / "m", "holds no tokenizer")


@pytest.mark.parametrize("text", ["no/such/place/here", "org/name@../../etc", "../missing", "/etc/passwd", "org/na me"])
def test_what_is_neither_a_directory_nor_a_hub_id(text):
    with pytest.raises(UsageError, match="neither a directory nor a hub id"):
        find_checkpoint(text)


def test_a_hub_snapshot_is_found_by_revision_without_code(tmp_path, monkeypatch):
    import huggingface_hub

    asked = {}

    def snapshot_download(name, revision, allow_patterns, local_files_only):
        asked.update(name=name, revision=revision, patterns=allow_patterns, local=local_files_only)
        return str(tmp_path / ("c" * 40))

    checkpoint(tmp_path / ("c" * 40), "dream")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    spec = load_model("org/dream-tiny@v1:dtype=bfloat16").spec
    assert (spec.name, spec.revision, spec.dtype) == ("org/dream-tiny@v1:dtype=bfloat16", "c" * 40, "bfloat16")
    assert (asked["name"], asked["revision"]) == ("org/dream-tiny", "v1")
    assert not any(pattern.endswith((".py", ".bin", "*")) for pattern in asked["patterns"])


def test_without_the_extra_the_package_imports_and_says_what_to_install(tmp_path):
    checkpoint(tmp_path / "m", "llada")
    code = (
        "import sys\n"
        "for name in ('transformers', 'huggingface_hub', 'peft', 'gguf', 'accelerate'):\n"
        "    sys.modules[name] = None\n"
        "from parallelbench.errors import UsageError\n"
        "from parallelbench.models.registry import load_model\n"
        f"for text in ({str(tmp_path / 'm')!r}, 'org/name', 'smollm2'):\n"
        "    try:\n        load_model(text)\n    except UsageError as error:\n        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stderr
    assert all("pip install" in line for line in lines)
    assert "pip install 'parallelbench[models]'" in lines[0]
