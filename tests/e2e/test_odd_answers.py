"""A whole run on a service of odd answers: scored, stored, reported; and one that gets no answer at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness import api
from harness.__main__ import main
from harness.models.openai import OpenAIModel
from harness.store.runs import load_run
from harness.types import FinishReason
from tests.support.odd_answers import ERROR, LENGTH, ODD, OddAnswer, failed
from tests.support.odd_service import OddService

SLOW = ("says nothing", "drips")


def arguments(tmp_path: Path, base_url: str, names: list[str]) -> list[str]:
    rows = [{"id": f"e{i}", "prompt": name, "completion": "fine"} for i, name in enumerate(names)]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    run = [f"task=jsonl task.path={data} task.n_validation=null model=openai model.id=odd model.base_url={base_url}"]
    run += ["model.api_key_env=null model.retries=1 model.concurrency=16 tracking=none"]
    run += ["metrics.names=[exact_match] task.primary_metric=exact_match"]
    run += [f"store={tmp_path}/store report.dir={tmp_path}/reports"]
    return " ".join(run).split()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenAIModel, "pause", 0.01)


def test_a_run_of_all_of_them_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [name for name in ODD if name not in SLOW]
    with OddService() as service:
        assert main(["run", *arguments(tmp_path, service.base_url, names)]) == 0
    (folder,) = (tmp_path / "store/runs").iterdir()
    run = load_run(folder)
    reasons = {p.example.prompt: p.completion.finish_reason for p in run.predictions()}
    assert reasons == {name: ODD[name].reason for name in names}
    expected = list(reasons.values())
    assert run.result.usage.errors == expected.count(ERROR)
    assert run.result.usage.truncated == expected.count(LENGTH)
    warnings = " ".join(run.result.warnings)
    assert "finish_reason is None" in warnings
    assert "half a character" in warnings
    score = run.result.metrics[0].score
    assert score.errors == expected.count(ERROR)
    assert list((tmp_path / "reports").rglob("index.html"))
    assert capsys.readouterr().out


def test_a_run_without_an_answer_does_not_end_well(tmp_path: Path) -> None:
    with OddService({"a": OddAnswer(failed(404)), "b": OddAnswer(failed(404))}) as service:
        assert main(["run", *arguments(tmp_path, service.base_url, ["a", "b"])]) == 4
    (folder,) = (tmp_path / "store/runs").iterdir()
    assert {p.completion.finish_reason for p in load_run(folder).predictions()} == {FinishReason.ERROR}


def test_a_notice_is_told_again_where_the_completions_are_reused(tmp_path: Path) -> None:
    def run() -> Any:
        return api.run(arguments(tmp_path, service.base_url, ["ends for no reason", "refusal"]))

    with OddService() as service:
        first = run()
        (tmp_path / "store/runs").rename(tmp_path / "elsewhere")
        again = run()
    assert first.result.warnings == again.result.warnings
    assert service.requests["refusal"] == 1
