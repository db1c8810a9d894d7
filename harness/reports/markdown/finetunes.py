"""The part of the report on the fine-tunes: how each ended, and what its learning curve says in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.learning_curves import MATERIAL, MEANING, Finding
from harness.reports.columns import rounded
from harness.reports.formatting import markdown, number, table
from harness.types import FineTuneRecord, RunResult

HEADER = (
    "run",
    "method",
    "examples",
    "trained",
    "seconds",
    "USD",
    "kept step",
    "validation loss",
    "token acc.",
    "sequence acc.",
)


def finetune_section(board: Leaderboard, picture: str) -> Iterator[str]:
    """Yield the lines of the section; `picture` is the line of the learning curves, or nothing."""
    tuned = [(e.run.result, record) for e in board.entries if (record := e.run.result.finetune)]
    if not tuned:
        return
    yield "\n## Fine-tunes\n"
    if picture:
        yield f"{picture}\n"
    yield "Losses are nats a completion token at the evaluation whose weights were kept, with their standard error over"
    yield "examples.\n"
    yield from table(HEADER, [_row(result, record) for result, record in tuned])
    yield from _diagnoses(board)


def _row(result: RunResult, record: FineTuneRecord) -> list[str]:
    kept = next((p for p in record.curve if p.step == record.best_step), None)
    loss = "–" if kept is None else f"{number(kept.validation_loss, 3)} ± {number(kept.validation_loss_se, 3)}"
    return [
        markdown(result.name),
        markdown(record.method),
        f"{record.n_train:,}",
        "–" if record.parameters_trained is None else f"{record.parameters_trained / 1e6:.2f}M",
        rounded(record.seconds),
        "unknown" if record.cost_usd is None else f"{record.cost_usd:.4g}",
        f"{record.best_step:,}",
        loss if kept and kept.validation_loss is not None else "–",
        number(kept.token_accuracy if kept else None, 3),
        number(kept.sequence_accuracy if kept else None, 3),
    ]


def _diagnoses(board: Leaderboard) -> Iterator[str]:
    """Yield a bullet a finding, with the runs that share it and the figures of each."""
    found: dict[Finding, list[tuple[str, str]]] = {}
    for diagnosis in board.diagnoses:
        for remark in diagnosis.remarks:
            found.setdefault(remark.finding, []).append((markdown(diagnosis.name), markdown(remark.detail)))
    yield "\n### What the learning curves say\n"
    yield "A change counts when it is larger than its error, which follows ±: two standard errors of the change itself,"
    yield "over the same examples each time, so that what is hard in them cancels. A service tells no such error; there"
    yield "it is one standard error of the loss, the cautious side where the losses of an example stay alike. Below"
    yield f"{MATERIAL} nats a token, 1% of the perplexity, a change counts for nothing, however sure.\n"
    n = len(board.diagnoses)
    for finding in (each for each in Finding if each in found):
        yield f"- **{finding.capitalize()}** ({len(found[finding])} of {n}). {markdown(MEANING[finding])}"
        if said := _runs(finding, found[finding], n):
            yield f"  {said}"


def _runs(finding: Finding, found: Sequence[tuple[str, str]], n: int) -> str:
    """Return the runs with their figures; none where all of them share a finding and the table has the figures."""
    if finding is Finding.KEPT and len(found) == n:
        return ""
    details = {detail for _, detail in found}
    if len(details) == 1 and (len(found) == n or not any(details)):
        names = "" if len(found) == n else ", ".join(name for name, _ in found)
        return " ".join(part for part in (names, f"({details.pop()} each)" if any(details) else "") if part)
    return "; ".join(f"{name} ({detail})" if detail else name for name, detail in found)
