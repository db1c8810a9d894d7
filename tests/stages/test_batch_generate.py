"""Batches: sent once, waited for after a restart, merged as they end, and sent again only where needed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from harness.client import batch as limits
from harness.client.dialect import Dialect
from harness.client.endpoint import Endpoint
from harness.client.replies import Problem
from harness.config import EchoModelConfig, OpenAIModelConfig
from harness.errors import ConfigError, ModelError
from harness.models.echo import EchoModel
from harness.models.openai import OpenAIModel
from harness.stages import generate
from harness.stages.batch_generate import BatchedModel, in_batches
from harness.store.stages import Store
from harness.types import Completion, FinishReason, SamplingParams
from tests.support.batch_service import BatchService
from tests.support.clients import chat_prompts

MODEL = OpenAIModel(OpenAIModelConfig("openai", "m", "gpt-x", "http://test/v1", None))


def complete(service: BatchService, store: Path, n: int = 10) -> tuple[Completion, ...]:
    model = BatchedModel(MODEL, Store(store), 0.001, service.client())
    return generate.complete(model, chat_prompts(n), SamplingParams(), Store(store))[0]


def right(rows: tuple[Completion, ...]) -> bool:
    return all((row.text, row.error) == (f"You said: thing {i}", None) for i, row in enumerate(rows))


def test_all_prompts_go_in_one_batch(tmp_path: Path) -> None:
    service = BatchService(looks=3)
    rows = complete(service, tmp_path)
    assert len(rows) == 10
    assert right(rows)
    assert len(service.batches) == 1
    assert (rows[0].prompt_tokens, rows[0].completion_tokens, rows[0].served) == (2, 4, "gpt-x-2026-01-01 fp_1")


def test_each_sample_of_a_prompt_is_a_request_of_its_own(tmp_path: Path) -> None:
    service, sampling = BatchService(), SamplingParams(temperature=1.0, seed=7)
    prompts = [replace(p, example_id=f"{p.example_id}#{k}", sample=k) for k in range(3) for p in chat_prompts(2)]
    model = BatchedModel(MODEL, Store(tmp_path), 0.001, service.client())
    rows = generate.complete(model, prompts, sampling, Store(tmp_path))[0]
    assert [row.text for row in rows] == ["You said: thing 0", "You said: thing 1"] * 3
    assert sorted(service.ran) == ["thing 0"] * 3 + ["thing 1"] * 3
    dialect = Dialect(MODEL.config, sampling)
    seeds = [dialect.fields(dialect.request(prompt))["seed"] for prompt in prompts]
    assert seeds[:2] == [7, 7]
    assert len(set(seeds)) == 3


def test_its_completions_are_the_models_own(tmp_path: Path) -> None:
    complete(BatchService(), tmp_path)
    assert generate.unanswered(MODEL, chat_prompts(10), SamplingParams(), Store(tmp_path)) == []


@pytest.mark.parametrize("ending", ["expired", "completed"])
def test_only_what_failed_or_expired_is_sent_again(tmp_path: Path, ending: str) -> None:
    service = BatchService(endings=[ending], failing={"thing 1"})
    assert right(complete(service, tmp_path))
    assert sorted(service.ran) == sorted(f"thing {i}" for i in range(10))
    assert len(service.batches) == 2


def test_what_is_refused_for_good_is_an_error_and_not_sent_again(tmp_path: Path) -> None:
    service = BatchService(hopeless={"thing 3"})
    rows = complete(service, tmp_path)
    assert [row.error for row in rows if row.error] == ["400 content_policy: no"]
    assert (rows[3].text, rows[3].finish_reason) == (None, FinishReason.ERROR)
    assert len(service.batches) == 1


def test_what_always_fails_is_an_error_after_three_batches(tmp_path: Path) -> None:
    service = BatchService(endings=["expired"] * 3)
    rows = complete(service, tmp_path, 8)
    assert len(service.batches) == 3
    assert [row.error is None for row in rows] == [True] * 7 + [False]  # 4, then 2, then 1 are answered in time
    assert "batch_expired" in str(rows[7].error)


def interrupt(service: BatchService, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send a batch of ten prompts, and stop while it is waited for."""

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("time.sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            complete(service, store)


def test_a_restart_waits_for_the_batch_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = BatchService(looks=2)
    interrupt(service, tmp_path, monkeypatch)
    assert right(complete(service, tmp_path, n=12))  # two more prompts than before go in a batch of their own
    assert len(service.batches) == 2
    assert max(Counter(service.ran).values()) == 1


def test_a_batch_whose_submission_was_not_answered_is_found(tmp_path: Path) -> None:
    service = BatchService(lose=1)
    with pytest.raises(ModelError, match="run the same command again"):
        complete(service, tmp_path)
    assert right(complete(service, tmp_path))
    assert len(service.batches) == 1


def test_a_kill_in_the_middle_of_merging_loses_nothing(tmp_path: Path) -> None:
    service = BatchService()
    stream = BatchedModel(MODEL, Store(tmp_path), 0.001, service.client()).generate(chat_prompts(10), SamplingParams())
    assert next(stream).error is None
    stream.close()  # type: ignore[attr-defined]
    assert right(complete(service, tmp_path))
    assert len(service.batches) == 1


@pytest.mark.parametrize(
    ("ending", "message"), [("failed", "too many tokens are waiting"), ("cancelled", "send the rest")]
)
def test_a_refused_or_cancelled_batch_ends_the_run(tmp_path: Path, ending: str, message: str) -> None:
    service = BatchService(endings=[ending])
    with pytest.raises(ModelError, match=message):
        complete(service, tmp_path)
    assert right(complete(service, tmp_path))
    assert max(Counter(service.ran).values()) == 1


def test_many_requests_are_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_REQUESTS", 4)
    service = BatchService()
    assert right(complete(service, tmp_path))
    assert len(service.batches) == 3


def test_refused_settings_are_left_out_of_the_next_batch_for_all(tmp_path: Path) -> None:
    service = BatchService(refuse=("max_tokens", "temperature", "repetition_penalty"))
    rows = complete(service, tmp_path)
    assert right(rows)
    assert len(service.batches) == 4  # more than the rounds that failures have
    assert ["temperature=0.0" in " ".join(row.notes) for row in rows] == [True] * 10


def test_damaged_lines_of_results_are_skipped(tmp_path: Path) -> None:
    odd = [b"", b"{", b"[1]", b"null", b'"custom_id"', b'{"custom_id": 7}', b"[" * 5_000, b"\xff\xfe"]
    odd += (b'{"custom_id": "x", "response": [1]}', b'{"custom_id": "x", "response": {"status_code": "200"}}')
    assert right(complete(BatchService(damaged=b"\n".join([*odd, b""])), tmp_path))


@pytest.mark.parametrize(
    ("response", "again", "message"),
    [
        (None, True, "no response"),
        ([1], True, "no response"),
        ({"status_code": "200"}, True, "no response"),
        ({"status_code": 200, "body": None}, True, "expected a JSON object"),
        ({"status_code": 200, "body": {"choices": "x"}}, True, "no choice"),
        ({"status_code": 200, "body": {"error": {"code": 400, "message": "bad"}}}, False, "400: bad"),
        ({"status_code": 400, "body": "bad"}, False, "400"),
        ({"status_code": 500, "body": [{"error": {"message": "down"}}]}, True, "500: down"),
    ],
)
def test_an_odd_line_is_a_problem_of_its_own(response: object, again: bool, message: str) -> None:
    decoding, endpoint = SamplingParams(), Endpoint("http://test/v1")
    result = limits.read({"custom_id": "x", "response": response}, Dialect(MODEL.config, decoding), endpoint)
    assert isinstance(result, Problem)
    assert result.again is again
    assert message in result.message


def test_a_service_of_pages_is_no_batch_api(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected a Batch API.*run the same command"):
        complete(BatchService(page=True), tmp_path)


def test_a_batch_of_other_stop_sequences_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = BatchService(looks=2)
    interrupt(service, tmp_path, monkeypatch)
    model = BatchedModel(MODEL, Store(tmp_path), 0.001, service.client())
    rows = generate.complete(model, chat_prompts(10), SamplingParams(stop=("5",)), Store(tmp_path))[0]
    assert rows[5].text == "You said: thing"
    assert len(service.batches) == 2


def test_a_backend_without_batches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected model=openai, got the 'echo' backend"):
        in_batches(EchoModel(EchoModelConfig("echo", "echo")), Store(tmp_path), 1.0)
