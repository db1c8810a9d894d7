"""Batches through OpenAI's own client: files in, files out, and no request is sent twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
import pytest

from harness.config import EchoModelConfig
from tests.support.serving import ECHO, limits, serving, wait

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types import Batch

CHAT = "/v1/chat/completions"
FINAL = ("completed", "failed", "cancelled", "expired")


def line(custom_id: str, text: str = "A b", url: str = CHAT, **body: Any) -> dict[str, Any]:
    request = {"model": "echo", "messages": [{"role": "user", "content": text}], **body}
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": request}


def create(client: OpenAI, lines: list[Any], endpoint: Any = CHAT) -> Batch:
    content = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines).encode()
    file = client.files.create(file=("batch.jsonl", content), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h", metadata={"key": "one"}
    )


def ended(client: OpenAI, batch: Batch) -> Batch:
    return wait(lambda: newest if (newest := client.batches.retrieve(batch.id)).status in FINAL else None)


def rows(client: OpenAI, file_id: str | None) -> dict[str, Any]:
    if file_id is None:
        return {}
    parsed = [json.loads(row) for row in client.files.content(file_id).text.splitlines()]
    return {row["custom_id"]: row for row in parsed}


def test_a_batch_is_answered_line_by_line(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        client = server.client()
        lines = [line(f"r{i}", f"Thing {i}", max_tokens=2) for i in range(150)]
        lines[7]["body"]["temprature"] = 1
        lines[8]["body"]["model"] = "nothing"
        lines[9]["body"]["stream"] = True
        batch = create(client, lines)
        assert (batch.object, batch.metadata, batch.completion_window) == ("batch", {"key": "one"}, "24h")
        done = ended(client, batch)
        assert done.status == "completed"
        assert done.request_counts is not None
        assert done.request_counts.model_dump() == {"total": 150, "completed": 147, "failed": 3}
        good, bad = rows(client, done.output_file_id), rows(client, done.error_file_id)
        assert list(good) == [f"r{i}" for i in range(150) if i not in (7, 8, 9)]  # in the order of the input
        for name, row in good.items():
            assert row["response"]["status_code"] == 200
            assert row["error"] is None
            assert row["response"]["body"]["choices"][0]["message"]["content"] == f"Thing {name[1:]}"
        assert {name: row["response"]["status_code"] for name, row in bad.items()} == {"r7": 400, "r8": 404, "r9": 400}
        assert bad["r7"]["response"]["body"]["error"]["param"] == "temprature"
        assert done.in_progress_at
        assert done.completed_at
        assert [listed.id for listed in client.batches.list(limit=1)] == [done.id]
        with pytest.raises(openai.ConflictError):
            client.batches.cancel(done.id)


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        ([], ["empty_file"]),
        (["{", line("a")], ["invalid_json"]),
        ([line("a"), line("a")], ["duplicate_custom_id"]),
        ([line("a", url="/v1/completions")], ["invalid_value"]),
        ([{**line("a"), "method": "GET"}, {**line("b"), "extra": 1}], ["invalid_value", "unknown_parameter"]),
        ([{**line("a"), "body": "text"}], ["invalid_value"]),
        ([{"method": "POST"}], ["missing_required_parameter"]),
        ([line(str(i)) for i in range(5)], ["too_many_requests"]),
    ],
)
def test_a_file_with_a_bad_line_fails_the_batch(tmp_path: Path, lines: list[Any], codes: list[str]) -> None:
    with serving(tmp_path, limits=limits(batch_requests=4)) as server:
        client = server.client()
        done = ended(client, create(client, lines))
        assert done.status == "failed"
        assert done.errors is not None
        assert [error.code for error in done.errors.data or []] == codes
        assert all(error.line and error.message for error in done.errors.data or [])
        assert done.output_file_id is None


def test_other_endpoints(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        client = server.client()
        body = {"model": "echo", "prompt": ["A", "B"], "max_tokens": 1}
        request = {"custom_id": "a", "method": "POST", "url": "/v1/completions", "body": body}
        done = ended(client, create(client, [request], "/v1/completions"))
        answer = rows(client, done.output_file_id)["a"]["response"]["body"]
        assert [choice["text"] for choice in answer["choices"]] == ["A", "B"]


def test_a_cancelled_batch_keeps_its_answers(tmp_path: Path) -> None:
    slow = {"echo": EchoModelConfig("echo", "slow", seconds=0.005)}
    with serving(tmp_path, slow) as server:
        client = server.client()
        batch = create(client, [line(f"r{i}", f"Thing {i}") for i in range(1000)])
        with pytest.raises(openai.ConflictError, match="needed"):
            client.files.delete(batch.input_file_id)
        wait(lambda: (client.batches.retrieve(batch.id).request_counts or batch.request_counts).completed)  # type: ignore[union-attr]
        assert client.batches.cancel(batch.id).status == "cancelling"
        done = ended(client, batch)
        assert done.status == "cancelled"
        assert done.request_counts is not None
        assert len(rows(client, done.output_file_id)) == done.request_counts.completed
        assert 0 < done.request_counts.completed < 1000


def test_a_batch_continues_after_a_restart_and_sends_no_request_twice(tmp_path: Path) -> None:
    lines = [line(f"r{i}", f"Thing {i}") for i in range(300)]
    with serving(tmp_path, {"echo": EchoModelConfig("echo", "slow", seconds=0.005)}) as server:
        batch = create(server.client(), lines)
        wait(lambda: (server.client().batches.retrieve(batch.id).request_counts or batch.request_counts).completed)  # type: ignore[union-attr]
    [log] = tmp_path.glob("server/batches/*/answers.jsonl")
    before = log.read_bytes()
    assert 0 < before.count(b"\n") < 300
    with serving(tmp_path, ECHO) as server:
        client = server.client()
        done = ended(client, batch)
        assert done.status == "completed"
        assert len(rows(client, done.output_file_id)) == 300
    after = log.read_bytes()
    assert after.startswith(before)
    names = [json.loads(row)["key"] for row in after.splitlines()]
    assert sorted(names) == sorted({f"r{i}" for i in range(300)})
