"""Model weights as local files: located, converted once, and identified by content.

Generation and fine-tuning start from the same folder, so that both identify a base model by the same digests;
`harness.hf.loading` loads that folder. Weights are safetensors, never pickles, which could run code.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness import paths as resources
from harness.errors import ConfigError, ModelError
from harness.hf import loading
from harness.hf.integrity import read_settings, refuse_missing_quantiser
from harness.progress import track
from harness.store.digest import digest
from harness.store.files import write_atomic
from harness.store.memo import cache_dir
from harness.wording import at_most, counted

HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
HUB_FILES = ["*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", "model*.safetensors", "[0-9]_*/model.safetensors"]
"""The files that are downloaded from a hub repository: no pickles, and no copy of the weights in another format."""
MODEL_WEIGHTS, ADAPTER_WEIGHTS = "model.safetensors", "adapter_model.safetensors"
SETTINGS = ("config.json", "generation_config.json")
READ = re.compile(r".+\.(json|jinja|txt|model|tiktoken|spm|bpe|codes|vocab|tokenizer)", re.IGNORECASE)
"""Files beside the weights that a library may read: anything but notes, images, pickles and other formats."""
RECORDS = re.compile(
    r"(readme|license|notice|copying|modelcard|requirements|trainer_state|training_args|finetune|inputs)\b.*"
    r"|.*_results\.json|.*\.log\.txt|log.*\.txt",
    re.IGNORECASE,
)
"""Files that record where weights came from, and that nothing reads."""
OTHER_FOLDERS = re.compile(r"\..*|onnx|openvino|original|runs|assets|images|checkpoint.*", re.IGNORECASE)
"""Folders inside that of a sentence encoder that are none of its modules."""
TOKENIZER = re.compile(
    r".*token.*|.*vocab.*|merges.*|spiece.*|sentencepiece.*|tekken.*|.*\.(model|tiktoken|spm|bpe|codes)", re.IGNORECASE
)
PROVENANCE = {
    *("_name_or_path", "name_or_path", "base_model_name_or_path", "transformers_version", "peft_version", "revision"),
    *("_commit_hash", "_from_model_config", "is_local", "local_files_only", "special_tokens_map_file"),
}
"""Settings that record where a model came from and do not affect its text."""
UNORDERED = {
    *("target_modules", "exclude_modules", "modules_to_save", "target_parameters"),
    *("layers_to_transform", "layers_pattern"),
}
"""Settings of an adapter that are sets: peft writes them in an order that differs from process to process."""
CACHED_BYTES = 1_000_000
"""Digests of smaller files are not cached, as that takes as long as to compute them."""
RECENT_NS = 2_000_000_000
"""Within this time after a change another change may leave the same time stamps, on file systems with coarse clocks."""


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
    stamps: Mapping[str, tuple[int, ...]] = field(
        default_factory=dict, compare=False, repr=False, metadata={"decides": "nothing"}
    )
    """Inode, size and times of each file when it was digested."""


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
    """Return the digests of a model folder and its adapter, without loading either.

    They cover every file that a library may read; ModelError names one that is missing or damaged.
    """
    stamps = _stamps(folder) | (_stamps(adapter) if adapter else {})
    return Digests(
        stamps=stamps,
        weights=digest([_weights_digests(weight_files(folder)), *_settings_digests(folder), *_module_digests(folder)]),
        tokenizer=_tokenizer_digest(folder),
        chat_template=_template_digest(folder),
        adapter=_adapter_digest(adapter) if adapter else "",
    )


def refuse_change(digests: Digests) -> None:
    """Raise a ModelError where a file has been written since it was digested: its text would be stored as another's."""
    now: dict[str, tuple[int, ...]] = {}
    for folder in {Path(name).parent for name in digests.stamps}:
        now |= _stamps(folder)
    if changed := sorted(name for name in {*now, *digests.stamps} if now.get(name) != digests.stamps.get(name)):
        raise ModelError(
            f"{', '.join(at_most(changed, 3))} changed between being digested and being loaded. "
            "Run again when nothing writes there any more."
        )


