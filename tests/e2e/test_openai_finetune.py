"""`finetune=openai` and `model=openai` through the whole harness, on our own server, which really trains."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness import pipeline
from harness.cli.dry_run import plan
from harness.config import FineTuneMethod, HarnessConfig, OpenAIFineTuneConfig, OpenAIModelConfig
from harness.errors import FineTuneError
from tests.support import fakes
from tests.support.serving import Served, served

__all__ = ["served"]


def config(
    folder: Path, served: Served, store: str = "store", max_cost: float | None = None, seed: int = 1
) -> HarnessConfig:
    finetune = OpenAIFineTuneConfig(
        method=FineTuneMethod.openai, n_epochs=2, batch_size=4, seed=seed, max_cost=max_cost, poll_seconds=0.1
    )
    model = OpenAIModelConfig("openai", "hosted", "tiny", served.base_url, None)
    return dataclasses.replace(
        fakes.config(folder, "hosted"), model=model, finetune=finetune, store=str(folder / store)
    )


def test_a_fine_tune_is_made_there_scored_here_and_never_made_twice(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = config(tmp_path, served)
    assert plan(wanted).to_train == 10
    result = pipeline.run(wanted, "test").result
    record, client = result.finetune, served.client()
    (job,) = [job for job in client.fine_tuning.jobs.list() if job.metadata]
    assert record
    assert (record.method, record.n_train, record.parameters_trained, record.cost_usd) == ("openai", 10, None, None)
    assert record.tokens == job.trained_tokens
    losses = [point.validation_loss for point in record.curve if point.validation_loss is not None]
    assert losses[-1] < losses[0]
    assert [point.examples for point in record.curve] == [point.step * 4 for point in record.curve]
    assert (result.model.base, job.model) == (job.fine_tuned_model, "tiny")
    assert (job.seed, job.metadata) == (1, {"harness_key": next(s.key for s in result.stages if s.name == "finetune")})
    assert result.usage.errors == 0
    said = capsys.readouterr().err
    assert said.index("10 examples, about") < said.index(f"job {job.id} is")

    again = pipeline.run(config(tmp_path, served, "another_store", max_cost=0.01), "test").result
    assert [job for job in client.fine_tuning.jobs.list() if job.metadata] == [job]
    assert again.finetune == record
    assert again.run_id == result.run_id


def test_what_may_cost_too_much_is_not_sent(served: Served, tmp_path: Path) -> None:
    dear = config(tmp_path, served, max_cost=1.0, seed=2)
    files = len(list(served.client().files.list()))
    with pytest.raises(FineTuneError, match="the price of training this model is not known"):
        pipeline.run(dear, "test")
    assert len(list(served.client().files.list())) == files
