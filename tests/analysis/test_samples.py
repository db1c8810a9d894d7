"""The samples of a report and their rules: chosen titles, people or the first examples, then those that stand out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness import registry
from harness.analysis.leaderboard import Leaderboard, by_task
from harness.analysis.samples import Repeat, RepeatFinder, SampleSelection, pick_samples, word_set
from harness.config import ReportConfig
from tests.support.replays import examples, replayed

N = 12


@pytest.fixture
def board(tmp_path: Path) -> Leaderboard:
    """Make a good run that returns the references, and a poor one: truncated, failed once, and one text repeated."""
    rows = examples(tmp_path, N)
    canned = "one and the same long answer to every single question that anybody asks"
    good = [example.reference for example in rows]
    poor = [{"completion": "cut off", "finish_reason": "length"}, None, *[canned] * (N - 2)]
    return by_task([replayed(tmp_path, "good", good), replayed(tmp_path, "poor", poor)], registry.stored_metric)[0]


def config(samples: int = 4, titles: Sequence[str] = (), references: bool = True) -> ReportConfig:
    return ReportConfig("reports", "r", references, samples, list(titles))


def ids(selection: SampleSelection, title: str) -> list[str]:
    [part] = [part for part in selection.parts if part.title == title]
    return [sample.example_id for sample in part.picks]


def test_people_are_shown_by_default_in_the_order_of_the_run(board: Leaderboard) -> None:
    people = [p.example.id for p in board.entries[0].run.predictions() if p.example.slices["topic"] == "people"]
    assert ids(pick_samples(board, config(2)), "People") == people[:2]


def test_without_people_the_first_are_shown(board: Leaderboard, tmp_path: Path) -> None:
    for entry in board.entries:
        path = entry.run.folder / "predictions.jsonl"
        path.write_text(path.read_text("utf-8").replace('"people"', '"pebbles"'), "utf-8")
    first = [p.example.id for p in board.entries[0].run.predictions()]
    assert ids(pick_samples(board, config()), "The first examples") == first[:4]


def test_titles_are_ids_or_prompts_and_unknown_ones_are_named(board: Leaderboard) -> None:
    known = board.entries[0].run.predictions()
    titles = [known[3].example.prompt, known[1].example.id, known[1].example.id + "0x"]
    selection = pick_samples(board, config(1, titles=titles))
    assert ids(selection, "The chosen titles") == [known[3].example.id, known[1].example.id]
    assert selection.remarks == (
        f"Not among the scored examples: {titles[2]!r}. The closest is {known[1].example.id!r}.",
    )


def test_examples_that_stand_out_have_groups_of_their_own(board: Leaderboard) -> None:
    selection = pick_samples(board, config())
    scores = {p.example.id: p.scores["rougeL"] for p in board.entries[1].run.predictions()}
    widest = ids(selection, "The largest disagreements")
    assert len(widest) == 2
    assert {scores[i] for i in widest} == {min(s for s in scores.values() if s is not None)}
    [truncated] = [p for p in selection.parts if p.title == "Truncated"]
    assert [(sample.example_id, sample.runs) for sample in truncated.picks] == [(min(scores), (1,))]
    [repeated] = [p for p in selection.parts if p.title == "The same completion to several prompts"]
    assert [(sample.runs, sample.note) for sample in repeated.picks] == [((1,), f"the same for {N - 2} prompts")]


def test_only_the_shown_predictions_are_read(board: Leaderboard) -> None:
    selection = pick_samples(board, config(1))
    shown = {(pick.example_id, run) for part in selection.parts for pick in part.picks for run in pick.runs}
    assert {(i, run) for i, by in selection.predictions.items() for run in by} == shown
    assert all(p.example.id == i for i, by in selection.predictions.items() for p in by.values())


def test_memorised_texts_are_shown_only_where_references_may_be(tmp_path: Path) -> None:
    rows = [
        {"id": f"e{i}", "prompt": f"p{i}", "completion": f"{i} is a number with a long story behind it"}
        for i in range(17)
    ]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    references = [example.reference for example in examples(tmp_path, N)]
    board = by_task([replayed(tmp_path, "parrot", references)], registry.stored_metric)[0]
    assert len(ids(pick_samples(board, config()), "Memorised or known")) == 2
    silent = pick_samples(board, config(references=False))
    assert "Memorised or known" not in [part.title for part in silent.parts]
    assert silent.remarks == (f"Completions with nearly the words of the reference: parrot {N}.",)


REFERENCE = "A river is a natural stream of fresh water that flows towards an ocean."


@pytest.mark.parametrize(
    ("text", "near"),
    [
        (REFERENCE, True),
        ("a RIVER is a natural stream of fresh water that flows towards an ocean", True),
        ("A river is a natural stream of fresh water which flows towards an ocean.", True),
        ("A river is a road for boats, and it flows to a lake or a sea far away.", False),
        ("A river.", False),
    ],
)
def test_what_is_nearly_the_reference_is_found(text: str, near: bool) -> None:
    texts = RepeatFinder(references={"e": word_set(REFERENCE)})
    texts.add(3, "e", text)
    assert set(texts.matches.get("e", {})) == ({3} if near else set())


def test_one_text_for_several_prompts_is_found_within_a_run_only() -> None:
    texts = RepeatFinder(references={name: frozenset() for name in "abc"})
    for run, names in ((0, "ab"), (1, "c")):
        for name in names:
            texts.add(run, name, REFERENCE.upper() if name == "b" else REFERENCE)
            texts.add(run, name, "yes")
        texts.end_run(run)
    assert texts.repeats == [Repeat(0, ("a", "b"))]


def test_one_text_for_the_samples_of_one_prompt_is_no_repeat() -> None:
    texts = RepeatFinder(references={name: frozenset() for name in ("a", "a#2", "b", "b#2")})
    for name in ("a", "a#2"):
        texts.add(0, name, REFERENCE, "a")
    texts.end_run(0)
    assert texts.repeats == []
    for name in ("a", "b", "a#2", "b#2"):
        texts.add(1, name, REFERENCE, name[0])
    texts.end_run(1)
    assert texts.repeats == [Repeat(1, ("a", "b"))]
