"""W&B tables hold every number of the leaderboard and every completion, and a long one loses no row."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import wandb

from harness.analysis.factors import Effect, Interaction
from harness.analysis.leaderboard import Leaderboard
from harness.config import TrackingConfig
from harness.reports.wandb import tables
from harness.reports.wandb.tables import WandbRows, evidence
from harness.store.runs import StoredRun
from tests.reports.wandb.conftest import HOSTILE


def column(rows: WandbRows, name: str) -> list[tables.Cell]:
    return [row[rows.columns.index(name)] for row in rows.rows]


def test_the_leaderboard_has_every_number_of_the_runs(board: Leaderboard) -> None:
    rows = tables.leaderboard_rows(board, board.entries)
    assert rows.columns[:3] == ("run", "run_id", "tie_group")
    assert rows.columns.index("rougeL") < rows.columns.index("exact_match")
    by_name = {str(row[0]): dict(zip(rows.columns, row, strict=True)) for row in rows.rows}
    for entry in board.entries:
        result, row = entry.run.result, by_name[entry.run.result.name]
        for metric in result.metrics:
            score = metric.score
            assert (row[metric.name], row[f"{metric.name}_low"], row[f"{metric.name}_high"]) == (
                score.value,
                score.low,
                score.high,
            )
        assert (row["n"], row["errors"], row["truncated"]) == (12, result.usage.errors, result.usage.truncated)
        assert row["prompt_tokens"] == result.usage.prompt_tokens
    fine, plain = by_name["tuned"], by_name["plain"]
    failing = next(e.run.result.metric("rougeL") for e in board.entries if e.run.result.name == "tuned")
    assert failing
    assert failing.score.errors > 0
    assert (fine["rougeL_worst"], fine["rougeL_best"]) == (failing.score.worst, failing.score.best)
    assert plain["rougeL_worst"] is None
    assert (fine["training_seconds"], fine["parameters_trained"], fine["parameters"]) == (12.5, 4096, 1_000_000)
    assert (plain["training_seconds"], plain["cost_usd"], fine["cost_usd"]) == (None, None, None)


def test_what_was_varied_is_a_column(board: Leaderboard) -> None:
    rows = tables.leaderboard_rows(board, board.entries)
    assert set(column(rows, "model")) == {"plain", "tuned"}
    assert set(column(rows, "finetune.method")) == {"none", "lora"}


def test_a_factor_of_numbers_is_a_column_of_numbers_and_gaps(board: Leaderboard) -> None:
    rates = iter([None, 0.5, 2.0])
    entries = []
    for entry in (*board.entries, board.entries[0]):
        result, rate = entry.run.result, next(rates)
        settings = {"method": "lora", "seed": rate, **({} if rate is None else {"learning_rate_multiplier": rate})}
        config = {**result.config, "finetune": settings}
        run = StoredRun(Path(str(rate)), dataclasses.replace(result, config=config))
        entries.append(dataclasses.replace(entry, run=run))
    rows = tables.leaderboard_rows(dataclasses.replace(board, entries=tuple(entries)), entries)
    assert column(rows, "finetune.learning_rate_multiplier") == [None, 0.5, 2.0]
    assert column(rows, "finetune.seed") == [None, 0.5, 2.0]


def test_predictions_keep_every_text_as_it_is(runs: list[StoredRun]) -> None:
    rows = tables.predictions(runs[0], TrackingConfig())
    stored = runs[0].predictions()
    assert column(rows, "completion") == [row.completion.text for row in stored]
    assert column(rows, "reference") == [row.example.reference for row in stored]
    assert column(rows, "slice: topic") == [row.example.slices["topic"] for row in stored]
    assert column(rows, "rougeL") == [row.scores["rougeL"] for row in stored]
    shown = [str(prompt) for prompt in column(rows, "prompt")]
    assert {text for text in HOSTILE if any(prompt.startswith(text) for prompt in shown)} == set(HOSTILE)


def test_a_failed_completion_is_no_text(runs: list[StoredRun]) -> None:
    rows = tables.predictions(runs[1], TrackingConfig())
    failed = [i for i, error in enumerate(column(rows, "error")) if error]
    assert failed
    assert all(column(rows, "completion")[i] is None and column(rows, "rougeL")[i] is None for i in failed)


def test_side_by_side_holds_all_runs_best_first(board: Leaderboard, runs: list[StoredRun]) -> None:
    rows = tables.side_by_side(board, TrackingConfig())
    names = [entry.run.result.name for entry in board.entries]
    assert [name for name in rows.columns if name.startswith("completion: ")] == [f"completion: {n}" for n in names]
    assert len(rows.rows) == 12
    texts = {row.example.id: row.completion.text for row in runs[0].predictions()}
    assert dict(zip(column(rows, "id"), column(rows, "completion: plain"), strict=True)) == texts
    assert any(column(rows, "error: tuned"))


def test_runs_of_one_name_have_columns_of_their_own(board: Leaderboard) -> None:
    entry = board.entries[0]
    twice = Leaderboard(board.task, board.primary, (entry, entry), board.verdict)
    assert (
        f"completion: {entry.run.result.name} ({entry.run.result.run_id})"
        in tables.side_by_side(twice, TrackingConfig()).columns
    )


def test_references_are_left_out(board: Leaderboard, runs: list[StoredRun]) -> None:
    without = TrackingConfig(references=False)
    assert "reference" not in tables.predictions(runs[0], without).columns
    assert "reference" not in tables.side_by_side(board, without).columns


@pytest.mark.parametrize(
    ("n", "names", "sizes"),
    [
        (0, ["t"], [0]),
        (4, ["t"], [4]),
        (5, ["t_1_of_2", "t_2_of_2"], [4, 1]),
        (12, ["t_1_of_3", "t_2_of_3", "t_3_of_3"], [4, 4, 4]),
    ],
)
def test_a_long_table_is_split_and_nothing_lost(n: int, names: list[str], sizes: list[int]) -> None:
    made = tables.tables("t", WandbRows(("i", "text"), tuple((i, str(i)) for i in range(n))), limit=4)
    assert (list(made), [len(table.data) for table in made.values()]) == (names, sizes)
    assert [row[0] for table in made.values() for row in table.data] == list(range(n))


def test_columns_keep_the_types_that_wandb_would_find() -> None:
    rows = ((None, 1, "a", True, 1), (0.5, None, None, None, "x"), (2, 3, "=1+1", False, None))
    made = tables.tables("t", WandbRows(tuple("abcde"), rows))["t"]
    alike = tuple((*row[:4], None if row[4] is None else str(row[4])) for row in rows)
    by_wandb = wandb.Table(columns=list("abcde"), data=[list(row) for row in alike])
    assert made.data == by_wandb.data
    assert made.get_column("a") == by_wandb.get_column("a")
    types = [table._column_types.to_json()["params"]["type_map"] for table in (made, by_wandb)]
    assert types[0] == types[1]


def test_lines_of_other_columns_are_aligned_and_no_cell_is_nan() -> None:
    rows = tables.aligned([{"a": 1, "b": float("nan")}, {"c": "x", "a": float("inf")}])
    assert rows == WandbRows(("a", "b", "c"), ((1, None, None), (None, None, "x")))


def test_every_finding_of_the_leaderboard_is_a_table(board: Leaderboard) -> None:
    findings = evidence(board)
    names = [entry.run.result.name for entry in board.entries]
    assert {"pairs", "slices", "diagnoses", "validity"} <= set(findings)
    assert board.comparison
    pair = board.comparison.pairs[0]
    assert column(findings["pairs"], "difference") == [pair.comparison.difference]
    assert (column(findings["pairs"], "first"), column(findings["pairs"], "second")) == ([names[0]], [names[1]])
    assert column(findings["slices"], "run") == names * 3
    scores = [cell.score.value if cell.score else None for row in board.slices[0].rows for cell in row.cells]
    assert column(findings["slices"], "score_value") == scores
    assert column(findings["validity"], "metric") == [validity.metric for validity in board.validity]
    assert "best checkpoint kept" in column(findings["diagnoses"], "finding")


def test_effects_and_interactions_are_tables(board: Leaderboard) -> None:
    effect = Effect("finetune.n_train", "200", "20", 0.05, 0.01, 0.09, 6, 0.02)
    both = Interaction(("model", "finetune.n_train"), ("big", "200"), ("small", "20"), 0.5, None, None, 2)
    findings = evidence(dataclasses.replace(board, effects=(effect,), interactions=(both,)))
    assert findings["effects"].rows == (("finetune.n_train", "200", "20", 0.05, 0.01, 0.09, 0.02, 6),)
    row = dict(zip(findings["interactions"].columns, findings["interactions"].rows[0], strict=True))
    assert (row["factor_1"], row["level_1"], row["against_1"]) == ("model", "big", "small")
    assert (row["factor_2"], row["level_2"], row["against_2"]) == ("finetune.n_train", "200", "20")
    assert (row["difference"], row["low"], row["squares"]) == (0.5, None, 2)
