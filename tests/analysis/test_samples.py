"""What is shown follows from rules: asked for, people, first; then what stands out, each under its own title."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness import registry
from harness.analysis.leaderboard import Leaderboard, by_task
from harness.analysis.samples import Picked, pick
from harness.config import ReportConfig
from tests.support.replays import examples, replayed

N = 12


@pytest.fixture
def board(tmp_path: Path) -> Leaderboard:
    """Make a good run that parrots, and a poor one that is cut, fails once and says one thing over and over."""
    asked = examples(tmp_path, N)
    canned = "one and the same long answer to every single question that anybody asks"
    good = [example.reference for example in asked]
    poor = [{"completion": "cut off", "finish_reason": "length"}, None, *[canned] * (N - 2)]
    return by_task([replayed(tmp_path, "good", good), replayed(tmp_path, "poor", poor)], registry.stored_metric)[0]


def config(samples: int = 4, titles: Sequence[str] = (), references: bool = True) -> ReportConfig:
    return ReportConfig("reports", "r", references, samples, list(titles))


def ids(found: Picked, title: str) -> list[str]:
    [part] = [part for part in found.parts if part.title == title]
    return [each.example_id for each in part.picks]


def test_people_are_shown_by_default_in_the_order_of_the_run(board: Leaderboard) -> None:
    people = [p.example.id for p in board.entries[0].run.predictions() if p.example.slices["topic"] == "people"]
    assert ids(pick(board, config(2)), "People") == people[:2]


def test_without_people_the_first_are_shown(board: Leaderboard, tmp_path: Path) -> None:
    for entry in board.entries:
        path = entry.run.folder / "predictions.jsonl"
        path.write_text(path.read_text("utf-8").replace('"people"', '"pebbles"'), "utf-8")
    first = [p.example.id for p in board.entries[0].run.predictions()]
    assert ids(pick(board, config()), "The first examples") == first[:4]


def test_titles_are_ids_or_prompts_and_unknown_ones_are_named(board: Leaderboard) -> None:
    known = board.entries[0].run.predictions()
    asked = [known[3].example.prompt, known[1].example.id, known[1].example.id + "0x"]
    found = pick(board, config(1, titles=asked))
    assert ids(found, "The chosen titles") == [known[3].example.id, known[1].example.id]
    assert found.remarks == (f"Not among the scored examples: {asked[2]!r}. The nearest is {known[1].example.id!r}.",)


def test_what_stands_out_has_a_part_of_its_own(board: Leaderboard) -> None:
    found = pick(board, config())
    scores = {p.example.id: p.scores["rougeL"] for p in board.entries[1].run.predictions()}
    widest = ids(found, "The largest disagreements")
    assert len(widest) == 2
    assert {scores[i] for i in widest} == {min(s for s in scores.values() if s is not None)}
    [truncated] = [p for p in found.parts if p.title == "Truncated"]
    assert [(each.example_id, each.runs) for each in truncated.picks] == [(min(scores), (1,))]
    [repeated] = [p for p in found.parts if p.title == "The same completion to several prompts"]
    assert [(each.runs, each.note) for each in repeated.picks] == [((1,), f"the same for {N - 2} prompts")]


def test_what_is_picked_is_read_and_nothing_else(board: Leaderboard) -> None:
    found = pick(board, config(1))
    wanted = {(each.example_id, run) for part in found.parts for each in part.picks for run in each.runs}
    assert {(i, run) for i, by in found.predictions.items() for run in by} == wanted
    assert all(p.example.id == i for i, by in found.predictions.items() for p in by.values())


def test_memorised_texts_are_shown_only_where_references_may_be(tmp_path: Path) -> None:
    rows = [
        {"id": f"e{i}", "prompt": f"p{i}", "completion": f"{i} is a number with a long story behind it"}
        for i in range(17)
    ]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = [example.reference for example in examples(tmp_path, N)]
    board = by_task([replayed(tmp_path, "parrot", said)], registry.stored_metric)[0]
    assert len(ids(pick(board, config()), "Memorised or known")) == 2
    silent = pick(board, config(references=False))
    assert "Memorised or known" not in [part.title for part in silent.parts]
    assert silent.remarks == (f"Completions with nearly the words of the reference: parrot {N}.",)
