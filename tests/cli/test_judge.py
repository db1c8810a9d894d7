"""An LLM judge with known preferences: its preference is measured, and so is how reliable it is."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness import pipeline
from harness.__main__ import main
from harness.config import ReplayModelConfig
from harness.judge.record import judgement_schema
from harness.stats.proportions import Tango
from harness.store.runs import StoredRun, find_runs
from tests.support.fakes import config
from tests.support.judges import Judge

ONE = [" indeed"] * 7 + [""] * 2 + [" yes"] + [""] * 2
TWO = [""] * 7 + [" and so on"] * 2 + [" no!"] + [""] * 2
"""How the completions of 12 examples end: the first run's is longer 7 times, the second's twice; two are the same."""


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with a run of the echo model, and two whose completions are known; read only."""
    folder = tmp_path_factory.mktemp("judge")
    examples = [p.example for p in pipeline.run(config(folder, "echo"), "command").predictions()]
    for name, endings in (("one", ONE), ("two", TWO)):
        texts = [f"Thing {i} is it{ending}" for i, ending in enumerate(endings)]
        rows = [{"id": e.id, "completion": text} for e, text in zip(examples, texts, strict=True)]
        source = folder / f"{name}.jsonl"
        source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        settings = config(folder, name)
        settings.model = ReplayModelConfig("replay", name, path=str(source))
        pipeline.run(settings, "command")
    return folder / "store"


