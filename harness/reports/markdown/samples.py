"""The section of the report with completions side by side, for what no score shows.

Examples are chosen by rules that the report states, so that none is cherry-picked. Every run's predictions are read
once for the choice, and then only the lines that are shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.samples import SamplePick, SampleSelection, pick_samples
from harness.config import ReportConfig
from harness.reports.formatting import decimals, markdown, markdown_lines, number, shorten, table
from harness.types import FinishReason, Prediction
from harness.wording import visible

LIMIT = 400
"""Characters of a completion that the report shows."""
PROMPT_LIMIT = 4000
"""Characters of a prompt, or of the reasoning before an answer, that the report shows."""


def sample_section(board: Leaderboard, config: ReportConfig) -> Iterator[str]:
    """Yield the lines of the section: the chosen examples of all runs, then the notable ones in collapsed parts."""
    if not config.samples:
        return
    picked = pick_samples(board, config)
    yield "\n## Samples\n"
    yield f"Each completion is shown with its {markdown(board.primary)}. {_legend(config.references)}"
    for line in picked.remarks:
        yield f"\n{markdown(line)}"
    for part in picked.parts:
        if part.picks:
            yield f"\n<details{' open' if part is picked.parts[0] else ''}>"
            yield f"<summary>{markdown(part.title)} ({len(part.picks)})</summary>\n"
            yield markdown(part.rule)
            for example in part.picks:
                yield from _example(board, config, picked, example)
            yield "\n</details>"


def _legend(references: bool) -> str:
    if references:
        return "Words that are not in the reference are in bold."
    return "Words that are not in the first run's completion are in bold; this report omits references."


def _example(board: Leaderboard, config: ReportConfig, picked: SampleSelection, of: SamplePick) -> Iterator[str]:
    rows = picked.predictions[of.example_id]
    example = next(iter(rows.values())).example
    slices, note = ", ".join(example.slices.values()), f" · {of.note}" if of.note else ""
    yield f"\n**{markdown(shorten(example.prompt, LIMIT))}**" + (f" · {markdown(slices)}" if slices else "") + note
    yield ""
    metrics = [m for entry in board.entries if (m := entry.run.result.metric(board.primary))]
    shown = [rows[i] for i in of.runs]
    against = example.reference if config.references else next((p.completion.text for p in shown), None)
    known = None if against is None else frozenset(map(_bare, against.split()))
    cells = [["*reference*", "", markdown(shorten(example.reference, LIMIT))]] if config.references else []
    for i, prediction in zip(of.runs, shown, strict=True):
        score = number(prediction.scores.get(board.primary), decimals(metrics))
        name = markdown(board.entries[i].name)
        cells.append([name, score, _outcome(prediction, known, config.references)])
    yield from table(["run", markdown(board.primary), "completion"], cells, left=(0, 2))
    yield from _behind(board, config, of, shown)


def _behind(board: Leaderboard, config: ReportConfig, of: SamplePick, shown: Sequence[Prediction]) -> Iterator[str]:
    """Yield what the models got, unless references are left out, and what preceded their answers."""
    names = [board.entries[i].name for i in of.runs]
    users: dict[str, list[str]] = {}
    for name, prediction in zip(names, shown, strict=True):
        users.setdefault(prediction.prompt if config.references else "", []).append(name)
    parts = [("Prompt", ", ".join(of_prompt), text) for text, of_prompt in users.items() if text]
    reasoning = zip(names, (prediction.completion.reasoning for prediction in shown), strict=True)
    parts += [("Reasoning", name, text) for name, text in reasoning if text]
    for kind, runs, text in parts:
        yield f"\n<details><summary>{kind} ({markdown(runs)})</summary>\n"
        yield from markdown_lines(shorten(text, PROMPT_LIMIT))
        yield "\n</details>"


def _outcome(prediction: Prediction, known: frozenset[str] | None, references: bool) -> str:
    completion = prediction.completion
    if completion.text is None:
        return f"*error*: {markdown(shorten(completion.error or 'no completion', LIMIT))}"
    if not references and completion.text.strip() == prediction.example.reference.strip():
        return "*identical to the reference*"
    truncated = " *(truncated)*" if completion.finish_reason is FinishReason.LENGTH else ""
    shown = shorten(completion.text, LIMIT)
    return (_marked(shown[:LIMIT], known) or "*empty*") + markdown(shown[LIMIT:]) + truncated


def _marked(text: str, known: frozenset[str] | None) -> str:
    """Return a text escaped, with consecutive words that are not in `known` in bold."""
    if known is None:
        return markdown(text)
    parts: list[tuple[bool, list[str]]] = []
    for word in visible(text).split(" "):
        new = bool(_bare(word)) and _bare(word) not in known
        if not parts or parts[-1][0] != new:
            parts.append((new, []))
        parts[-1][1].append(markdown(word))
    return " ".join(f"**{' '.join(words)}**" if new else " ".join(words) for new, words in parts)


def _bare(word: str) -> str:
    """Return a word casefolded and without punctuation."""
    return "".join(c for c in word.casefold() if c.isalnum())
