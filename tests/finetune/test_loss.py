"""The loss against transformers' own on each example alone, where there is no padding and nothing to leak."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.finetune.loss import Scorer
from harness.hf import loading
from harness.hf.forward import Forward
from harness.hf.tokens import Tokens, collate, encode
from harness.types import TrainingPair


@pytest.fixture
def examples(tiny_model: Path, pairs: list[TrainingPair]) -> list[Tokens]:
    return encode(loading.load_tokenizer(tiny_model), pairs)


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
    loss = Scorer(model, "float32").train(collate(examples, "cpu"), weight, total)
    assert loss == pytest.approx(expected, rel=1e-5)
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


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
    found = Scorer(model, "float32").validate(examples)
    assert found.loss == pytest.approx(losses.sum() / sizes.sum(), rel=1e-5)
    keep = ~np.eye(len(examples), dtype=bool)
    without_one = np.array([losses[k].sum() / sizes[k].sum() for k in keep])
    jackknife = np.sqrt((len(examples) - 1) / len(examples) * np.square(without_one - without_one.mean()).sum())
    assert found.se == pytest.approx(jackknife, rel=0.1)
    assert Scorer(model, "float32").validate(examples[:1]).se is None


def test_the_error_of_a_change_is_over_paired_examples(model: Any, examples: list[Tokens]) -> None:
    before = Scorer(model, "float32").validate(examples)
    noise = np.random.default_rng(0).normal(0.1, 0.01, len(examples)) * before.tokens
    earlier = before.losses + noise
    found = before.change_se(earlier.tolist())
    keep = ~np.eye(len(examples), dtype=bool)
    without_one = np.array([noise[k].sum() / before.tokens[k].sum() for k in keep])
    jackknife = np.sqrt((len(examples) - 1) / len(examples) * np.square(without_one - without_one.mean()).sum())
    assert found == pytest.approx(jackknife, rel=0.1)
    assert found is not None
    assert before.se is not None
    assert found < before.se / 5
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
    found = Scorer(Parrot(), "float32").validate(rows)
    assert found.sequence_accuracy == pytest.approx(2 / 3)
    assert found.token_accuracy == pytest.approx(5 / 6)
