"""The page that tells how to add a family is executed, with the family it describes."""

import re
from pathlib import Path

import torch
from reference import checkpoint, golden, save_shards, write_tokenizer

from parallelbench.models.families.build import Options, inspect
from parallelbench.models.families.conformance import conform_model
from parallelbench.models.families.load import assemble
from parallelbench.models.families.table import FAMILIES

PAGE = Path(__file__).parents[3] / "docs" / "add-a-model.md"


def test_the_toy_family_of_the_page_loads_and_conforms(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    room = {}
    exec(code, room)
    toy = room["TOY"]
    config, weights = checkpoint(
        tmp_path, "sdar", model_type="toy", architectures=["ToyModel"], head_dim=8, tokenizer=False
    )
    weights = {name: tensor for name, tensor in weights.items() if not re.search(r"[qk]_norm", name)}
    stored = {re.sub(r"self_attn\.([qkvo])_proj", r"att.w\1", name): tensor for name, tensor in weights.items()}
    save_shards(tmp_path, stored, 1)
    golden(tmp_path, "dream", config, weights)
    write_tokenizer(tmp_path, "sdar")
    result = conform_model(tmp_path, table={**FAMILIES, "toy": toy})
    assert (result["family"], result["ok"]) == ("toy", True)
    assert {"logits", "shifted", "lpad", "rpad"} <= set(result["max_abs_diff"])
    model = assemble(inspect(tmp_path, table={"toy": toy}), Options(), "toy", "1")
    canvas = torch.arange(9)[None]
    everywhere = torch.ones_like(canvas).bool()
    assert model.logits(canvas, everywhere, everywhere).shape == (9, model.spec.vocab_size)


def test_the_page_names_what_exists():
    text = PAGE.read_text()
    fields = re.findall(r"^\| `([^|]*)` \|", text, re.MULTILINE)
    named = {name for cell in fields for name in re.findall(r"\w+", cell)}
    assert named == {"signs", "architecture", "config", "fixed", "placing", "block", "shift", "tokens", "chat"}
    assert named <= set(vars(next(iter(FAMILIES.values()))))
    root = PAGE.parents[1]
    for path in re.findall(r"`(src/[\w/.]+\.py)`", text):
        assert (root / path).is_file(), path
