"""Checkpoint directories: what lies in them, read with suspicion. Nothing in them is ever executed."""

import hashlib
import json
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parallelbench.errors import UsageError
from parallelbench.models.families.extras import one_line, optional

MEGABYTE = 1 << 20
CONFIG_LIMIT = 4 * MEGABYTE
INDEX_LIMIT = 32 * MEGABYTE
TOKENIZER_LIMIT = 128 * MEGABYTE
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
DIGESTED = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
WEIGHT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.safetensors")
PAGE = 4096


@dataclass(frozen=True)
class TensorInfo:
    """Where a stored tensor lies and what it is.

    Attributes:
        path: The file.
        shape: Its shape.
        dtype: safetensors' name of its number format, e.g. `BF16`.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: str


def regular(path: Path) -> bool:
    """Whether the path is a plain file (links are followed): no pipe or device that would never end."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def read_json(path: Path, limit: int = CONFIG_LIMIT) -> dict[str, Any]:
    """A JSON object from a file of bounded size.

    Raises:
        UsageError: no such plain file, too large, or no JSON object.
    """
    if not regular(path):
        raise UsageError(f"{path.parent} holds no {path.name}.")
    if path.stat().st_size > limit:
        raise UsageError(f"{path} is larger than {limit // MEGABYTE} MB; such a {path.name} is not read.")
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no readable JSON: {type(error).__name__}.") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path} holds no JSON object.")
    return value


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a checkpoint, from its index or the single file.

    Raises:
        UsageError: only pickles, an index that points elsewhere, or nothing.
    """
    if regular(directory / INDEX):
        return _indexed(directory)
    if regular(directory / SINGLE):
        return [directory / SINGLE]
    pickles = sorted(path.name for pattern in PICKLES for path in directory.glob(pattern))
    if pickles:
        raise UsageError(
            f"{directory} holds its weights as pickles ({pickles[0]}), which can run code when they are read; "
            "only safetensors are loaded. Convert them first."
        )
    raise UsageError(f"{directory} holds no weights: neither {SINGLE} nor {INDEX}.")


def _indexed(directory: Path) -> list[Path]:
    places = read_json(directory / INDEX, INDEX_LIMIT).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise UsageError(f"{directory / INDEX} holds no weight_map of file names.")
    names = sorted(set(places.values()))
    for name in names:
        if not WEIGHT_NAME.fullmatch(name):
            raise UsageError(f"{directory / INDEX} names {name!r}; only plain .safetensors names are allowed there.")
        if not regular(directory / name):
            raise UsageError(f"{directory} lacks {name}, which its index names.")
    return [directory / name for name in names]


def tensor_table(files: Sequence[Path]) -> dict[str, TensorInfo]:
    """Every stored tensor by name, from the headers alone.

    Raises:
        UsageError: a damaged file, or a name stored twice.
    """
    safe_open = optional("safetensors", "models").safe_open
    found: dict[str, TensorInfo] = {}
    for path in files:
        try:
            with safe_open(path, framework="pt") as stored:
                for name in stored.keys():  # noqa: SIM118 - not a mapping
                    part = stored.get_slice(name)
                    if name in found:
                        raise UsageError(f"{path} holds {name!r}, which {found[name].path.name} holds too.")
                    found[name] = TensorInfo(path, tuple(part.get_shape()), str(part.get_dtype()))
        except UsageError:
            raise
        except Exception as error:  # safetensors raises its own type and plain OS errors
            raise UsageError(f"{path} is no readable safetensors file: {error}.") from error
    return found


def checkpoint_digest(directory: Path, files: Sequence[Path]) -> str:
    """Twelve hex digits over configuration, tokenizer and weights.

    Small files are hashed whole; of each weight file its header (names, shapes, offsets) and 4 kB pages at
    every megabyte and at the end: training changes nearly every page, and reading 16 GB would take a minute.
    """
    digest = hashlib.sha256()
    for name in DIGESTED:
        path = directory / name
        if regular(path) and path.stat().st_size <= TOKENIZER_LIMIT:
            digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    for path in files:
        digest.update(path.name.encode() + b"\0")
        for page in _pages(path):
            digest.update(page)
    return digest.hexdigest()[:12]


def _pages(path: Path) -> Iterator[bytes]:
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        yield stream.read(min(length, INDEX_LIMIT))
        for start in (*range(0, size, MEGABYTE), max(0, size - PAGE)):
            stream.seek(start)
            yield stream.read(PAGE)


def find_checkpoint(text: str, fetch: bool = True) -> tuple[Path, str | None]:
    """The directory of a checkpoint and its commit: a local path, or a hub id `ORG/NAME[@REVISION]`.

    Args:
        text: Path or hub id; an existing directory wins.
        fetch: Download what is missing; only JSON, text and safetensors files are ever fetched.

    Raises:
        UsageError: neither, or the hub cannot deliver it.
    """
    directory = Path(text).expanduser()
    if directory.is_dir():
        return directory, None
    name, _, revision = text.partition("@")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", name) or (
        not re.fullmatch(r"[\w./-]*", revision) or ".." in revision
    ):
        raise UsageError(f"{text!r} is neither a directory nor a hub id such as ORG/NAME@REVISION.")
    hub = optional("huggingface_hub", "models")
    try:
        path = hub.snapshot_download(
            name,
            revision=revision or None,
            allow_patterns=["*.json", "*.safetensors", "*.jinja", "vocab.txt", "merges.txt", "tokenizer.model"],
            local_files_only=not fetch,
        )
    except Exception as error:  # the hub client raises a dozen types; the sentence is what helps
        raise UsageError(f"The hub did not deliver {text!r}: {one_line(error)}") from error
    return Path(path), Path(path).name


def layer_count(names: Mapping[str, object], pattern: str) -> int:
    """How many different numbers the pattern's group takes among the tensor names."""
    found = (re.match(pattern, name) for name in names)
    return len({match.group(1) for match in found if match})
