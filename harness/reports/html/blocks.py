"""Completions as compressed blocks of the page: one per run, one per metric, and one of what all runs share.

A browser decompresses a block when something in it is shown, so that opening the page does not depend on how many runs
it has. Texts are JSON lists and scores are float32; both are compressed with zlib (RFC 1950).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.analysis.leaderboard import Leaderboard
from harness.config import ReportConfig
from harness.reports.html.summary import plain
from harness.types import Example, FinishReason, Prediction

LEVEL = 6
"""The compression level, zlib's default; the highest takes three times as long to save another 1%."""
_FINISH = {FinishReason.STOP: "s", FinishReason.LENGTH: "l", FinishReason.ERROR: "e", FinishReason.UNKNOWN: "u"}
ABSENT = "-"
"""Stands for a finish reason if a run lacks the example."""


@dataclass(slots=True)
class _Examples:
    """Every example of any run, in order of appearance."""

    positions: dict[str, int] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)

    def position(self, example: Example) -> int:
        if example.id not in self.positions:
            self.positions[example.id] = len(self.examples)
            self.examples.append(example)
        return self.positions[example.id]


def blocks(board: Leaderboard, config: ReportConfig) -> Iterator[tuple[str, bytes]]:
    """Yield the name and compressed content of each block: `run-I` and `prompts-I`, then `examples`, then `metric-I`.

    The prompts are what the model got; a report without references has none, as solved examples quote theirs. A
    metric's block holds its scores as float32, shape (runs, examples), nan where there is none, as byte planes: the
    first bytes of all numbers, then all second bytes, and so on.
    """
    names = board.metrics
    seen, scores = _Examples(), []
    for i, entry in enumerate(board.entries):
        predictions = entry.run.predictions()
        positions = [seen.position(p.example) for p in predictions]
        size = len(seen.examples)
        yield f"run-{i}", _compressed(_texts(predictions, positions, size))
        yield f"prompts-{i}", _compressed(_prompts(predictions, positions, size) if config.references else [])
        scores.append({name: _column((p.scores for p in predictions), name, positions, size) for name in names})
    yield "examples", _compressed(_shared(seen.examples, config.references))
    for i, name in enumerate(names):
        table = np.full((len(scores), len(seen.examples)), np.nan, np.float32)
        for row, columns in zip(table, scores, strict=True):
            row[: len(columns[name])] = columns[name]
        yield f"metric-{i}", zlib.compress(_planes(table), LEVEL)


def _texts(predictions: Iterable[Prediction], positions: Iterable[int], size: int) -> dict[str, Any]:
    texts: list[str | None] = [None] * size
    tokens: list[int | None] = [None] * size
    finish, errors, more = [ABSENT] * size, {}, {}
    for at, prediction in zip(positions, predictions, strict=True):
        completion = prediction.completion
        texts[at] = None if completion.text is None else plain(completion.text)
        finish[at] = _FINISH[completion.finish_reason]
        tokens[at] = completion.completion_tokens
        if completion.text is None:
            finish[at] = _FINISH[FinishReason.ERROR]
            errors[str(at)] = plain(completion.error or "no completion")
        if completion.raw is not None or completion.reasoning is not None:
            more[str(at)] = [plain(completion.reasoning), plain(completion.raw)]
    return {"texts": texts, "finish": "".join(finish), "errors": errors, "tokens": tokens, "more": more}


def _prompts(predictions: Iterable[Prediction], positions: Iterable[int], size: int) -> list[str]:
    prompts = [""] * size
    for at, prediction in zip(positions, predictions, strict=True):
        prompts[at] = plain(prediction.prompt)
    return prompts


def _column(
    scores: Iterable[Mapping[str, float | None]], name: str, positions: list[int], size: int
) -> NDArray[np.float32]:
    column = np.full(size, np.nan, np.float32)
    column[positions] = np.array([row.get(name) for row in scores], np.float32)
    return column


def _shared(examples: list[Example], references: bool) -> dict[str, Any]:
    keys = dict.fromkeys(key for example in examples for key in example.slices)
    return {
        "ids": [plain(e.id) for e in examples],
        "prompts": None if all(e.prompt == e.id for e in examples) else [plain(e.prompt) for e in examples],
        "references": [plain(e.reference) for e in examples] if references else None,
        "slices": {plain(key): [plain(e.slices.get(key)) for e in examples] for key in keys},
    }


def _planes(table: NDArray[np.float32]) -> bytes:
    """Return the numbers as byte planes, rounded to 16 significant bits (five digits) to compress to half the size."""
    rounded = (table.astype("<f4").view("<u4") + 0x80) & 0xFFFFFF00
    return rounded.astype("<u4").reshape(-1, 1).view(np.uint8).T.tobytes()


def _compressed(value: object) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode("ascii"), LEVEL)
