"""Likelihoods against transformers' own loss on each pair alone, where there is no padding and nothing to leak."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ModelError
from harness.hf import loading
from harness.hf.encoding import TextEncoder
from harness.hf.forward import Forward
from harness.hf.tokens import TokenBatch
from harness.models.local import LocalModel
from harness.protocols import LikelihoodModel
from harness.types import FinishReason, Likelihood, Prompt, SamplingParams, TrainingPair
from tests.support.running import CHAT, PLAIN, model_of
from tests.support.tokenizers import ANSWERS, llama, sentencepiece

SENTENCES = (
    "It is water.",
    "A river flows to the sea.\nIt is long.",
    "Light",
    "naïve 東京 🎉",
    "It is light, or sugar. " * 3,
)
PAIRS = [TrainingPair(prompt, SENTENCES[i % 5]) for i, prompt in enumerate([*CHAT, *PLAIN])]


def measured(model: LocalModel, pairs: Sequence[TrainingPair]) -> list[Likelihood]:
    by_position = dict(model.likelihoods(pairs))
    assert sorted(by_position) == list(range(len(pairs)))
    return [by_position[i] for i in range(len(pairs))]


def alone(model: Any, tokenizer: Any, pair: TrainingPair) -> Likelihood:
    """Return the likelihood of one pair by transformers itself: its loss over the completion, and its argmaxes."""
    import torch

    prompt = TextEncoder(tokenizer).prompts([pair.prompt])[0].ids
    text = pair.completion if pair.prompt.messages else f" {pair.completion}"
    completion = [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    ids = torch.tensor([[*prompt, *completion]])
    labels = ids.clone()
    labels[:, : len(prompt)] = -100
    with torch.no_grad():
        out: Any = model(input_ids=ids, labels=labels)
    greedy = (out.logits[0, len(prompt) - 1 : -1].argmax(-1) == ids[0, len(prompt) :]).sum()
    return Likelihood(float(out.loss) * len(completion), len(completion), int(greedy))


def check(model: LocalModel, folder: Path, pairs: Sequence[TrainingPair]) -> None:
    tokenizer, reference = loading.load_tokenizer(folder), loading.load_model(folder, device="cpu")
    for likelihood, pair in zip(measured(model, pairs), pairs, strict=True):
        expected = alone(reference, tokenizer, pair)
        assert likelihood.nll == pytest.approx(expected.nll, rel=1e-5)
        assert (likelihood.tokens, likelihood.greedy) == (expected.tokens, expected.greedy)


def test_likelihoods_are_transformers_own(tiny_model: Path) -> None:
    model = model_of(tiny_model)
    assert isinstance(model, LikelihoodModel)
    check(model, tiny_model, PAIRS)


@pytest.mark.parametrize("end_behind", [False, True])
def test_a_completion_has_the_tokens_that_it_has_behind_its_prompt(tmp_path: Path, end_behind: bool) -> None:
    import torch

    reference = llama(sentencepiece(), tmp_path).eval()
    sentencepiece(end_behind).save_pretrained(tmp_path)
    tokenizer = sentencepiece()
    prompts = [f"Q: capital of {question}?\nA:" for question in ANSWERS]
    pairs = [TrainingPair(Prompt("q", text=p), a) for p, a in zip(prompts, ANSWERS.values(), strict=True)]
    for prompt, likelihood, pair in zip(prompts, measured(model_of(tmp_path), pairs), pairs, strict=True):
        whole = [*tokenizer(f"{prompt} {pair.completion}")["input_ids"], tokenizer.eos_token_id]
        n_prompt = len(tokenizer(prompt)["input_ids"])
        ids = torch.tensor([whole])
        labels = ids.clone()
        labels[:, :n_prompt] = -100
        with torch.no_grad():
            loss = float(reference(input_ids=ids, labels=labels).loss)
        assert likelihood.tokens == len(whole) - n_prompt
        assert likelihood.nll == pytest.approx(loss * likelihood.tokens, rel=1e-5)


@pytest.mark.slow
def test_likelihoods_of_real_weights_are_transformers_own(smollm2: Path) -> None:
    model = model_of(smollm2)
    check(model, smollm2, PAIRS[:4])
    (completion,) = model.generate([CHAT[0]], SamplingParams(max_tokens=100))
    assert completion.finish_reason is FinishReason.STOP
    (likelihood,) = measured(model, [TrainingPair(CHAT[0], completion.text or "")])
    assert likelihood.greedy == likelihood.tokens == completion.completion_tokens


def test_a_pair_that_does_not_fit_is_named(tiny_model: Path) -> None:
    pairs = [PAIRS[0], TrainingPair(Prompt("long", text="Rain is"), "x" * 200)]
    with pytest.raises(ModelError, match=r"'long': prompt and completion have \d+ tokens, and the model takes 128\."):
        measured(model_of(tiny_model), pairs)


def test_a_batch_that_does_not_fit_memory_is_halved(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    model, judge, most = model_of(tiny_model), Forward.token_losses, 2
    whole = measured(model, PAIRS)

    def limited(self: Forward, batch: TokenBatch) -> Any:
        if len(batch.ids) > most:
            raise torch.OutOfMemoryError
        return judge(self, batch)

    monkeypatch.setattr(Forward, "token_losses", limited)
    for likelihood, expected in zip(measured(model, PAIRS), whole, strict=True):
        assert likelihood.nll == pytest.approx(expected.nll, rel=1e-5)
    most = 0
    with pytest.raises(ModelError, match="Out of memory with"):
        measured(model, PAIRS)


def test_a_likelihood_that_is_not_finite_names_its_example(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Forward.token_losses
    monkeypatch.setattr(Forward, "token_losses", lambda self, batch: judge(self, batch) * float("nan"))
    with pytest.raises(ModelError, match=r"'Rain': .* is nan\. Set model\.dtype=float32"):
        measured(model_of(tiny_model), PAIRS[:1])
