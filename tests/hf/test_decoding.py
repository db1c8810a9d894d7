"""The choice of the next token, the reading of what prompts share, and the text of tokens that come one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.hf import loading
from harness.hf.decoding import UNFINISHED, WINDOW, DecodingBatch, Detokenizer, choose
from harness.hf.encoding import TextEncoder
from harness.types import SamplingParams
from tests.support.tokenizers import sentencepiece

PROBABILITIES = (0.1, 0.5, 0.15, 0.25)


@pytest.mark.parametrize(
    ("decoding", "expected"),
    [
        (SamplingParams(), (0, 1, 0, 0)),
        (SamplingParams(temperature=1.0), PROBABILITIES),
        (SamplingParams(temperature=1.0, top_p=0.7), (0, 2 / 3, 0, 1 / 3)),
        (SamplingParams(temperature=1.0, top_p=0.75), (0, 2 / 3, 0, 1 / 3)),
        (SamplingParams(temperature=1.0, top_p=0.2), (0, 1, 0, 0)),
        (SamplingParams(temperature=0.5), tuple(np.square(PROBABILITIES) / np.square(PROBABILITIES).sum())),
    ],
)
def test_tokens_are_drawn_in_their_proportions(decoding: SamplingParams, expected: tuple[float, ...]) -> None:
    import torch

    uniform = (np.arange(2000) + 0.5) / 2000
    logits = torch.tensor(PROBABILITIES, dtype=torch.double).log().expand(len(uniform), -1)
    drawn = choose(logits, decoding, uniform.tolist())
    assert np.bincount(drawn, minlength=4) / len(uniform) == pytest.approx(expected, abs=1e-3)


def test_the_ends_of_the_interval_are_tokens_too() -> None:
    import torch

    logits = torch.tensor(PROBABILITIES).log().expand(2, -1)
    drawn = choose(logits, SamplingParams(temperature=1.0), [0.0, float(np.nextafter(1, 0))])
    assert drawn.tolist() == [1, 0]


@pytest.mark.parametrize(
    "prompts",
    [
        [[5, 6, 7, 8], [5, 6, 7, 9, 10]],
        [[5, 6, 7], [5, 6, 7, 8, 9]],
        [[5, 6, 7], [5, 6, 7]],
        [[5], [5, 6, 7]],
        [[5, 6], [7, 8, 9]],
        [[5, 6, 7]],
    ],
    ids=["shared start", "one is the start of the other", "equal", "one token", "nothing shared", "alone"],
)
def test_what_prompts_share_is_read_once_and_changes_nothing(tiny_model: Path, prompts: list[list[int]]) -> None:
    import torch

    model = loading.load_model(tiny_model, device="cpu")
    together = DecodingBatch(model, prompts)
    alone = [DecodingBatch(model, [prompt]) for prompt in prompts]
    for _ in range(3):
        logits = together.logits()
        expected = torch.cat([row.logits() for row in alone])
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
        chosen = logits.argmax(-1)
        together.advance(chosen, range(len(prompts)))
        for i, row in enumerate(alone):
            row.advance(chosen[i : i + 1], [0])


@pytest.mark.parametrize("text", ["A river flows to the sea. " * 30, "naïve 日本 🎉 " * 30, "\n\n" * 60, "🎉" * 60])
@pytest.mark.parametrize("make", [sentencepiece, None])
def test_growing_tokens_have_the_text_of_the_whole_and_are_decoded_once(
    tiny_model: Path, make: Callable[[], Any] | None, text: str
) -> None:
    tokenizer = make() if make else loading.load_tokenizer(tiny_model)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    decode = TextEncoder(tokenizer).decoder(())
    sizes: list[int] = []

    def counted(tokens: Sequence[int]) -> str:
        sizes.append(len(tokens))
        return decode(tokens)

    detokenizer = Detokenizer(counted)
    for n in range(1, len(ids) + 1):
        text_so_far, whole = detokenizer.text(ids[:n]), decode(ids[:n])
        assert text_so_far == whole or whole.endswith(UNFINISHED)  # within a character
    assert max(sizes) <= 2 * WINDOW
