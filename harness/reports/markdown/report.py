"""The markdown report: the leaderboard and its evidence in one file that GitHub renders.

It is made from stored runs alone, so `python -m harness report` writes the same file as the run itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.analysis.leaderboard import Leaderboard
from harness.config import ReportConfig
from harness.reports.folders import COMMAND_LINE, REPORT, RUN_LINE, command_of, report_folder
from harness.reports.formatting import markdown, number
from harness.reports.markdown.evidence import evidence_section
from harness.reports.markdown.finetunes import finetune_section
from harness.reports.markdown.samples import sample_section
from harness.reports.markdown.slices import slice_section
from harness.reports.markdown.standings import standings_section, tradeoff_section
from harness.reports.plots import draw
from harness.store.files import write_atomic
from harness.types import RunResult
from harness.wording import sized


class MarkdownSink:
    """Writes `<dir>/<task>/<name>/leaderboard.md`; `harness.reports.folders` chooses the name."""

    def __init__(self, config: ReportConfig) -> None:
        self.config = config

    def write(self, leaderboard: Leaderboard) -> Sequence[str]:
        """Write the report and return its path."""
        folder = report_folder(self.config, leaderboard)
        pictures = draw(leaderboard, folder)
        write_atomic(folder / REPORT, "\n".join(self._lines(leaderboard, pictures)) + "\n")
        return [str(folder / REPORT)]

    def _lines(self, board: Leaderboard, pictures: Sequence[tuple[str, Path]]) -> Iterator[str]:
        yield f"# {markdown(board.label)}: {markdown(self.config.name)}"
        yield f"\n**{markdown(board.verdict.text)}**"
        shown = {path.stem: f"![{markdown(description)}]({path.name})" for description, path in pictures}
        yield from _picture(shown, "scores")
        yield from standings_section(board)
        yield from tradeoff_section(board, shown.get("pareto", ""))
        yield from evidence_section(board)
        yield from _picture(shown, "agreement")
        yield from finetune_section(board, shown.get("curves", ""))
        yield from slice_section(board)
        yield from _picture(shown, "slices")
        yield from sample_section(board, self.config)
        yield from _provenance(board)


def _picture(shown: Mapping[str, str], name: str) -> Iterator[str]:
    if name in shown:
        yield f"\n{shown[name]}"


def _provenance(board: Leaderboard) -> Iterator[str]:
    first = board.entries[0].run.result
    data = first.dataset
    yield "\n## Provenance\n"
    n = sized(data.n_validation, data.n_samples, "validation example")
    yield f"- dataset: {markdown(data.name)}, fingerprint `{data.fingerprint}`, {n};"
    yield f"  source {markdown(data.source)}; licence {markdown(data.licence)}"
    for notice in data.notices:
        yield f"  - {notice.count:,} {markdown(notice.message)}"
    yield f"- versions: {', '.join(f'{markdown(k)} {markdown(v)}' for k, v in first.versions.items())}"
    for entry in board.entries:
        yield from _run_provenance(entry.run.result)
    yield "\nSignatures; scores with equal signatures are comparable:\n"
    for name in board.metrics:
        metric = next(m for e in board.entries if (m := e.run.result.metric(name)))
        yield f"- `{metric.signature}`"


def _run_provenance(result: RunResult) -> Iterator[str]:
    model = result.model
    yield f"{RUN_LINE}{result.run_id}` ({markdown(result.name)}), {result.created}"
    yield f"{COMMAND_LINE}{command_of(result)}`"
    parts = {k: getattr(model, k) for k in model.__slots__ if getattr(model, k)}
    yield f"  - model: {', '.join(f'{k} {markdown(str(v))}' for k, v in parts.items())}"
    if result.served:
        yield f"  - answered by: {', '.join(map(markdown, result.served))}"
    if result.usage.price:
        yield f"  - price: {markdown(result.usage.price)}"
    stages = ", ".join(
        f"{markdown(s.name)} `{s.key}` {number(s.seconds, 1)} s ({s.n_computed:,} computed, {s.n_cached:,} cached)"
        for s in result.stages
    )
    yield f"  - stages: {stages}"
