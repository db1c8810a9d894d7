"""Sample completions beside their references: what no score says.

The first examples are shown as they come, the same for all runs, so that nothing is picked to please.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.config import ReportConfig
from harness.leaderboard import Leaderboard
from harness.sinks.text import markdown, number, shorten
from harness.types import FinishReason, Prediction

LIMIT = 400
"""Characters of a completion that a report shows."""


def sample_section(board: Leaderboard, config: ReportConfig) -> Iterator[str]:
    """Yield the lines of the section: each example's reference and every run's completion with its score."""
    if not config.samples:
        return
    yield "\n## Samples\n"
    yield f"Every run's completion of the same {config.samples} examples, with its {markdown(board.primary)}."
    by_run = [(e.run.result.name, {p.example.id: p for p in e.run.predictions()}) for e in board.entries]
    for example_id, first in list(by_run[0][1].items())[: config.samples]:
        slices = ", ".join(first.example.slices.values())
        yield f"\n**{markdown(shorten(first.example.prompt, LIMIT))}**" + (f" · {markdown(slices)}" if slices else "")
        yield ""
        if config.references:
            yield f"- *reference*: {markdown(shorten(first.example.reference, LIMIT))}"
        for name, predictions in by_run:
            if example_id in predictions:
                yield f"- {markdown(name)} {_outcome(predictions[example_id], board.primary)}"


def _outcome(prediction: Prediction, primary: str) -> str:
    completion = prediction.completion
    if completion.text is None:
        return f"(**error**): {markdown(completion.error or 'no completion')}"
    score = number(prediction.scores.get(primary), 3)
    cut = ", **truncated**" if completion.finish_reason is FinishReason.LENGTH else ""
    return f"({score}{cut}): {markdown(shorten(completion.text, LIMIT)) or '*empty*'}"
