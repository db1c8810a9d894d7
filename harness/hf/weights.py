"""Model weights as local files: located, converted once, and identified by content.

Generation and fine-tuning start from the same folder, so that both identify a base model by the same digests;
`harness.hf.loading` loads that folder. Weights are safetensors, never pickles, which could run code.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness import paths as resources
from harness.errors import ConfigError, ModelError
from harness.hf import loading
from harness.progress import track
from harness.store.digest import digest
from harness.store.stages import write_atomic

HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
HUB_FILES = ["*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", "model*.safetensors"]
"""The files that are downloaded from a hub repository: no pickles, and no copy of the weights in another format."""
MODEL_WEIGHTS = "model*.safetensors"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
TOKENIZER_FILES = ("tokenizer*", "vocab.*", "merges.txt", "special_tokens_map.json", "added_tokens.json")
PROVENANCE = {"_name_or_path", "base_model_name_or_path", "transformers_version", "peft_version", "revision"}
"""Settings that record where a model came from and do not affect its text."""


@dataclass(frozen=True, slots=True)
class Located:
    """A folder that transformers can load, and its hub commit (empty for weights that are not from the hub)."""

    folder: Path
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Digests:
    """Content digests of everything that decides a model's text, wherever its files are."""

    weights: str
    tokenizer: str
    chat_template: str
    adapter: str = ""


def cache_dir() -> Path:
    """Return where converted weights are kept: $HARNESS_CACHE, or finetune-harness in the user's cache folder."""
    if chosen := os.environ.get("HARNESS_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finetune-harness"


def locate(path: str, revision: str | None = None) -> Located:
    """Return the folder of a model named by a folder, a .gguf file, `package:NAME/path` or a hub id.

    A .gguf file is converted to a folder in `cache_dir()` the first time; a hub id is downloaded into the hub's own
    cache. ConfigError or ModelError says what is missing and how to fix it.
    """
    local = resources.resolve(path)
    if local.is_file() and local.suffix == ".gguf":
        return Located(_convert(local))
    if local.is_dir():
        _check_folder(local)
        return Located(local)
    if not HUB_ID.fullmatch(path) or local.exists() or local.suffix == ".gguf":
        raise ConfigError(f"model path {path!r}: expected a folder, a .gguf file or a hub id such as org/name.")
    folder = _download(path, revision)
    _check_folder(folder)
    return Located(folder, folder.name)


def identify(folder: Path, adapter: Path | None = None) -> Digests:
    """Return the digests of a model folder and its adapter, without loading either."""
    files = sorted({file for pattern in TOKENIZER_FILES for file in folder.glob(pattern)})
    return Digests(
        weights=_weights_digest(folder, MODEL_WEIGHTS, ("config.json", "generation_config.json")),
        tokenizer=digest([(file.name, _file_digest(file)) for file in files]),
        chat_template=_template_digest(folder),
        adapter=_weights_digest(adapter, ADAPTER_WEIGHTS, ("adapter_config.json",)) if adapter else "",
    )


def count_parameters(folder: Path) -> int:
    """Return the number of weights in a model folder, from the headers of its files."""
    from safetensors import safe_open

    total = 0
    for file in weight_files(folder):
        with safe_open(file, framework="numpy") as tensors:
            total += sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return total


def weight_files(folder: Path, pattern: str = MODEL_WEIGHTS) -> list[Path]:
    """Return a folder's safetensors files in order; ModelError when it has none or holds pickles instead."""
    files = sorted(folder.glob(pattern))
    if files:
        return files
    if any(folder.glob("*.bin")):
        raise ModelError(
            f"{folder}: its weights are pickles (*.bin), which can run code. "
            "If you trust them, load them and save them again with save_pretrained, which writes safetensors."
        )
    raise ModelError(f"{folder}: expected {pattern}, found none. Save the weights there with save_pretrained.")


def _check_folder(folder: Path) -> None:
    if (folder / "config.json").exists():
        return
    if (folder / "adapter_config.json").exists():
        raise ConfigError(f"{folder} is an adapter. Set model.adapter to it and model.path to its base model.")
    ggufs = sorted(file.name for file in folder.glob("*.gguf"))
    fix = f"Name the file itself: {folder / ggufs[0]}" if ggufs else "Name the folder that save_pretrained wrote."
    raise ConfigError(f"{folder}: expected a model folder with a config.json. {fix}")


def _convert(gguf: Path) -> Path:
    """Dequantise a .gguf file into a folder named by its content, once even when two processes need it."""
    folder = cache_dir() / "gguf" / f"{gguf.stem}-{_file_digest(gguf)[:16]}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with track(f"convert {gguf.name} (once)", total=3, unit="steps") as bar, FileLock(f"{folder}.lock"):
        if not folder.exists():
            partial = Path(f"{folder}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            loading.dequantise(gguf, partial, bar)
            os.rename(partial, folder)
    return folder


def _download(name: str, revision: str | None) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise loading.missing(error) from error
    try:
        with track(f"download {name}", total=1, unit="model") as bar:
            bar.advance(0)
            folder = Path(snapshot_download(name, revision=revision, allow_patterns=HUB_FILES))
            bar.advance()
    except (HfHubHTTPError, OSError, ValueError) as error:
        at = f" at revision {revision}" if revision else ""
        raise ModelError(
            f"{name}{at} is neither a local folder nor a model that could be downloaded from the hub "
            f"({type(error).__name__}: {str(error).strip().splitlines()[0]}). Check the name, log in with "
            "`hf auth login` where it is gated, unset HF_HUB_OFFLINE, or set model.path to a local folder."
        ) from error
    return folder


def _weights_digest(folder: Path, pattern: str, settings: tuple[str, ...]) -> str:
    files = [(file.name, _file_digest(file)) for file in weight_files(folder, pattern)]
    return digest([files, *(_settings(folder / name) for name in settings)])


def _template_digest(folder: Path) -> str:
    own = folder / "chat_template.jinja"
    template = (
        own.read_text("utf-8") if own.exists() else _settings(folder / "tokenizer_config.json").get("chat_template")
    )
    return digest(template) if template else ""


def _settings(path: Path) -> dict[str, Any]:
    values = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return {key: value for key, value in values.items() if key not in PROVENANCE}


def _file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, cached by path, size and modification time: weights can be many gigabytes."""
    stat = path.stat()
    cached = cache_dir() / "digests" / digest([str(path.resolve()), stat.st_ino, stat.st_size, stat.st_mtime_ns])
    if cached.exists():
        return cached.read_text("ascii")
    with path.open("rb") as stream:
        value = hashlib.file_digest(stream, "sha256").hexdigest()
    write_atomic(cached, value)
    return value