def count_parameters(folder: Path) -> int:
    """Return the number of weights in a model folder, from the headers of its files."""
    return sum(_size(file) for file in weight_files(folder))


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a model folder that are loaded; ModelError when one is missing or a pickle."""
    name = str(read_settings(folder / "config.json").get("transformers_weights") or MODEL_WEIGHTS)
    if (folder / name).exists() and not name.endswith(".index.json"):
        return [folder / name]
    index = folder / (name if name.endswith(".index.json") else f"{name}.index.json")
    if not index.exists():
        raise _no_weights(folder, name)
    shards = read_settings(index).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise ModelError(f"{index}: expected a weight_map with the file of each tensor. Copy the file again.")
    files = [folder / str(shard) for shard in sorted(set(shards.values()))]
    if absent := [file.name for file in files if not file.exists()]:
        raise ModelError(
            f"{folder}: {index.name} names {counted(len(files), 'file')}, and {', '.join(at_most(absent, 3))} "
            f"{'is' if len(absent) == 1 else 'are'} missing. Copy or download all of its files again."
        )
    return files


def readable_files(folder: Path) -> list[Path]:
    """Return the files of a folder, beside its weights, that a library may read."""
    names = (file for file in folder.iterdir() if READ.fullmatch(file.name) and not RECORDS.fullmatch(file.name))
    return sorted(file for file in names if file.is_file() and not file.name.startswith("."))


def _no_weights(folder: Path, name: str) -> ModelError:
    if any(folder.glob("*.bin")):
        return ModelError(
            f"{folder}: its weights are pickles (*.bin), which can run code. "
            "If you trust them, load them and save them again with save_pretrained, which writes safetensors."
        )
    if shards := sorted(folder.glob("model-*-of-*.safetensors")):
        return ModelError(
            f"{folder}: expected {name}.index.json, which says what {shards[0].name} and the others hold, found none. "
            "Copy or download all of its files again."
        )
    return ModelError(f"{folder}: expected {name}, found none. Save the weights there with save_pretrained.")


def _check_folder(folder: Path) -> None:
    """Raise a ConfigError or ModelError for a folder that is no whole model, or more than one."""
    has_adapter = (folder / "adapter_config.json").exists()
    if (folder / "config.json").exists():
        if has_adapter:
            raise ModelError(
                f"{folder} holds a model and an adapter (adapter_config.json), which transformers would add to the "
                "model unasked. Move adapter_config.json and the adapter's weights to a folder of their own and set "
                "model.adapter to it; if they are merged into the model already, delete them."
            )
        settings = read_settings(folder / "config.json")
        if not settings.get("model_type"):
            raise ModelError(f"{folder}/config.json: expected a model_type, got none. Copy or download the file again.")
        if settings.get("is_encoder_decoder") is True:
            raise ModelError(
                f"{folder} is an encoder-decoder model ({settings['model_type']}), which does not continue a text. Set "
                "model.path to a causal language model."
            )
        refuse_missing_quantiser(folder, settings)
        return
    if has_adapter:
        raise ConfigError(f"{folder} is an adapter. Set model.adapter to it and model.path to its base model.")
    ggufs = sorted(file.name for file in folder.glob("*.gguf"))
    fix = f"Name the file itself: {folder / ggufs[0]}" if ggufs else "Name the folder that save_pretrained wrote."
    raise ConfigError(f"{folder}: expected a model folder with a config.json. {fix}")


def _check_adapter(adapter: Path) -> None:
    """Raise a ConfigError or ModelError for a folder that is no adapter."""
    if not adapter.is_dir():
        raise ConfigError(f"model.adapter: expected a folder with a PEFT adapter, {adapter} is none.")
    if not (adapter / "adapter_config.json").exists():
        whole = (adapter / "config.json").exists()
        fix = "It is a whole model: set model.path to it." if whole else "Name the folder that save_pretrained wrote."
        raise ConfigError(f"model.adapter: expected a folder with an adapter_config.json, {adapter} has none. {fix}")
    if not (adapter / ADAPTER_WEIGHTS).exists():
        raise _no_weights(adapter, ADAPTER_WEIGHTS)


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


def _weights_digests(files: Sequence[Path]) -> list[tuple[str, str]]:
    """Return the name and digest of each file of weights; ModelError for one that is cut off or no safetensors."""
    for file in files:
        _size(file)
    return [(file.name, _file_digest(file)) for file in files]


def _size(file: Path) -> int:
    """Return the number of weights in a file, from its header; ModelError when the file is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as tensors:
            return sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        pointer = file.read_bytes()[:40].startswith(b"version https://git-lfs")
        fix = "It is a pointer of Git LFS: run git lfs pull." if pointer else "Copy or download the file again."
        raise ModelError(f"{file}: damaged or cut off ({error}). {fix}") from error


