"""A service of odd answers: what becomes of each, and that none of them ends a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.models.openai import OpenAIModel
from harness.types import Completion, Message, Prompt, SamplingParams
from tests.support.clients import model_at
from tests.support.odd_answers import ODD
from tests.support.odd_service import OddService


@pytest.fixture(scope="module")
def service() -> Iterator[OddService]:
    with OddService() as served:
        yield served


@pytest.fixture(scope="module")
def completions(service: OddService) -> dict[str, Completion]:
    """All of them, in one run; those that never come to an end in another one, whose patience is short."""
    slow = ("says nothing", "drips")
    rows = model_of(service).generate(prompts(*(name for name in ODD if name not in slow), "good"), SamplingParams())
    return {row.example_id: row for row in (*rows, *model_of(service, 0.3).generate(prompts(*slow), SamplingParams()))}


def model_of(service: OddService, timeout: float = 30.0) -> OpenAIModel:
    return model_at(service.base_url, retries=2, timeout=timeout, concurrency=16)


def prompts(*names: str) -> list[Prompt]:
    return [Prompt(name, messages=(Message("user", name),)) for name in names]


def test_the_run_goes_on(completions: dict[str, Completion]) -> None:
    assert set(completions) == {*ODD, "good"}
    assert completions["good"].text == "fine"
    assert len(ODD) > 100


@pytest.mark.parametrize("name", ODD)
def test_each_becomes_what_it_is(name: str, service: OddService, completions: dict[str, Completion]) -> None:
    row, expected = completions[name], ODD[name]
    assert (row.text, row.finish_reason) == (expected.text, expected.reason), row.error
    assert (row.error is not None) == (expected.text is None)
    assert expected.error in (row.error or "")
    assert row.reasoning == expected.reasoning
    assert expected.note in " ".join(row.notes) if expected.note else row.notes == ()
    assert row.completion_tokens == (expected.tokens if row.error is None else None)
    assert service.requests[name] == expected.tries
    for text in (row.text, row.raw, row.reasoning, row.error, row.served, *row.notes):
        (text or "").encode()  # a lone surrogate would raise an error
