"""Prices: dated, owned by the user, and unknown if they are not in the file."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import pytest

from harness import pipeline
from harness.client import pricing
from harness.client.pricing import Budget, Price
from harness.errors import ConfigError, ModelError
from harness.stages import generate
from harness.store.stages import Store
from harness.types import Completion, FinishReason, ModelIdentity, SamplingParams
from tests.support.clients import chat_prompts, model_on
from tests.support.fakes import config
from tests.support.fault_server import Behaviour, FaultServer

PRICE = Price("host", ("m",), 2.0, 8.0, datetime.date(2026, 11, 1), "a bill", cached_input=0.5, batch=0.5)


def reference(base: str, host: str = "api.openai.com") -> ModelIdentity:
    return ModelIdentity("openai", base, f"https://{host}/v1/chat/completions")


def completion(prompt: int | None, generated: int | None, cached: int | None = None) -> Completion:
    return Completion("e", "x", FinishReason.STOP, None, prompt, generated, cached_tokens=cached)


def test_the_shipped_prices_are_dated_and_sourced() -> None:
    for price in pricing.of(None).services:
        assert price.source.startswith("https://")
        assert price.as_of.year >= 2026


@pytest.mark.parametrize(
    ("model", "known"),
    [
        (reference("gpt-4.1-mini"), True),
        (reference("gpt-4.1-mini-2025-04-14"), True),
        (reference("gpt-4.1-mini", "somewhere.else"), False),
        (reference("ft:gpt-4.1-mini-2025-04-14:org::1"), False),  # a fine-tune costs more than its base model
        (reference("gpt-4.1-mini-of-tomorrow"), False),
        (ModelIdentity("local", "gpt-4.1-mini"), False),
    ],
)
def test_a_price_is_of_a_model_at_a_host(model: ModelIdentity, known: bool) -> None:
    assert (pricing.of(None).of(model) is not None) is known


@pytest.mark.parametrize(
    ("completions", "batch", "usd"),
    [
        ([completion(1_000_000, 0)], False, 2.0),
        ([completion(1_000_000, 500_000, 400_000)], False, 0.6 * 2 + 0.4 * 0.5 + 0.5 * 8),
        ([completion(1_000_000, 1_000_000)], True, 5.0),
        ([completion(10, 10), completion(None, 10)], False, None),
        ([completion(500_000, 0), Completion("f", None, FinishReason.ERROR, "no")], False, 1.0),
        ([], False, 0.0),
    ],
)
def test_total(completions: list[Completion], batch: bool, usd: float | None) -> None:
    assert PRICE.total(completions, batch) == (None if usd is None else pytest.approx(usd))


def test_your_own_file(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("local: {usd_per_hour: 3.6, as_of: 2026-11-01, source: a bill}\n")
    price = pricing.of(str(path)).machine(ModelIdentity("local", "m"))
    assert price is not None
    assert price.hours(10) == pytest.approx(0.01)
    assert str(price) == "3.6 USD per hour, 2026-11-01, a bill"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: [{host: h, models: [m], input: 1, output: 2, source: s}]", r"services\.0\.as_of: Field required"),
        ("services: [{host: h, models: [m], inptu: 1}]", r"services\.0\.inptu: Unexpected keyword"),
        ("locale: {}", "locale"),
        ("local: {usd_per_hour: cheap, as_of: 2026-11-01, source: s}", r"usd_per_hour.*'cheap'"),
        ("services: [", "cannot be read"),
    ],
)
def test_a_file_that_is_wrong_names_the_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        pricing.of(str(path))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        pricing.of(str(tmp_path / "none.yaml"))


def test_an_unknown_cost_is_unknown(tmp_path: Path) -> None:
    usage = pipeline.run(config(tmp_path), "test").result.usage
    assert (usage.cost_usd, usage.price) == (None, "")


def test_a_budget_ends_generation_and_keeps_what_it_paid_for(tmp_path: Path) -> None:
    with FaultServer(Behaviour()) as server:
        model, store = model_on(server, concurrency=1), Store(tmp_path)
        price = dataclasses.replace(PRICE, input=0.0, cached_input=None, output=1_000_000)  # 1 USD per token
        with pytest.raises(ModelError, match=r"20\.0000 USD of generation\.max_cost 18 are spent"):
            generate.complete(model, chat_prompts(50), SamplingParams(), store, Budget(price, 18.0))
        assert len(generate.unanswered(model, chat_prompts(50), SamplingParams(), store)) == 45  # four tokens each
        rows, stage = generate.complete(model, chat_prompts(50), SamplingParams(), store, Budget(price, 1000.0))
    assert (len(rows), stage.n_cached) == (50, 5)


def test_a_completion_whose_tokens_are_not_reported_counts_as_the_dearest() -> None:
    price = dataclasses.replace(PRICE, input=0.0, cached_input=None, output=1_000_000)  # 1 USD per token
    budget = Budget(price, 10.0)
    for tokens in (None, 4, 1, None):  # nothing is known of the first yet: 0, 4, 1, 4
        budget.spend(completion(0, tokens))
    assert budget.note() == ""
    with pytest.raises(ModelError, match=r"10\.0000 USD"):
        budget.spend(completion(0, 1))


def test_a_budget_needs_a_price_and_tokens() -> None:
    with pytest.raises(ConfigError, match="whose price is known"):
        Budget(None, 1.0)
    budget = Budget(PRICE, 1.0)
    for _ in range(pricing.UNREPORTED - 1):
        budget.spend(completion(None, None))
    with pytest.raises(ModelError, match="does not report the tokens"):
        budget.spend(completion(None, None))
    assert Budget(PRICE).note() == "0.0000 USD"
    assert Budget().note() == ""
