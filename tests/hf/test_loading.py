"""Models in memory: settings that this machine has, and adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError, ModelError
from harness.hf import loading, weights


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "cuda:9"}, r"device cuda:9: this machine has \d+ CUDA devices\. Set device=cpu"),
        ({"device": "gpu"}, r"Unknown device 'gpu'\..* Valid: auto, cpu, cuda"),
        ({"dtype": "fp32"}, r"Unknown dtype 'fp32'\. Did you mean 'float32'\?"),
    ],
)
def test_impossible_settings(tiny_model: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        loading.load_model(tiny_model, **settings)


@pytest.mark.parametrize(("dtype", "expected"), [("auto", "float32"), ("float32", "float32"), ("bfloat16", "bfloat16")])
def test_dtype(tiny_model: Path, dtype: str, expected: str) -> None:
    assert loading.resolve_dtype(dtype, "cpu") == expected
    assert str(loading.load_model(tiny_model, dtype, "cpu").dtype) == f"torch.{expected}"


def test_an_adapter_is_merged(tiny_model: Path, adapter: Path) -> None:
    import torch
    from peft import PeftModel

    tokens = torch.arange(3, 20)[None]
    base = loading.load_model(tiny_model, device="cpu")
    with torch.inference_mode():
        plain = base(tokens).logits
        merged = loading.load_model(tiny_model, device="cpu", adapter=adapter)(tokens).logits
        unmerged = PeftModel.from_pretrained(base, str(adapter))(tokens).logits
    torch.testing.assert_close(merged, unmerged, atol=1e-4, rtol=1e-4)
    assert (merged - plain).abs().max() > 0.1


def test_an_adapter_without_safetensors_is_refused(tiny_model: Path, adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(ModelError, match="pickles"):
        weights.identify(tiny_model, adapter)
    with pytest.raises(ModelError, match=r"expected adapter_model\.safetensors"):
        loading.load_model(tiny_model, device="cpu", adapter=adapter)


def test_a_gguf_file_is_converted_without_what_lies_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    for name in ("m.gguf", "adapter_config.json", "generation_config.json", "chat_template.jinja"):
        (tmp_path / name).write_text("{}")
    seen: list[str] = []

    def record(folder: str, **_: Any) -> None:
        seen.extend(path.name for path in Path(folder).iterdir())
        raise ValueError("not a model")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", record)
    with pytest.raises(ModelError, match=r"m\.gguf cannot be loaded as a model \(ValueError: not a model\)"):
        weights.locate(str(tmp_path / "m.gguf"))
    assert seen == ["m.gguf"]


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF" + bytes(100), b"version https://git-lfs.github.com/spec/v1"])
def test_a_damaged_gguf_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.gguf cannot be loaded as a model .* Copy or download its files again"):
        weights.locate(str(tmp_path / "m.gguf"))


@pytest.mark.slow
def test_the_conversion_of_a_real_model(smollm2: Path) -> None:
    model = loading.load_model(smollm2, device="cpu")
    assert weights.count_parameters(smollm2) == model.num_parameters() == 134_515_008
    assert weights.identify(smollm2).chat_template
    assert loading.load_tokenizer(smollm2).eos_token == "<|im_end|>"
