"""The choice of the next token."""

from __future__ import annotations

import numpy as np
import pytest

from harness.models.batch import choose
from harness.types import Decoding

PROBABILITIES = (0.1, 0.5, 0.15, 0.25)


@pytest.mark.parametrize(
    ("decoding", "expected"),
    [
        (Decoding(), (0, 1, 0, 0)),
        (Decoding(temperature=1.0), PROBABILITIES),
        (Decoding(temperature=1.0, top_p=0.7), (0, 2 / 3, 0, 1 / 3)),
        (Decoding(temperature=1.0, top_p=0.75), (0, 2 / 3, 0, 1 / 3)),
        (Decoding(temperature=1.0, top_p=0.2), (0, 1, 0, 0)),
        (Decoding(temperature=0.5), tuple(np.square(PROBABILITIES) / np.square(PROBABILITIES).sum())),
    ],
)
def test_tokens_are_drawn_in_their_proportions(decoding: Decoding, expected: tuple[float, ...]) -> None:
    import torch

    uniform = (np.arange(2000) + 0.5) / 2000
    logits = torch.tensor(PROBABILITIES, dtype=torch.double).log().expand(len(uniform), -1)
    drawn = choose(logits, decoding, uniform.tolist())
    assert np.bincount(drawn, minlength=4) / len(uniform) == pytest.approx(expected, abs=1e-3)


def test_the_ends_of_the_interval_are_tokens_too() -> None:
    import torch

    logits = torch.tensor(PROBABILITIES).log().expand(2, -1)
    drawn = choose(logits, Decoding(temperature=1.0), [0.0, float(np.nextafter(1, 0))])
    assert drawn.tolist() == [1, 0]
