"""Prompts that do not fit, memory that runs out, and models without a chat template."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError, ModelError
from harness.hf import loading
from harness.hf.decoding import DecodingBatch
from harness.types import FinishReason, Prompt, SamplingParams, TrainingPair
from tests.support.memory import allocate_in_python, allocate_on_cpu, fail_on_gpu
from tests.support.running import CHAT, PLAIN, model_of, outcomes, run


def test_a_prompt_longer_than_the_context_is_an_error(tiny_model: Path) -> None:
    prompts = [Prompt("long", text="x" * 128), Prompt("full", text="x" * 127), Prompt("empty"), PLAIN[0]]
    completions = run(model_of(tiny_model), prompts, SamplingParams(max_tokens=4))
    assert completions["long"].error == "the prompt has 128 tokens, the model takes 1 to 127"
    assert completions["empty"].error == "the prompt has 0 tokens, the model takes 1 to 127"
    assert completions["long"].finish_reason is FinishReason.ERROR
    assert (completions["full"].completion_tokens, completions["full"].finish_reason) == (1, FinishReason.LENGTH)
    assert completions["Rain"].completion_tokens == 4


def test_a_token_that_the_model_has_no_embedding_of_fails_its_prompt_alone(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    tokenizer = loading.load_tokenizer(folder)
    tokenizer.add_tokens(["<tool>"])
    tokenizer.save_pretrained(folder)
    model = model_of(folder)
    completions = run(model, [Prompt("new", text="call <tool> now"), PLAIN[0]], SamplingParams(max_tokens=4))
    assert completions["new"].error == (
        "the prompt cannot be read: it has the token 320, and the model knows the tokens 0 to 319"
    )
    assert completions["Rain"].completion_tokens == 4
    with pytest.raises(ModelError, match=r"'new': it has the token 320.* Leave the example out"):
        list(model.likelihoods([TrainingPair(Prompt("new", text="call"), "<tool>")]))


def test_a_prompt_of_megabytes_is_an_error_at_once(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(tiny_model)
    (rendered,) = model.rendered([Prompt("long", text="words " * 700_000)])
    assert 128 <= rendered.tokens < 1000
    (completion,) = model.generate([Prompt("long", text="words " * 700_000)], SamplingParams())
    assert completion.error == "the prompt has 4,200,000 characters, the model takes 1 to 127 tokens"
    assert completion.prompt_tokens == rendered.tokens


def fail_above(monkeypatch: pytest.MonkeyPatch, rows: int, fail: Callable[[], None] = fail_on_gpu) -> list[int]:
    """Make every step with more than `rows` rows run out of memory, and return the list of batches that began."""
    begun: list[int] = []
    start: Callable[..., None] = DecodingBatch.__init__
    step: Callable[..., Any] = DecodingBatch.logits

    def init(self: DecodingBatch, model: Any, prompts: Sequence[Sequence[int]]) -> None:
        begun.append(len(prompts))
        start(self, model, prompts)

    def logits(self: DecodingBatch) -> Any:
        if len(self._tokens) > rows:
            fail()
        return step(self)

    monkeypatch.setattr(DecodingBatch, "__init__", init)
    monkeypatch.setattr(DecodingBatch, "logits", logits)
    return begun


@pytest.mark.parametrize("fail", [allocate_on_cpu, allocate_in_python, fail_on_gpu])
def test_a_batch_that_does_not_fit_is_halved(
    ending_model: Path, monkeypatch: pytest.MonkeyPatch, fail: Callable[[], None]
) -> None:
    expected = outcomes(run(model_of(ending_model), CHAT, SamplingParams(max_tokens=24)))
    begun = fail_above(monkeypatch, rows=2, fail=fail)
    assert outcomes(run(model_of(ending_model), CHAT, SamplingParams(max_tokens=24))) == expected
    assert begun == [7, 4, 2, 2, 2, 1]


def test_memory_that_runs_out_on_the_way_repeats_only_what_is_not_finished(
    ending_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    expected = outcomes(run(model_of(ending_model), CHAT, SamplingParams(max_tokens=24)))
    failed: list[int] = []
    advance = DecodingBatch.advance

    def once(self: DecodingBatch, tokens: Any, keep: Sequence[int]) -> None:
        if len(keep) < len(tokens) and not failed:
            failed.append(len(keep))
            raise torch.OutOfMemoryError
        advance(self, tokens, keep)

    monkeypatch.setattr(DecodingBatch, "advance", once)
    assert outcomes(run(model_of(ending_model), CHAT, SamplingParams(max_tokens=24))) == expected
    assert failed


def test_a_prompt_that_never_fits_is_an_error(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_above(monkeypatch, rows=0)
    completions = run(model_of(tiny_model), CHAT[:3], SamplingParams(max_tokens=4))
    assert {c.error for c in completions.values()} == {
        "out of memory with this prompt alone: use a smaller dtype or max_tokens"
    }


def test_chat_needs_a_template(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ConfigError, match=r"no chat template. Set prompt\.style=plain"):
        run(model_of(folder), CHAT, SamplingParams())
    (folder / "chat_template.jinja").write_text("{{ raise_exception('no system messages') }}")
    with pytest.raises(ConfigError, match=r"refuses these messages: no system messages"):
        run(model_of(folder), CHAT, SamplingParams())


def test_a_batch_size_of_nothing_is_refused(tiny_model: Path) -> None:
    with pytest.raises(ConfigError, match="expected 1 or more, got 0"):
        model_of(tiny_model, batch_size=0)
