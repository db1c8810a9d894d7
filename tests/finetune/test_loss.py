"""Batches, and the loss against transformers' own on each example alone, without padding or anything to leak."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import FineTuneError
from harness.finetune.loss import LossScorer, encode, epoch
from harness.hf import loading, tokens
from harness.hf.encoding import TextEncoder
from harness.hf.forward import Forward
from harness.hf.tokens import TokenLimits, Tokens, collate, parts
from harness.types import Message, Prompt, TrainingPair

PLAIN = TrainingPair(Prompt("p", text="What is water?"), "It is water.")
CHAT = TrainingPair(Prompt("c", messages=(Message("user", "What is water?"),)), "It is water.")


@pytest.fixture
def examples(tiny_model: Path, pairs: list[TrainingPair]) -> list[Tokens]:
    return TextEncoder(loading.load_tokenizer(tiny_model)).pairs(pairs)


@pytest.fixture
def model(tiny_model: Path) -> Any:
    return loading.load_model(tiny_model)


def own_loss(model: Any, example: Tokens, *spans: tuple[int, int]) -> Any:
    """Return transformers' own mean loss of one example over the tokens in `spans`, times how many those are."""
    import torch

    ids = torch.tensor([example.ids])
    labels = torch.full_like(ids, -100)
    for begin, end in spans:
        labels[:, begin:end] = ids[:, begin:end]
    return model(input_ids=ids, labels=labels).loss * (labels[:, 1:] != -100).sum()


@pytest.mark.parametrize("weight", [0.0, 0.1, 1.0])
def test_loss_and_gradients_are_the_models_own(model: Any, examples: list[Tokens], weight: float) -> None:
    import torch

    reference = copy.deepcopy(model)
    total = sum(len(e.ids) - e.n_prompt + weight * (e.n_prompt - 1) for e in examples)
    expected = 0.0
    for example in examples:
        completion = own_loss(reference, example, (example.n_prompt, len(example.ids)))
        prompt = own_loss(reference, example, (0, example.n_prompt))
        ((completion + weight * prompt) / total).backward()
        expected += float(completion.detach())
    loss = LossScorer(model, "float32").train(collate(examples, "cpu"), weight, total)
    assert loss == pytest.approx(expected, rel=1e-5)
    for trained, expected_parameter in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(trained.grad, expected_parameter.grad, rtol=1e-4, atol=1e-6)


def test_a_weight_of_one_is_plain_language_modelling(model: Any, examples: list[Tokens]) -> None:
    total = sum(len(e.ids) - 1 for e in examples)
    by_hand = sum(float(own_loss(model, e, (0, len(e.ids))).detach()) for e in examples)
    batch = collate(examples, "cpu")
    logits = Forward(model).logits(batch, batch.completion | batch.prompt)
    assert len(logits) == total
    nll = -logits.log_softmax(-1).gather(1, batch.targets[batch.completion | batch.prompt][:, None])
    assert float(nll.detach().sum()) == pytest.approx(by_hand, rel=1e-5)


def test_validation_is_over_tokens_with_an_error_over_examples(model: Any, examples: list[Tokens]) -> None:
    sizes = np.array([len(e.ids) - e.n_prompt for e in examples])
    losses = np.array([float(own_loss(model, e, (e.n_prompt, len(e.ids))).detach()) for e in examples])
    result = LossScorer(model, "float32").validate(examples)
    assert result.loss == pytest.approx(losses.sum() / sizes.sum(), rel=1e-5)
    keep = ~np.eye(len(examples), dtype=bool)
    without_one = np.array([losses[k].sum() / sizes[k].sum() for k in keep])
    jackknife = np.sqrt((len(examples) - 1) / len(examples) * np.square(without_one - without_one.mean()).sum())
    assert result.se == pytest.approx(jackknife, rel=0.1)
    assert LossScorer(model, "float32").validate(examples[:1]).se is None


def test_the_error_of_a_change_is_over_paired_examples(model: Any, examples: list[Tokens]) -> None:
    before = LossScorer(model, "float32").validate(examples)
    noise = np.random.default_rng(0).normal(0.1, 0.01, len(examples)) * before.tokens
    earlier = before.losses + noise
    change_se = before.change_se(earlier.tolist())
    keep = ~np.eye(len(examples), dtype=bool)
    without_one = np.array([noise[k].sum() / before.tokens[k].sum() for k in keep])
    jackknife = np.sqrt((len(examples) - 1) / len(examples) * np.square(without_one - without_one.mean()).sum())
    assert change_se == pytest.approx(jackknife, rel=0.1)
    assert change_se is not None
    assert before.se is not None
    assert change_se < before.se / 5
    assert before.change_se(before.losses.tolist()) == 0


