"""The section of the report on fine-tunes: how each one ended, and what its learning curve shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.learning_curves import MEANING, MIN_CHANGE, CurveFinding
from harness.reports.columns import rounded
from harness.reports.formatting import markdown, number, table
from harness.types import FineTuneRecord
from harness.wording import UNKNOWN

HEADER = (
    "run",
    "method",
    "examples",
    "parameters trained",
    "seconds",
    "USD",
    "best step",
    "validation loss",
    "token accuracy",
    "sequence accuracy",
)


def finetune_section(board: Leaderboard, picture: str) -> Iterator[str]:
    """Yield the lines of the section; `picture` is the markdown of the learning curves, or empty."""
    tuned = [(e, record) for e in board.entries if (record := e.run.result.finetune)]
    if not tuned:
        return
    yield "\n## Fine-tunes\n"
    if picture:
        yield f"{picture}\n"
    yield "Losses are in nats per completion token, at the evaluation whose weights were kept, with their standard"
    yield "error over examples.\n"
    yield from table(HEADER, [_row(entry.name, record) for entry, record in tuned], left=(0, 1))
    yield from _diagnoses(board)


def _row(name: str, record: FineTuneRecord) -> list[str]:
    best = next((p for p in record.curve if p.step == record.best_step), None)
    loss = UNKNOWN if best is None else f"{number(best.validation_loss, 3)} ± {number(best.validation_loss_se, 3)}"
    return [
        markdown(name),
        markdown(record.method),
        f"{record.n_train:,}",
        UNKNOWN if record.parameters_trained is None else f"{record.parameters_trained / 1e6:.2f}M",
        rounded(record.seconds),
        "unknown" if record.cost_usd is None else f"{record.cost_usd:.4g}",
        f"{record.best_step:,}",
        loss if best and best.validation_loss is not None else UNKNOWN,
        number(best.token_accuracy if best else None, 3),
        number(best.sequence_accuracy if best else None, 3),
    ]


def _diagnoses(board: Leaderboard) -> Iterator[str]:
    """Yield one item per finding, with the runs that share it and the figures of each."""
    runs: dict[CurveFinding, list[tuple[str, str]]] = {}
    for diagnosis in board.diagnoses:
        for remark in diagnosis.remarks:
            runs.setdefault(remark.finding, []).append((markdown(diagnosis.name), markdown(remark.detail)))
    yield "\n### What the learning curves show\n"
    yield "A change counts if it is larger than its error, given after ±: two standard errors of the change itself,"
    yield "which is measured on the same examples each time, so that their difficulty cancels. A hosted service reports"
    yield "no such error; there it is one standard error of the loss, which is conservative if the losses of an example"
    yield f"are strongly correlated. Changes below {MIN_CHANGE} nats per token (1% of the perplexity) never count.\n"
    n = len(board.diagnoses)
    for finding in (finding for finding in CurveFinding if finding in runs):
        yield f"- **{finding.capitalize()}** ({len(runs[finding])} of {n}). {markdown(MEANING[finding])}"
        if figures := _runs(finding, runs[finding], n):
            yield f"  {figures}"


def _runs(finding: CurveFinding, figures: Sequence[tuple[str, str]], n: int) -> str:
    """Return the runs with their figures; empty if all runs share a finding whose figures are in the table."""
    if finding is CurveFinding.KEPT and len(figures) == n:
        return ""
    details = {detail for _, detail in figures}
    if len(details) == 1 and (len(figures) == n or not any(details)):
        names = "" if len(figures) == n else ", ".join(name for name, _ in figures)
        return " ".join(part for part in (names, f"({details.pop()} each)" if any(details) else "") if part)
    return "; ".join(f"{name} ({detail})" if detail else name for name, detail in figures)
