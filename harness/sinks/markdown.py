"""The markdown report: the leaderboard and its evidence in one file that GitHub renders.

It is made from stored runs alone, so `python -m harness report` gives the same file as the run itself did.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.config import ReportConfig
from harness.leaderboard import Leaderboard
from harness.sinks.evidence import evidence_section
from harness.sinks.plots import draw
from harness.sinks.samples import sample_section
from harness.sinks.terminal import FEW, remarks
from harness.sinks.text import decimals, markdown, number, table, with_interval
from harness.store import write_atomic
from harness.types import MetricResult, RunResult


def numbered(config: ReportConfig, i: int) -> ReportConfig:
    """Return where the leaderboard at position `i` is written: runs on other examples have a report of their own."""
    return replace(config, name=f"{config.name}-{i + 1}") if i else config


class MarkdownSink:
    """Writes `<dir>/<task>/<name>/leaderboard.md`."""

    def __init__(self, config: ReportConfig) -> None:
        self.config = config

    def write(self, leaderboard: Leaderboard) -> Sequence[str]:
        """Write the report and return its path."""
        folder = Path(self.config.dir) / leaderboard.task / self.config.name
        pictures = draw(leaderboard, folder)
        write_atomic(folder / "leaderboard.md", "\n".join(self._lines(leaderboard, pictures)) + "\n")
        return [str(folder / "leaderboard.md")]

    def _lines(self, board: Leaderboard, pictures: Sequence[tuple[str, Path]]) -> Iterator[str]:
        yield f"# {markdown(board.task)}: {markdown(self.config.name)}"
        yield f"\n**{markdown(board.verdict.text)}**"
        for description, path in pictures:
            yield f"\n![{markdown(description)}]({path.name})"
        yield "\n## Leaderboard\n"
        yield from _leaderboard(board)
        yield from evidence_section(board)
        yield from _remarks(board)
        yield from _slices(board)
        yield from sample_section(board, self.config)
        yield from _provenance(board)


def _leaderboard(board: Leaderboard) -> Iterator[str]:
    confidence = f"{board.confidence:.0%}"
    yield f"{board.n} validation examples. Each cell is the score and its {confidence} interval."
    if len(board.entries) > 1:
        yield f"Runs that share a letter are not told apart by {markdown(board.primary)} (Holm-adjusted paired tests)."
    yield ""
    names = [board.primary, *(name for name in board.metrics if name != board.primary)]
    columns = {name: [entry.run.result.metric(name) for entry in board.entries] for name in names}
    places = {name: decimals(r for r in results if r) for name, results in columns.items()}
    if len(board.entries) <= FEW:
        header = ["metric", *(_label(e.run.result, e.group) for e in board.entries)]
        rows = [[_metric(name, columns[name]), *(_cell(r, places[name]) for r in columns[name])] for name in names]
    else:
        header = ["run", "tie", *(_metric(name, columns[name]) for name in names)]
        rows = [
            [markdown(e.run.result.name), e.group, *(_cell(columns[name][i], places[name]) for name in names)]
            for i, e in enumerate(board.entries)
        ]
    yield from table(header, rows)


def _label(result: RunResult, group: str) -> str:
    return f"{markdown(result.name)} ({group})" if group else markdown(result.name)


def _metric(name: str, results: Sequence[MetricResult | None]) -> str:
    arrows = {True: " ↑", False: " ↓", None: ""}
    return markdown(name) + next(arrows[r.higher_is_better] for r in results if r)


def _cell(result: MetricResult | None, places: int) -> str:
    return with_interval(result.score, places) if result else "–"


def _remarks(board: Leaderboard) -> Iterator[str]:
    yield "\n## Errors, truncations and cost\n"
    header = [
        "run",
        "completions",
        "errors",
        "truncated",
        "prompt tokens",
        "completion tokens",
        "generation s",
        "parameters",
    ]
    yield from table(header, [_usage_row(e.run.result) for e in board.entries])
    lines = [
        f"- {markdown(e.run.result.name)}: {markdown(remark)}"
        for e in board.entries
        for remark in remarks(e.run.result, board.primary)
    ]
    if lines:
        yield ""
        yield from lines


def _usage_row(result: RunResult) -> list[str]:
    usage = result.usage
    counts = (usage.n, usage.errors, usage.truncated, usage.prompt_tokens, usage.completion_tokens)
    parameters = f"{result.parameters / 1e6:.0f}M" if result.parameters else "–"
    return [
        markdown(result.name),
        *("–" if c is None else f"{c:,}" for c in counts),
        number(usage.seconds or None, 1),
        parameters,
    ]


def _slices(board: Leaderboard) -> Iterator[str]:
    metrics = [m for e in board.entries if (m := e.run.result.metric(board.primary))]
    keys = dict.fromkeys(key for metric in metrics for key in metric.slices)
    for key in keys:
        yield f"\n## {markdown(board.primary)} by {markdown(key)}\n"
        header = [markdown(key), "n", *(markdown(e.run.result.name) for e in board.entries)]
        yield from table(header, _slice_rows(board, key))


def _slice_rows(board: Leaderboard, key: str) -> Iterator[list[str]]:
    results = [e.run.result.metric(board.primary) for e in board.entries]
    places = decimals(r for r in results if r)
    columns = [dict(r.slices.get(key, {})) if r else {} for r in results]
    for value in sorted({v for column in columns for v in column}):
        scores = [column.get(value) for column in columns]
        n = max(s.n + s.errors for s in scores if s)
        yield [markdown(value), str(n), *(with_interval(s, places) if s else "–" for s in scores)]


def _provenance(board: Leaderboard) -> Iterator[str]:
    first = board.entries[0].run.result
    data = first.dataset
    yield "\n## Provenance\n"
    yield f"- dataset: {markdown(data.name)}, fingerprint `{data.fingerprint}`, {data.n_validation:,} scored examples; "
    yield f"  source {markdown(data.source)}; licence {markdown(data.licence)}"
    for notice in data.notices:
        yield f"  - {notice.count:,} {markdown(notice.message)}"
    yield f"- versions: {', '.join(f'{markdown(k)} {markdown(v)}' for k, v in first.versions.items())}"
    for entry in board.entries:
        yield from _run_provenance(entry.run.result)
    yield "\nSignatures; equal ones are comparable:\n"
    for name in board.metrics:
        metric = next(m for e in board.entries if (m := e.run.result.metric(name)))
        yield f"- `{metric.signature}`"


def _run_provenance(result: RunResult) -> Iterator[str]:
    model = result.model
    yield f"- run `{result.run_id}` ({markdown(result.name)}), {result.created}"
    yield f"  - reproduce: `{result.command.replace('`', '')}`"
    parts = {k: getattr(model, k) for k in model.__slots__ if getattr(model, k)}
    yield f"  - model: {', '.join(f'{k} {markdown(str(v))}' for k, v in parts.items())}"
    stages = ", ".join(
        f"{markdown(s.name)} `{s.key}` {number(s.seconds, 1)} s ({s.done} made, {s.reused} reused)"
        for s in result.stages
    )
    yield f"  - stages: {stages}"