def _settings_digests(folder: Path) -> list[Any]:
    """Return what decides the text beside weights, tokenizer and chat template: settings, and files of unknown use."""
    others = [file for file in readable_files(folder) if not TOKENIZER.fullmatch(file.name)]
    rest = [file for file in others if file.name not in SETTINGS and not file.name.endswith(".jinja")]
    return [*(_deciding(folder / name) for name in SETTINGS), *((file.name, _file_digest(file)) for file in rest)]


def _module_digests(folder: Path) -> list[tuple[str, str]]:
    """Return the files in the folders of a sentence encoder's modules, such as its pooling."""
    modules = folder / "modules.json"
    if not modules.exists():
        return []
    inner = (f for f in folder.iterdir() if f.is_dir() and not OTHER_FOLDERS.fullmatch(f.name))
    files = sorted(file for module in inner for file in module.rglob("*") if file.is_file())
    read = [f for f in files if READ.fullmatch(f.name) or f.suffix in (".safetensors", ".bin")]
    return [(f.relative_to(folder).as_posix(), _file_digest(f)) for f in read if not RECORDS.fullmatch(f.name)]


def _tokenizer_digest(folder: Path) -> str:
    settings = _without(_deciding(folder / "tokenizer_config.json"), {"chat_template"})
    files = [file for file in readable_files(folder) if TOKENIZER.fullmatch(file.name)]
    return digest([settings, *((f.name, _file_digest(f)) for f in files if f.name != "tokenizer_config.json")])


def _template_digest(folder: Path) -> str:
    """Return the digest of the chat templates: those in files of their own, which take precedence, else in settings."""
    files = {"default": folder / "chat_template.jinja"}
    files |= {file.stem: file for file in sorted(folder.glob("additional_chat_templates/*.jinja"))}
    templates = {name: _text(file) for name, file in files.items() if file.exists()}
    if not templates:
        own = read_settings(folder / "tokenizer_config.json").get("chat_template")
        return digest(own) if own else ""
    return digest(templates["default"] if list(templates) == ["default"] else templates)


def _adapter_digest(adapter: Path) -> str:
    """Return the digest of an adapter, and of the tokenizer and chat template that may be saved with it."""
    _check_adapter(adapter)
    settings = _deciding(adapter / "adapter_config.json")
    for key in UNORDERED & settings.keys():
        if isinstance(settings[key], list):
            settings[key] = sorted(settings[key], key=str)
    files = _weights_digests([adapter / ADAPTER_WEIGHTS])
    return digest([files, settings, _tokenizer_digest(adapter), _template_digest(adapter)])


def _deciding(path: Path) -> Any:
    return _without(read_settings(path), PROVENANCE)


def _without(value: Any, keys: Collection[str]) -> Any:
    """Return a JSON value without these keys, at any depth."""
    if isinstance(value, dict):
        return {key: _without(inner, keys) for key, inner in value.items() if key not in keys}
    return [_without(inner, keys) for inner in value] if isinstance(value, list) else value


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: expected text in UTF-8 ({error}). Copy or download the file again.") from error


def _stamps(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return what tells of each file of a folder, by its path, whether it has been written since."""
    files = [*readable_files(folder), *folder.glob("*.safetensors")] if folder.is_dir() else []
    return {str(file): _stamp(file) for file in files}


def _stamp(path: Path) -> tuple[int, ...]:
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, cached because weights can be many gigabytes.

    The time of the last change of any kind (ctime) is part of the cache's key, as copying tools and `touch` can set
    back that of the last write (mtime), and nobody can set this one. A file that changed just now is not cached: it
    can change again without another time stamp.
    """
    stamp = _stamp(path)
    _, size, _, changed_ns = stamp
    if size < CACHED_BYTES:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    cached = cache_dir() / "digests" / digest([str(path.resolve()), *stamp])
    if cached.exists():
        return cached.read_text("ascii")
    with path.open("rb") as stream:
        value = hashlib.file_digest(stream, "sha256").hexdigest()
    if stamp == _stamp(path) and time.time_ns() - changed_ns > RECENT_NS:
        write_atomic(cached, value)
    return value
