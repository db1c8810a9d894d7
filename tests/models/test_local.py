"""The local backend, against transformers' own `generate`."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.hf import loading
from harness.models import local
from harness.protocols import Model
from harness.types import FinishReason, Message, Prompt, SamplingParams, StopAt
from tests.support.running import CHAT, PLAIN, TITLES, model_of, outcomes, run


def generated(folder: Path, prompts: Sequence[Prompt], max_tokens: int) -> dict[str, tuple[str, int, FinishReason]]:
    """Return each greedy text of transformers' `generate`, its length in tokens and why it ended."""
    tokenizer, model = loading.load_tokenizer(folder), loading.load_model(folder, device="cpu")
    ends = model.generation_config.eos_token_id
    expected = {}
    for prompt in prompts:
        tokens = loading.encode_prompt(tokenizer, prompt)
        batch = tokenizer.pad({"input_ids": [tokens]}, return_tensors="pt")
        output: Any = model.generate(**batch, max_new_tokens=max_tokens, do_sample=False)  # type: ignore[operator]
        new = output[0, len(tokens) :].tolist()
        ended = new[-1] in (ends if isinstance(ends, list) else [ends])
        text = str(tokenizer.decode(new[:-1] if ended else new, skip_special_tokens=True)).strip()
        expected[prompt.example_id] = text, len(new), FinishReason.STOP if ended else FinishReason.LENGTH
    return expected


@pytest.mark.parametrize("batch_size", [1, 3, 32])
@pytest.mark.parametrize("prompts", [CHAT, PLAIN], ids=["chat", "plain"])
def test_greedy_rows_equal_generate(ending_model: Path, prompts: list[Prompt], batch_size: int) -> None:
    completions = outcomes(run(model_of(ending_model, batch_size=batch_size), prompts, SamplingParams(max_tokens=24)))
    assert completions == generated(ending_model, prompts, 24)
    assert {reason for _, _, reason in completions.values()} == {FinishReason.STOP, FinishReason.LENGTH}
    assert len({tokens for _, tokens, _ in completions.values()}) > 2


@pytest.mark.slow
def test_greedy_rows_of_a_real_model_equal_generate(smollm2: Path) -> None:
    titles = ("Photosynthesis", "Paris", "Isaac Newton", "DNA", "World War II", "Jazz", "The Adventures of Tintin", "Q")
    prompts = [Prompt(t, messages=(Message("user", f"In one sentence, what is {t}?"),)) for t in titles]
    completions = run(model_of(smollm2), prompts, SamplingParams(max_tokens=32))
    assert outcomes(completions) == generated(smollm2, prompts, 32)
    sentences = run(model_of(smollm2), prompts, SamplingParams(max_tokens=32, stop_at=StopAt.sentence))
    for title, completion in sentences.items():
        whole, short = completions[title].text, completion.text
        assert whole is not None
        assert short is not None
        assert whole.startswith(short)


def test_the_contract(tiny_model: Path) -> None:
    model = model_of(tiny_model)
    assert isinstance(model, Model)
    identity, parameters = model.identity, model.parameters
    assert "_model" not in vars(model), "the identity must not load the weights"
    assert (identity.backend, identity.base, identity.dtype) == ("local", str(tiny_model), "float32")
    assert parameters == loading.load_model(tiny_model).num_parameters()


SAMPLING = SamplingParams(max_tokens=12, temperature=1.0, top_p=0.9, seed=3)


def test_samples_depend_on_seed_and_prompt_and_nothing_else(tiny_model: Path) -> None:
    whole = run(model_of(tiny_model), CHAT, SAMPLING)
    assert outcomes(run(model_of(tiny_model, batch_size=2), CHAT[::-1], SAMPLING)) == outcomes(whole)
    assert outcomes(run(model_of(tiny_model), CHAT[3:4], SAMPLING)) == outcomes({TITLES[3]: whole[TITLES[3]]})
    other = run(model_of(tiny_model), CHAT, SamplingParams(max_tokens=12, temperature=1.0, top_p=0.9, seed=4))
    assert outcomes(other) != outcomes(whole)


def make_output(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    """Make the model make_output `text`, a byte-level token at a time."""
    import torch

    script = iter(loading.load_tokenizer(folder)(text)["input_ids"])
    monkeypatch.setattr(local, "choose", lambda *_: torch.tensor([next(script)]))


@pytest.mark.parametrize(
    ("output", "decoding", "text", "reason"),
    [
        (" A river<end>", SamplingParams(), "A river", FinishReason.STOP),
        ("<end>", SamplingParams(), "", FinishReason.STOP),
        ("A river is a", SamplingParams(max_tokens=1), "A", FinishReason.LENGTH),
        ("A ri###ver", SamplingParams(stop=("##",)), "A ri", FinishReason.STOP),
        ("A river of light", SamplingParams(stop=("iver of l",)), "A r", FinishReason.STOP),
        ("A river\nIt", SamplingParams(stop_at=StopAt.line), "A river", FinishReason.STOP),
        ("\n\nA river\nIt", SamplingParams(stop_at=StopAt.line), "A river", FinishReason.STOP),
        ("A river flows. It", SamplingParams(stop_at=StopAt.sentence), "A river flows.", FinishReason.STOP),
        ("A river flows.<end>", SamplingParams(stop_at=StopAt.sentence), "A river flows.", FinishReason.STOP),
        ("A naïve 日本<end>", SamplingParams(), "A naïve 日本", FinishReason.STOP),
    ],
)
def test_stops(
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    output: str,
    decoding: SamplingParams,
    text: str,
    reason: FinishReason,
) -> None:
    make_output(monkeypatch, tiny_model, output)
    [completion] = model_of(tiny_model).generate(PLAIN[:1], decoding)
    assert (completion.text, completion.finish_reason) == (text, reason)
    assert completion.prompt_tokens == len(loading.load_tokenizer(tiny_model)(PLAIN[0].text)["input_ids"])
    assert completion.seconds is not None


@pytest.mark.parametrize("architecture", ["gpt2", "qwen2", "gemma2", "mistral"])
def test_other_architectures_equal_generate(tiny_model: Path, tmp_path: Path, architecture: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = shutil.copytree(tiny_model, tmp_path / "model")
    size: dict[str, Any] = {"vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    own: dict[str, Any] = {"sliding_window": 16, "head_dim": 8, "intermediate_size": 64, "num_key_value_heads": 2}
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        architecture,
        **size,
        **({} if architecture == "gpt2" else own),
        initializer_range=0.3,
        eos_token_id=0,
        bos_token_id=0,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    assert outcomes(run(model_of(folder, batch_size=4), CHAT, SamplingParams(max_tokens=24))) == generated(
        folder, CHAT, 24
    )
