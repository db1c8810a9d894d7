"""Each metric's statistics, stored by its signature and all that it reads, so that a second run computes none.

A failed completion has no statistics but bounds: those of an empty text, and those of the reference itself. What is
known of it whatever was generated, the likelihood of given completions, stays as it is in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.digest import digest, digest_lines
from harness.protocols import LikelihoodMetric, Metric
from harness.store import Store
from harness.types import Completion, Example, FinishReason, FloatArray


@dataclass(frozen=True, slots=True)
class Rows:
    """One metric's statistics, shape (n, k): as they are, nan for failures, and with those at worst and best."""

    scored: FloatArray
    worst: FloatArray
    best: FloatArray


def statistics(
    metric: Metric, examples: Sequence[Example], completions: Sequence[Completion], store: Store
) -> tuple[Rows, str, bool]:
    """Return the metric's rows, the key that they are stored under, and whether they were there."""
    read = _read(metric, examples, completions)
    ok = [i for i, c in enumerate(read) if c.error is None]
    failed = [i for i, c in enumerate(read) if c.error is not None]

    def make(folder: Path) -> None:
        whole = [read[i] for i in ok]
        worst = [_finished(read[i], "") for i in failed]
        best = [_finished(read[i], examples[i].reference) for i in failed]
        aligned = [examples[i] for i in [*ok, *failed, *failed]]
        np.save(folder / "stats.npy", metric.stats([*whole, *worst, *best], aligned))

    folder, was_there = store.build("scores", _inputs(metric, examples, read), make)
    found = np.load(folder / "stats.npy", allow_pickle=False)
    scored = np.full((len(examples), found.shape[1]), np.nan)
    scored[ok] = found[: len(ok)]
    worst, best = scored.copy(), scored.copy()
    worst[failed] = found[len(ok) : len(ok) + len(failed)]
    best[failed] = found[len(ok) + len(failed) :]
    return Rows(scored, worst, best), folder.name, was_there


def _read(metric: Metric, examples: Sequence[Example], completions: Sequence[Completion]) -> list[Completion]:
    """Return the completions with those likelihoods alone that the metric asks for, so that its key is of no others."""
    if not isinstance(metric, LikelihoodMetric):
        return [replace(c, likelihoods={}) for c in completions]
    return [
        replace(c, likelihoods={text: c.likelihoods[text] for text in metric.wanted(e)})
        for e, c in zip(examples, completions, strict=True)
    ]


def _inputs(metric: Metric, examples: Sequence[Example], completions: Sequence[Completion]) -> dict[str, Any]:
    """Return what decides the statistics."""
    pairs = zip(examples, completions, strict=True)
    texts = digest_lines(part for e, c in pairs for part in (e.prompt, e.reference, _text(c)))
    inputs = {"signature": metric.signature, "texts": texts}
    if isinstance(metric, LikelihoodMetric):
        inputs["likelihoods"] = digest([c.likelihoods for c in completions])
    return inputs


def _text(completion: Completion) -> str:
    return "\x00error" if completion.text is None else completion.text


def _finished(failed: Completion, text: str) -> Completion:
    return replace(failed, text=text, error=None, finish_reason=FinishReason.STOP)
