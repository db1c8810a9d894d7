"""Weights that would load and mean nothing are refused by name; those that only look unusual are not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.config import LocalModelConfig
from harness.errors import ModelError
from harness.hf import integrity, loading
from harness.models.local import LocalModel
from harness.types import Prompt, SamplingParams

Tensors = dict[str, Any]
Change = Callable[[Tensors], Any]


def with_tensors(folder: Path, change: Change, name: str = "model.safetensors") -> Path:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / name)
    change(tensors)
    save_file(tensors, folder / name, {"format": "pt"})
    return folder


def with_settings(folder: Path, name: str = "config.json", **settings: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    return folder


def without(part: str) -> Change:
    return lambda tensors: [tensors.pop(name) for name in list(tensors) if part in name]


def added(name: str, *shape: int) -> Change:
    import torch

    return lambda tensors: tensors.update({name: torch.ones(shape)})


def with_value(part: str, value: float) -> Change:
    def change(tensors: Tensors) -> None:
        next(tensor for name, tensor in tensors.items() if part in name).view(-1)[-1] = value

    return change


def renamed(tensors: Tensors) -> None:
    for name in list(tensors):
        tensors[f"base_model.model.{name}"] = tensors.pop(name)


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model, tmp_path / "model")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("layers.1."), r"9 tensors missing, .* random numbers \(model\.layers\.1\..*, and 6 more\)\. Copy"),
        (without("model.norm"), r"1 tensor missing, .* \(model\.norm\.weight\)"),
        (without("lm_head"), r"1 tensor missing, .* \(lm_head\.weight\)"),
        (added("model.layers.2.mlp.up_proj.weight", 64, 32), r"1 tensor that it has no place for \(model\.layers\.2"),
        (added("v_head.weight", 1, 32), r"1 tensor that it has no place for \(v_head\.weight\)"),
        (added("model.layers.0.mlp.up_proj.weight", 9, 32), r"up_proj\.weight is \(9, 32\), expected \(64, 32\)"),
        (renamed, r"21 tensors missing, .*; 21 tensors that it has no place for \(base_model\.model\.lm_head"),
        (with_value("layers.1.mlp.up_proj", float("nan")), r"1 tensor with infinite values or NaN \(model\.layers\.1"),
        (
            with_value("embed_tokens", float("inf")),
            r"infinite values or NaN \(model\.embed_tokens\.weight\)\.",
        ),
        (with_value("model.norm", float("-inf")), r"infinite values or NaN \(model\.norm\.weight\)"),
    ],
)
def test_weights_that_do_not_fit(copy: Path, change: Change, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        loading.load_model(with_tensors(copy, change), device="cpu")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_hidden_layers": 3}, r"9 tensors missing"),
        ({"num_hidden_layers": 1}, r"9 tensors that it has no place for"),
        ({"vocab_size": 400}, r"lm_head\.weight is \(320, 32\), expected \(400, 32\)"),
        ({"model_type": "unheard_of"}, r"model_type 'unheard_of', which this version of transformers does not know"),
        (
            {"model_type": "x", "auto_map": {"AutoConfig": "a.B"}},
            r"needs Python code .*never run here\. Set",
        ),
        ({"model_type": "t5"}, r"\(t5\) is not a causal language model\. Set model\.path"),
        ({"hidden_size": "32"}, r"cannot be loaded as a model .*hidden_size.* got str"),
        ({"num_attention_heads": 0}, r"cannot be loaded as a model \(ZeroDivisionError"),
        ({"hidden_act": "unheard_of"}, r"cannot be loaded as a model \(KeyError: 'unheard_of'\)"),
        (
            {"quantization_config": {"quant_method": "eetq"}},
            r"quantised with eetq \(.*\)\. Set model\.path",
        ),
        ({"architectures": ["LlamaModel"], "num_hidden_layers": 3}, r"holds a LlamaModel, not a whole causal"),
    ],
)
def test_settings_that_do_not_fit(copy: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message) as raised:
        loading.load_model(with_settings(copy, **settings), device="cpu")
    assert "trust_remote_code" not in str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        added("model.layers.0.self_attn.rotary_emb.inv_freq", 4),
        added("model.layers.0.attn.masked_bias", 1),
        added("vision_tower.encoder.layers.0.mlp.weight", 3),
        added("model.visual.blocks.0.weight", 3),
        added("mtp.layers.0.weight", 3),
    ],
)
def test_tensors_that_text_does_not_pass_through_are_allowed(copy: Path, change: Change) -> None:
    assert loading.load_model(with_tensors(copy, change), device="cpu")


def tiny(architecture: str, config: str, folder: Path, **settings: Any) -> Path:
    """Save a model of transformers with random weights."""
    import torch
    import transformers

    torch.manual_seed(0)
    sizes = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    made = getattr(transformers, config)(**{**sizes, "intermediate_size": 32, **settings})
    getattr(transformers, architecture)(made).save_pretrained(folder)
    return folder


GROUPED = {"num_key_value_heads": 2, "head_dim": 8}


@pytest.mark.parametrize(
    ("architecture", "config", "settings"),
    [
        ("LlamaForCausalLM", "LlamaConfig", {"tie_word_embeddings": True}),
        ("LlamaModel", "LlamaConfig", {"tie_word_embeddings": True}),
        ("GPT2LMHeadModel", "GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4}),
        ("GPTNeoXForCausalLM", "GPTNeoXConfig", {}),
        ("Gemma3ForCausalLM", "Gemma3TextConfig", GROUPED),
        ("Qwen2ForCausalLM", "Qwen2Config", {"num_key_value_heads": 2}),
        ("MixtralForCausalLM", "MixtralConfig", {"num_key_value_heads": 2, "num_local_experts": 4}),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_whole_models_are_loaded(
    tmp_path: Path, architecture: str, config: str, settings: dict[str, Any], dtype: str
) -> None:
    assert loading.load_model(tiny(architecture, config, tmp_path, **settings), dtype, "cpu")


@pytest.mark.parametrize(
    ("architecture", "config", "settings", "message"),
    [
        ("BertModel", "BertConfig", {}, r"holds a BertModel, not a whole causal language model: 6 tensors missing"),
        ("BertForMaskedLM", "BertConfig", {}, r"is an encoder: .* cannot continue a text"),
        ("Gemma3ForCausalLM", "Gemma3TextConfig", {**GROUPED, "use_bidirectional_attention": True}, "is an encoder"),
        ("LlamaModel", "LlamaConfig", {}, r"holds a LlamaModel, .* \(lm_head\.weight\)\. Set model\.path to one"),
        (
            "LlamaForSequenceClassification",
            "LlamaConfig",
            {"tie_word_embeddings": True},
            r"holds a LlamaForSequenceClassification, .* no place for \(score\.weight\)",
        ),
        ("BartForConditionalGeneration", "BartConfig", {"d_model": 32}, r"holds a BartForConditionalGeneration"),
    ],
)
def test_models_that_continue_no_text(
    tmp_path: Path, architecture: str, config: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        loading.load_model(tiny(architecture, config, tmp_path, **settings), device="cpu")


def lora(base: Any, folder: Path, **settings: Any) -> Path:
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    whole = {"r": 4, "target_modules": ["q_proj", "v_proj"], "init_lora_weights": False, "task_type": "CAUSAL_LM"}
    get_peft_model(base, LoraConfig(**{**whole, **settings})).save_pretrained(str(folder))
    return folder


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_hidden_layers": 4}, r"8 tensors that it has no place for \(base_model\.model\.model\.layers\.2\."),
        ({"num_hidden_layers": 1}, r"4 tensors missing, which would be filled with random numbers"),
        ({"hidden_size": 64, "head_dim": 8}, r"lora_A\.default\.weight is \(4, 64\), expected \(4, 32\)\. It was made"),
    ],
)
def test_adapters_of_another_base(tiny_model: Path, tmp_path: Path, changed: dict[str, int], message: str) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = AutoConfig.from_pretrained(tiny_model)
    settings.update(changed)
    adapter = lora(AutoModelForCausalLM.from_config(settings), tmp_path / "adapter")  # type: ignore[no-untyped-call]
    with pytest.raises(ModelError, match=rf"does not fit the model .*{message}"):
        loading.load_model(tiny_model, device="cpu", adapter=adapter)


def test_an_adapter_with_a_larger_vocabulary(tiny_model: Path, tmp_path: Path) -> None:
    base: Any = loading.load_model(tiny_model, device="cpu")
    base.resize_token_embeddings(325)
    adapter = lora(base, tmp_path / "adapter", modules_to_save=["embed_tokens", "lm_head"])
    with pytest.raises(ModelError, match=r"is \(325, 32\), expected \(320, 32\)\. Its vocabulary is of another size"):
        loading.load_model(tiny_model, device="cpu", adapter=adapter)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"r": 8}, r"is \(4, 32\), expected \(8, 32\)"),
        ({"target_modules": ["q_proj"]}, r"4 tensors that it has no place for"),
        ({"target_modules": ["q_proj", "k_proj", "v_proj"]}, r"4 tensors missing"),
        ({"target_modules": ["c_attn"]}, r"does not fit the model .* Target modules .* not found"),
        ({"peft_type": "UNHEARD_OF"}, r"cannot be loaded as an adapter \(KeyError: 'UNHEARD_OF'\)"),
        (
            {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 4},
            r"is a PROMPT_TUNING adapter, which cannot be",
        ),
        ({"scale_by_wind": True}, r"peft does not know 1 setting .*\(scale_by_wind\).* Upgrade peft"),
    ],
)
def test_adapters_whose_settings_do_not_fit(
    tiny_model: Path, adapter: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        loading.load_model(tiny_model, device="cpu", adapter=with_settings(adapter, "adapter_config.json", **settings))


def test_settings_that_change_nothing_need_not_be_known(tiny_model: Path, adapter: Path) -> None:
    assert loading.load_model(tiny_model, adapter=with_settings(adapter, "adapter_config.json", new=None, off=False))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_value("lora_B", float("nan")), r"1 tensor with infinite values or NaN \(.*lora_B"),
        (without("layers.1.self_attn.v_proj.lora_A"), r"1 tensor missing, which would be filled with random numbers"),
        (added("base_model.model.score.weight", 2), r"1 tensor that it has no place for \(base_model\.model\.score"),
    ],
)
def test_adapters_whose_weights_do_not_fit(tiny_model: Path, adapter: Path, change: Change, message: str) -> None:
    with_tensors(adapter, change, "adapter_model.safetensors")
    with pytest.raises(ModelError, match=message):
        loading.load_model(tiny_model, device="cpu", adapter=adapter)


def test_values_beyond_the_number_format_name_another(copy: Path) -> None:
    with_tensors(copy, with_value("embed_tokens", 1e6))
    with pytest.raises(ModelError, match=r"embed_tokens.* Set model\.dtype to bfloat16 or float32"):
        loading.load_model(copy, "float16", "cpu")


def test_a_sum_that_overflows_is_looked_at_again() -> None:
    import torch

    largest = torch.full((4,), torch.finfo(torch.float32).max)
    assert not largest.sum().isfinite()
    assert integrity.non_finite([("a", largest), ("b", torch.tensor([1.0, float("nan")]))]) == ["b"]


def model(path: Path, adapter: Path) -> LocalModel:
    return LocalModel(LocalModelConfig("local", "m", str(path), adapter=str(adapter), device="cpu"))


def notes(path: Path, adapter: Path) -> tuple[str, ...]:
    prompts = [Prompt("1", text="A river is")]
    [completion] = model(path, adapter).generate(prompts, SamplingParams(max_tokens=2))
    return completion.notes


def test_what_a_reader_should_know_is_among_the_warnings(copy: Path, adapter: Path) -> None:
    with_settings(adapter, "adapter_config.json", base_model_name_or_path="org/Model-bnb-4bit")
    assert notes(copy, adapter) == ()
    with_settings(adapter, "adapter_config.json", base_model_name_or_path="org/Model-Instruct")
    cut = with_tensors(with_settings(copy, vocab_size=310), fewer_tokens)
    base, tokens = notes(cut, adapter)
    assert "names org/Model-Instruct as its base model" in base
    assert "10 tokens of its tokenizer are beyond the 310" in tokens


def fewer_tokens(tensors: Tensors) -> None:
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = tensors[name][:310].clone()


def test_weights_that_change_between_digest_and_load_are_refused(copy: Path, adapter: Path) -> None:
    whole = model(copy, adapter)
    assert whole.identity.weights
    assert whole._model
    for file in (copy / "model.safetensors", adapter / "adapter_config.json"):
        changed = model(copy, adapter)
        assert changed.identity.weights
        file.touch()
        with pytest.raises(ModelError, match=rf"{file.name} changed between being digested and being loaded"):
            assert changed._model
