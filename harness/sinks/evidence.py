"""The part of the report that says what the differences rest on: factors, fine-tunes, and what each metric can show."""

from __future__ import annotations

from collections.abc import Iterator

from harness.leaderboard import Leaderboard
from harness.sinks.text import markdown, number, table


def evidence_section(board: Leaderboard) -> Iterator[str]:
    """Yield the lines of the sections that have something to say about these runs."""
    yield from _factors(board)
    yield from _finetunes(board)
    yield from _validity(board)


def _factors(board: Leaderboard) -> Iterator[str]:
    if not board.effects:
        return
    yield "\n## What each setting bought\n"
    yield f"The change in {markdown(board.primary)} between runs that differ in one setting alone, averaged over them;"
    yield "the interval is over examples, for these fine-tunes, and not over other training seeds.\n"
    rows = []
    for effect in board.effects:
        bounds = "" if effect.low is None or effect.high is None else f" [{effect.low:+.3f}, {effect.high:+.3f}]"
        change = f"{markdown(effect.against)} → {markdown(effect.level)}"
        rows.append([markdown(effect.factor), change, f"{effect.difference:+.3f}{bounds}", str(effect.pairs)])
    yield from table(["setting", "change", "effect", "pairs of runs"], rows)


def _finetunes(board: Leaderboard) -> Iterator[str]:
    tuned = [(e.run.result, record) for e in board.entries if (record := e.run.result.finetune)]
    if not tuned:
        return
    yield "\n## Fine-tunes\n"
    yield "Losses are nats a completion token at the best evaluation, with their standard error over examples."
    yield ""
    rows = []
    for result, record in tuned:
        best = next((p for p in record.curve if p.step == record.best_step), None)
        loss = "–" if best is None else f"{number(best.validation_loss, 3)} ± {number(best.validation_loss_se, 3)}"
        accuracy = "–" if best is None else number(best.token_accuracy, 3)
        sequence = "–" if best is None else number(best.sequence_accuracy, 3)
        counts = (f"{record.n_train:,}", f"{record.parameters_trained / 1e6:.2f}M", f"{record.seconds:.0f}")
        rows.append([markdown(result.name), record.method, *counts, loss, accuracy, sequence])
    header = [
        "run",
        "method",
        "examples",
        "trained",
        "seconds",
        "validation loss",
        "token accuracy",
        "sequence accuracy",
    ]
    yield from table(header, rows)


def _validity(board: Leaderboard) -> Iterator[str]:
    if not board.validity:
        return
    yield "\n## What each metric can show here\n"
    yield f"Pairs of runs told apart on these {board.n} examples after Holm's adjustment, and the examples that the"
    yield "median difference between two runs would need to show."
    blunt = [v.metric for v in board.validity if v.saturation]
    if blunt:
        names = ", ".join(markdown(name) for name in blunt)
        yield f"At the floor or the ceiling for every run, so useless for choosing: **{names}**."
    yield ""
    rows = [
        [
            markdown(v.metric),
            f"{v.separated} of {v.pairs}",
            v.saturation or "–",
            "–" if v.n_needed is None else f"{v.n_needed:,}",
        ]
        for v in board.validity
    ]
    yield from table(["metric", "pairs told apart", "saturation", "examples needed"], rows)