@pytest.fixture
def runs(shared_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[StoredRun]:
    store = shutil.copytree(shared_store, tmp_path / "store")
    monkeypatch.setenv("HARNESS_STORE", str(store))
    monkeypatch.setenv("COLUMNS", "150")
    return find_runs(store / "runs", ["one", "two"])


Judging = Callable[..., dict[str, Any]]


@pytest.fixture
def judged(runs: list[StoredRun], capsys: pytest.CaptureFixture[str]) -> Judging:
    """Return what the command prints as JSON, by the name of the judge."""

    def judge(name: str, *more: str) -> dict[str, Any]:
        assert (
            main(["judge", "one", "two", "--json", "model=echo", f"model.backend=tests.support.judges:{name}", *more])
            == 0
        )
        judgement: dict[str, Any] = json.loads(capsys.readouterr().out)
        return judgement

    return judge


def wilson(successes: int, n: int) -> list[float]:
    bounds = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    return [successes / n, bounds.low, bounds.high]


def shown(score: dict[str, Any]) -> list[float]:
    return [score["value"], score["low"], score["high"]]


def test_a_preference_is_found_with_its_interval_and_p(judged: Judging) -> None:
    judgement = judged("Longer")
    assert judgement["counts"] == {"wins": 7, "losses": 2, "ties": 3, "flips": 0, "same": 2, "no_verdict": 0}
    low, high = Tango(7, 2, 12).interval(0.95)
    assert shown(judgement["win_rate"]) == pytest.approx([(7 + 1.5) / 12, (1 + low) / 2, (1 + high) / 2])
    null = stats.binom(9, 0.5)
    assert judgement["p"] == pytest.approx(2 * null.cdf(2) - null.pmf(2))
    assert shown(judgement["trust"]["flip_rate"]) == pytest.approx(wilson(0, 10))
    assert shown(judgement["trust"]["first_place"]) == pytest.approx(wilson(9, 18))
    assert shown(judgement["trust"]["longer"]) == pytest.approx(wilson(9, 9))
    assert judgement["warnings"] == []


def test_agreement_is_that_of_the_scores(runs: list[StoredRun], judged: Judging) -> None:
    agreement = {row["metric"]: row for row in judged("Longer")["trust"]["agreement"]}
    assert set(agreement) == {"exact_match", "rougeL", "bleu"}
    scores = [[p.scores["rougeL"] or 0.0 for p in run.predictions()] for run in runs]
    signs = np.sign(np.subtract(scores[0], scores[1]))[:9]
    preferred = np.array([1] * 7 + [-1] * 2)
    agree, counted = int((signs == preferred).sum()), int((signs != 0).sum())
    assert counted > 0
    assert shown(agreement["rougeL"]["share"]) == pytest.approx(wilson(agree, counted))
    assert agreement["rougeL"]["ties"] == 9 - counted
    assert agreement["exact_match"]["share"]["value"] is None
    assert agreement["exact_match"]["ties"] == 9


def test_a_judge_that_goes_by_the_place_is_exposed(judged: Judging) -> None:
    judgement = judged("First")
    assert judgement["counts"] == {"wins": 0, "losses": 0, "ties": 12, "flips": 10, "same": 2, "no_verdict": 0}
    assert judgement["win_rate"]["value"] == 0.5
    assert shown(judgement["trust"]["flip_rate"]) == pytest.approx(wilson(10, 10))
    assert shown(judgement["trust"]["first_place"]) == pytest.approx(wilson(10, 10))  # ten pairs, not twenty answers
    guessing, place = judgement["warnings"]
    assert guessing.startswith("The judge is no better than random: it contradicted itself in 100% of 10 pairs")
    assert place.startswith("The judge favours the answer shown first: 100%")


def test_few_pairs_do_not_clear_a_judge(judged: Judging) -> None:
    judgement = judged("Longer", "--n", "3")
    assert judgement["win_rate"]["n"] == 3
    assert judgement["warnings"][0].startswith("Too few pairs to distinguish the judge from random")


def test_what_cannot_be_read_is_no_verdict_and_no_tie(judged: Judging) -> None:
    judgement = judged("Rambling")
    assert judgement["counts"] == {"wins": 5, "losses": 2, "ties": 3, "flips": 0, "same": 2, "no_verdict": 2}
    rate = judgement["win_rate"]
    assert [rate["n"], rate["errors"]] == [10, 2]
    assert [rate["worst"], rate["value"], rate["best"]] == pytest.approx([6.5 / 12, 6.5 / 10, 8.5 / 12])
    assert "No verdict for 2 of 10 pairs" in judgement["warnings"][0]
    unread = [row for row in judgement["examples"] if row["outcome"] == "no verdict"]
    assert unread[0]["answers"] == ["Both have their merits."] * 2
    assert unread[0]["choices"] == [None, None]


def test_a_judge_that_always_fails_is_an_error(runs: list[StoredRun], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", "one", "two", "model=echo", "model.backend=tests.support.judges:Broken"]) == 4
    assert "The judge failed on all 20 prompts. The first error: no such judge" in capsys.readouterr().err


def test_a_judge_that_is_one_of_the_models_is_named(runs: list[StoredRun], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", "echo", "one", "model=echo"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert re.search(r"The judge is the base model of echo-\w{8}: models tend to favour their own", out)
    assert "No verdict for" in out


def test_nothing_is_asked_twice_and_the_record_stays(judged: Judging) -> None:
    n_before = Judge.n_asked
    judged("Longer", "--n", "4")
    assert Judge.n_asked == n_before + 8
    first = judged("Longer")
    assert Judge.n_asked == n_before + 20  # the two pairs of one text are not asked
    path = Path(first.pop("wrote")[0])
    content = path.read_bytes()
    assert judged("Longer")["wrote"] == [str(path)]
    assert Judge.n_asked == n_before + 20
    assert path.read_bytes() == content
    assert json.loads(content) == first
    assert set(first) == set(judgement_schema()["properties"])


def test_the_table_says_what_was_found(runs: list[StoredRun], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", "one", "two", "model=echo", "--n", "9", "model.backend=tests.support.judges:First"]) == 0
    out = capsys.readouterr().out
    assert "9 shared examples, judged by a model" in out
    assert "judge: First" in out
    assert re.search(r"flip rate \(random answers: 0.5\)\s+│ 1.000 \[0.701, 1.000\] │  9 │", out)
    assert "! The judge is no better than random" in out
    assert "judgements/" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["one", "two"], 2, "model has no value. Add model=CHOICE, one of: "),
        (["one", "two", "model=echo", "--n", "0"], 2, "--n: expected 1 or more, got 0"),
        (["one", "one", "model=echo"], 2, "expected two runs, got 1"),
        (["one", "three", "model=echo"], 5, "Unknown run 'three'"),
        (["one", "two", "model=echo", "--jsn"], 2, "unrecognized arguments: --jsn"),
        (["one", "two", "--json", "three"], 2, "unrecognized arguments: three"),
    ],
)
def test_a_wrong_command_says_what_is_right(
    runs: list[StoredRun], capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    try:
        exit_code = main(["judge", *arguments])
    except SystemExit as stop:  # argparse
        exit_code = int(stop.code or 0)
    out, err = capsys.readouterr()
    assert message in err
    assert (exit_code, out) == (code, "")