def test_accuracies_are_those_of_the_first_fine_tuning_api() -> None:
    """Its documentation's example: completions [[1, 2], [0, 5], [4, 2]], predicted [[1, 1], [0, 5], [4, 2]]."""
    import torch

    class Parrot(torch.nn.Module):
        """Predicts those tokens, whatever it is given."""

        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Identity()
            self.weight = torch.nn.Parameter(torch.zeros(()))

        def get_output_embeddings(self) -> torch.nn.Module:
            return self.head

        def forward(self, input_ids: Any, use_cache: bool) -> Any:
            predicted = torch.tensor([[1, 1, 0], [0, 5, 0], [4, 2, 0]])
            logits = self.head(torch.nn.functional.one_hot(predicted, 6).float())
            return type("Output", (), {"logits": logits})

    rows = [Tokens(str(i), (3, *completion), 1) for i, completion in enumerate([(1, 2), (0, 5), (4, 2)])]
    result = LossScorer(Parrot(), "float32").validate(rows)
    assert result.sequence_accuracy == pytest.approx(2 / 3)
    assert result.token_accuracy == pytest.approx(5 / 6)


@pytest.mark.parametrize(
    ("pair", "text"),
    [(PLAIN, "What is water? It is water.<end>"), (CHAT, "<user>What is water?<end><answer>It is water.<end>")],
)
def test_a_pair_is_its_prompt_as_generation_renders_it_and_its_completion(
    tiny_model: Path, pair: TrainingPair, text: str
) -> None:
    tokenizer = loading.load_tokenizer(tiny_model)
    encoder = TextEncoder(tokenizer)
    (encoded,) = encode(encoder, [pair], TokenLimits(128))
    assert tokenizer.decode(list(encoded.ids)) == text
    assert list(encoded.ids[: encoded.n_prompt]) == encoder.prompts([pair.prompt])[0].ids


def test_an_example_that_is_too_long_is_named_and_not_truncated(tiny_model: Path) -> None:
    encoder = TextEncoder(loading.load_tokenizer(tiny_model))
    (encoded,) = encode(encoder, [PLAIN], TokenLimits(128))
    assert encode(encoder, [PLAIN], TokenLimits(len(encoded.ids))) == [encoded]
    with pytest.raises(FineTuneError, match=rf"'p'.*{len(encoded.ids)} tokens.*takes {len(encoded.ids) - 1}\."):
        encode(encoder, [PLAIN], TokenLimits(len(encoded.ids) - 1))
    with pytest.raises(FineTuneError, match=rf"'p': it has the token {max(encoded.ids)}, and the model knows"):
        encode(encoder, [PLAIN], TokenLimits(128, vocabulary=max(encoded.ids)))


def test_masks_say_what_predicts_the_prompt_and_the_completion() -> None:
    batch = collate([Tokens("a", (7, 8, 9, 5), 2), Tokens("b", (6, 5), 1), Tokens("c", (4, 5), 0)], "cpu")
    assert batch.ids.tolist() == [[7, 8, 9, 5], [6, 5, 0, 0], [4, 5, 0, 0]]
    assert batch.targets.tolist() == [[8, 9, 5, 0], [5, 0, 0, 0], [5, 0, 0, 0]]
    assert batch.prompt.int().tolist() == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert batch.completion.int().tolist() == [[0, 1, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0]]


def _examples(n: int) -> list[Tokens]:
    return [Tokens(str(i), (1,) * (2 + i * 7 % 50), 1) for i in range(n)]


def test_an_epoch_has_every_example_once_in_an_order_of_its_own() -> None:
    examples = _examples(103)
    first, again, second = (epoch(examples, 4, (0, number)) for number in (0, 0, 1))
    assert first == again != second
    assert sorted(e.example_id for batch in first for e in batch) == sorted(e.example_id for e in examples)
    assert sorted(len(batch) for batch in first) == [3, *[4] * 25]


def test_batches_have_little_padding_and_are_in_no_order_of_length() -> None:
    batches = epoch(_examples(1000), 8, (0, 0))
    widths = [max(len(e.ids) for e in batch) for batch in batches]
    padded = sum(width * len(batch) for width, batch in zip(widths, batches, strict=True))
    assert padded < 1.1 * sum(len(e.ids) for batch in batches for e in batch)
    assert widths[:8] != sorted(widths[:8])


def test_parts_fit_one_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "FORWARD_TOKENS", 100)
    examples = [*_examples(20), Tokens("long", (1,) * 300, 1)]
    split = list(parts(examples))
    assert [e.example_id for e in split[0]] == ["long"]
    assert all(len(part) * len(part[0].ids) <= 100 for part in split[1:])
    assert sorted(e.example_id for part in split for e in part) == sorted(e.example_id for e in examples)
