"""The example of an own metric, installed as a user would, through run, compare, report, baseline and gate."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_metric"
TASK = ("task=jsonl", "task.path=data.jsonl", "task.n_validation=null", "tracking=none", "prompt=chat")
REPLAY = "model=replay"

Harness = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages that holds the example."""
    source = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("source") / "own_metric")
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True)
    return target


@pytest.fixture(scope="module")
def harness(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Harness:
    """Run a command of the harness beside the example's data, with the example installed."""
    folder = tmp_path_factory.mktemp("user")
    for file in EXAMPLE.glob("*.jsonl"):
        shutil.copy(file, folder)

    def run(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(site), "HARNESS_STORE": str(folder / "store")}
        command = [sys.executable, "-m", "harness", *words]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def metrics(name: str) -> tuple[str, ...]:
    return (f"metrics.names=[exact_match,'{name}']", f"task.primary_metric='{name}'")


@pytest.fixture(scope="module")
def board(harness: Harness) -> dict[str, object]:
    """The leaderboard of a sweep over both systems, which the other tests go on from."""
    swept = (REPLAY, "model.path=answers_a.jsonl,answers_b.jsonl")
    options = "+metrics.options.keyword_recall.min_length=4"
    done = harness("run", "-m", *TASK, *swept, *metrics("keyword_recall"), options, "--json")
    [shown] = json.loads(done.stdout)
    return dict(shown)


def test_a_sweep_is_ranked_by_it(board: dict[str, object]) -> None:
    assert board["primary_metric"] == "keyword_recall"
    text = json.dumps(board)
    assert "keyword_recall|min_length:4|version:1" in text
    assert text.index("answers_a-chat") < text.index("answers_b-chat")


@pytest.mark.usefixtures("board")
def test_it_works_in_every_command(harness: Harness) -> None:
    assert "keyword_recall" in harness("compare", "answers_a-chat", "answers_b-chat").stdout
    assert "keyword_recall" in harness("report").stdout
    harness("baseline", "accept", "answers_a-chat")
    gate = ("gate", "answers_b-chat", "--metric", "keyword_recall", "--margin", "0.05")
    assert "keyword_recall" in harness(*gate, code=7).stdout
    from_config = (REPLAY, "model.path=answers_a.jsonl", *TASK, *metrics("keyword_recall"))
    options = "+metrics.options.keyword_recall.min_length=4"
    harness("gate", *from_config, options, "--metric", "keyword_recall", "--margin", "0.05")
    harness("gate", *from_config, options, "--metric", "exact_match", "--margin", "0.05")


def test_a_class_works_by_module_and_name(harness: Harness) -> None:
    run = ("run", *TASK, REPLAY, "model.path=answers_a.jsonl", "name=by-class")
    harness(*run, *metrics("own_metric:KeywordRecall"), "+metrics.options.KeywordRecall.min_length=6")
    assert "keyword_recall|min_length:6" in harness("report", "by-class", "--json").stdout
    harness("baseline", "accept", "by-class", "--name", "by-class")
    config = (*run[1:-1], *metrics("own_metric:KeywordRecall"), "+metrics.options.KeywordRecall.min_length=6")
    gate = ("gate", *config, "--metric", "keyword_recall", "--margin", "0.05")
    harness(*gate, "--name", "by-class")
    refused = harness(*gate, "--name", "by-class", "--max-examples", "16", code=2)
    assert "needs a mean of bounded values" in refused.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (metrics("keyword_recal"), "Did you mean 'keyword_recall'?"),
        (metrics("own_metric:KeywordRecal"), "Did you mean 'KeywordRecall'?"),
        (metrics("no_such_module:Metric"), "there is no module 'no_such_module'"),
        (
            (*metrics("keyword_recall"), "+metrics.options.keyword_recall.min_lenght=4"),
            "Did you mean 'min_length'?",
        ),
        (
            (*metrics("keyword_recall"), "+metrics.options.keyword_recal.min_length=4"),
            "Did you mean 'keyword_recall'?",
        ),
    ],
)
def test_a_misspelling_is_refused_before_work(harness: Harness, words: tuple[str, ...], message: str) -> None:
    done = harness("run", *TASK, REPLAY, "model.path=answers_a.jsonl", "name=wrong", *words, code=2)
    assert message in done.stderr
