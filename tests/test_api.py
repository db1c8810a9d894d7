"""The public face: the commands as functions, their tables as pandas, and names that stay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

import harness
from harness.errors import ConfigError, DataError, StoreError

REFERENCES = ["A river is a natural stream of water.", "A leaf makes sugar from light.", "The sea is large and salty."]
GOOD = ["A river is a stream of water.", "A leaf makes sugar from light.", "The sea is large."]
POOR = ["River.", "Sugar is sweet.", "Salt."]


def test_the_exported_names() -> None:
    assert all(getattr(harness, name) is not None for name in harness.__all__)
    assert sorted(harness.__all__) == harness.__all__ == dir(harness)
    with pytest.raises(AttributeError, match="no attribute 'scores'"):
        harness.scores  # noqa: B018


def test_importing_it_imports_nothing_heavy() -> None:
    heavy = "numpy torch transformers wandb openai pandas hydra matplotlib"
    code = f"import harness, sys; print(harness.__version__); sys.exit(bool(set({heavy.split()}) & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_scores_are_the_reference_tools_numbers() -> None:
    scores = harness.score(GOOD, REFERENCES, metrics=["rougeL", "bleu", "chrf"]).scores
    rouge = RougeScorer(["rougeL"], use_stemmer=True)
    expected = np.mean([rouge.score(r, p)["rougeL"].fmeasure for p, r in zip(GOOD, REFERENCES, strict=True)])
    assert scores["rougeL"].value == pytest.approx(expected)
    assert scores["bleu"].value == pytest.approx(BLEU().corpus_score(GOOD, [REFERENCES]).score)
    assert scores["chrf"].value == pytest.approx(CHRF().corpus_score(GOOD, [REFERENCES]).score)


def test_a_failed_prediction_is_an_error_and_no_text() -> None:
    evaluation = harness.score([*GOOD[:2], None], REFERENCES, prompts=["a", "b", "c"])
    assert (evaluation.scores["exact_match"].n, evaluation.scores["exact_match"].errors) == (2, 1)
    table = evaluation.predictions.to_pandas()
    assert table["prompt"].tolist() == ["a", "b", "c"]
    assert table["exact_match"].tolist()[:2] == [0.0, 1.0]
    assert table["exact_match"].isna().tolist() == [False, False, True]
    assert evaluation.scores.to_pandas()["metric"].tolist() == list(evaluation.scores)


@pytest.mark.parametrize(
    ("predictions", "options", "error"),
    [
        (GOOD[:2], {}, DataError),
        (GOOD, {"metrics": ["rougel"]}, ConfigError),
        (GOOD, {"metrics": ["perplexity"]}, ConfigError),
        (GOOD, {"options": {"blue": {}}}, ConfigError),
    ],
)
def test_what_cannot_be_scored(predictions: list[str], options: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        harness.score(predictions, REFERENCES, **options)  # type: ignore[arg-type]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A task file and two systems' answers, in the folder that the test runs in."""
    import json

    for name, texts in (("data", REFERENCES), ("good", GOOD), ("poor", POOR)):
        rows = [json.dumps({"prompt": f"Question {i}?", "completion": text}) for i, text in enumerate(texts)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_STORE", str(tmp_path / "store"))
    return tmp_path


def run(name: str) -> harness.Run:
    words = ["task=jsonl", "task.path=data.jsonl", "task.n_validation=null", "metrics=fast"]
    return harness.run([*words, "model=replay", f"model.path={name}.jsonl"])


@pytest.mark.usefixtures("data")
def test_runs_are_made_loaded_and_compared() -> None:
    good, poor = run("good"), run("poor")
    loaded = harness.load_run(good.name)
    assert (loaded.id, loaded.folder) == (good.id, good.folder)
    assert sorted(row.completion.text or "" for row in loaded.predictions) == sorted(GOOD)
    assert len(loaded.predictions.to_pandas()) == 3
    compared = harness.compare(good, poor)
    table = compared.to_pandas().set_index("metric")
    difference = good.scores["rougeL"].value - poor.scores["rougeL"].value  # type: ignore[operator]
    assert table.loc["rougeL", "difference"] == pytest.approx(difference)
    assert {row.metric for row in compared} == set(good.scores)
    assert [row.metric for row in harness.compare(good, poor, metrics=["chrf"])] == ["chrf"]


@pytest.mark.usefixtures("data")
def test_what_cannot_be_loaded_or_compared() -> None:
    with pytest.raises(StoreError, match="Unknown run 'none'"):
        harness.load_run("none")
    with pytest.raises(ConfigError, match="expected two runs or more, got 1"):
        harness.compare(run("good"))
    for override in ("dry_run=true", "show_prompts=1"):
        with pytest.raises(ConfigError, match=override.partition("=")[0]):
            harness.run([override])


def test_a_config_folder_of_ones_own(data: Path) -> None:
    (data / "mine" / "model").mkdir(parents=True)
    (data / "mine" / "model" / "good.yaml").write_text(
        "defaults: [replay_schema, _self_]\nbackend: replay\nname: from-my-folder\npath: good.jsonl\n", encoding="utf-8"
    )
    words = ["task=jsonl", "task.path=data.jsonl", "task.n_validation=null", "metrics=fast"]
    assert harness.run([*words, "model=good"], config_dir="mine").name == "from-my-folder-chat"
    with pytest.raises(ConfigError, match="Did you mean 'good'"):
        harness.run([*words, "model=god"], config_dir="mine")
    with pytest.raises(ConfigError, match="expected a folder of config groups"):
        harness.run(words, config_dir="no-such-folder")


def test_what_the_scores_do_not_say_is_a_warning() -> None:
    with pytest.warns(UserWarning, match="2 of 2 references that rougeL cannot read.*tokenizer=unicode"):
        evaluation = harness.score(["今天", "北京"], ["今天", "北京"], metrics=["rougeL", "chrf"])
    assert [evaluation.scores.results[name].unreadable for name in ("rougeL", "chrf")] == [2, 0]
    assert len(evaluation.warnings) == 1
