"""Encoding, the data order, and batches that fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import FineTuneError
from harness.finetune.loss import encode, epoch
from harness.hf import loading, tokens
from harness.hf.tokens import Tokens, collate, parts
from harness.types import Message, Prompt, TrainingPair

PLAIN = TrainingPair(Prompt("p", text="What is water?"), "It is water.")
CHAT = TrainingPair(Prompt("c", messages=(Message("user", "What is water?"),)), "It is water.")


@pytest.mark.parametrize(
    ("pair", "text"),
    [(PLAIN, "What is water? It is water.<end>"), (CHAT, "<user>What is water?<end><answer>It is water.<end>")],
)
def test_a_pair_is_its_prompt_as_generation_renders_it_and_its_completion(
    tiny_model: Path, pair: TrainingPair, text: str
) -> None:
    tokenizer = loading.load_tokenizer(tiny_model)
    (encoded,) = encode(tokenizer, [pair], 128)
    assert tokenizer.decode(list(encoded.ids)) == text
    assert list(encoded.ids[: encoded.n_prompt]) == loading.encode_prompt(tokenizer, pair.prompt)


def test_an_example_that_is_too_long_is_named_and_not_cut(tiny_model: Path) -> None:
    tokenizer = loading.load_tokenizer(tiny_model)
    (encoded,) = encode(tokenizer, [PLAIN], 128)
    assert encode(tokenizer, [PLAIN], len(encoded.ids)) == [encoded]
    with pytest.raises(FineTuneError, match=rf"'p'.*{len(encoded.ids)} tokens.*takes {len(encoded.ids) - 1}\."):
        encode(tokenizer, [PLAIN], len(encoded.ids) - 1)


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
    made = epoch(_examples(1000), 8, (0, 0))
    widths = [max(len(e.ids) for e in batch) for batch in made]
    padded = sum(width * len(batch) for width, batch in zip(widths, made, strict=True))
    assert padded < 1.1 * sum(len(e.ids) for batch in made for e in batch)
    assert widths[:8] != sorted(widths[:8])


def test_parts_fit_one_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "FORWARD_TOKENS", 100)
    examples = [*_examples(20), Tokens("long", (1,) * 300, 1)]
    made = list(parts(examples))
    assert [e.example_id for e in made[0]] == ["long"]
    assert all(len(part) * len(part[0].ids) <= 100 for part in made[1:])
    assert sorted(e.example_id for part in made for e in part) == sorted(e.example_id for e in examples)
