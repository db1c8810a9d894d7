"""`model=openai` through the whole harness, on our own server: run, batch, score, price, retirement, leaderboard."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness import pipeline, registry
from harness.analysis import leaderboard
from harness.cli.dry_run import plan, print_plans
from harness.config import GenerationConfig, HarnessConfig, LocalModelConfig, OpenAIModelConfig
from harness.reports.columns import remarks
from tests.support import fakes
from tests.support.fault_server import Behaviour, FaultServer
from tests.support.serving import Served, served

__all__ = ["served"]

PRICES = """services:
  - {host: 127.0.0.1, models: [gpt-*, echo], input: 2, output: 8, batch: 0.5, as_of: 2026-11-01, source: a bill}
"""


def config(folder: Path, base_url: str, model: str, name: str) -> HarnessConfig:
    hosted = OpenAIModelConfig("openai", name, model, base_url, None)
    return dataclasses.replace(fakes.config(folder, name), model=hosted)


def test_a_served_model_says_what_it_says_here(served: Served, tiny_model: Path, tmp_path: Path) -> None:
    hosted = config(tmp_path, served.base_url, "tiny", "served")
    here = LocalModelConfig("local", "here", str(tiny_model), device="cpu")
    runs = [pipeline.run(each, "test") for each in (hosted, dataclasses.replace(hosted, model=here, name="here"))]
    answers = [[p.completion for p in run.predictions()] for run in runs]
    assert [c.text for c in answers[0]] == [c.text for c in answers[1]]
    assert [c.finish_reason for c in answers[0]] == [c.finish_reason for c in answers[1]]
    assert [c.prompt_tokens for c in answers[0]] == [c.prompt_tokens for c in answers[1]]
    assert runs[0].result.usage.errors == 0
    assert runs[0].result.usage.cost_usd is None
    (board,) = leaderboard.by_task(runs, registry.stored_metric)
    assert board.verdict.decision == "not enough data"


def test_a_batch_costs_less_and_gives_the_same(served: Served, tmp_path: Path) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text(PRICES)
    direct = dataclasses.replace(config(tmp_path, served.base_url, "echo", "direct"), pricing=str(prices))
    batched = dataclasses.replace(
        direct,
        name="batch",
        store=str(tmp_path / "other"),
        generation=GenerationConfig(max_tokens=16, batch=True, poll_seconds=0.05),
    )
    one, other = pipeline.run(direct, "test"), pipeline.run(batched, "test")
    texts = [[p.completion.text for p in run.predictions()] for run in (one, other)]
    assert texts[0] == texts[1]
    assert one.result.usage.cost_usd
    assert other.result.usage.cost_usd == pytest.approx(one.result.usage.cost_usd / 2)
    assert one.result.usage.price == "2 USD input and 8 USD output per million tokens, 2026-11-01, a bill"
    usage = one.result.usage
    assert usage.cost_usd == pytest.approx(((usage.prompt_tokens or 0) * 2 + (usage.completion_tokens or 0) * 8) / 1e6)


def test_what_served_and_when_it_ends_is_recorded_and_said(tmp_path: Path) -> None:
    with FaultServer(Behaviour(endings={"gpt-x": "2026-01-14"})) as server:
        result = pipeline.run(config(tmp_path, server.base_url, "gpt-x", "gone"), "test").result
    assert result.served == ("gpt-x-2026-01-01 fp_1",)
    assert result.shutdown_date == "2026-01-14"
    assert "its service shut the model down on 2026-01-14" in remarks(result, "rougeL")


def test_a_dry_run_says_what_would_be_sent_and_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text(PRICES)
    with FaultServer(Behaviour()) as server:
        planned = plan(dataclasses.replace(config(tmp_path, server.base_url, "gpt-x", "dear"), pricing=str(prices)))
        unpriced = plan(config(tmp_path, server.base_url, "gpt-x", "unknown"))
        assert server.seen.requests == {}
    assert planned.sent is not None
    assert planned.sent.completion_tokens == 12 * 16
    assert planned.sent.cost_usd == pytest.approx((planned.sent.prompt_tokens * 2 + 12 * 16 * 8) / 1e6)
    print_plans([planned, unpriced, plan(fakes.config(tmp_path, "echo"))])
    assert "unknown" in capsys.readouterr().out
