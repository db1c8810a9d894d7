"""Thousands of requests through a service that fails: nothing is lost, nothing is paid for twice, kills included."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.models.openai import OpenAIModel
from harness.stages import generate
from harness.store.logs import Log
from harness.types import Completion, FinishReason, SamplingParams
from tests.support.clients import chat_prompts, model_on
from tests.support.fault_server import KINDS, REPEATED, Behaviour, FaultServer

ROOT = Path(__file__).parents[2]


def completed(model: OpenAIModel, n: int) -> list[Completion]:
    return list(model.generate(chat_prompts(n), SamplingParams()))


def test_two_thousand_requests_through_faults_of_every_kind() -> None:
    with FaultServer(Behaviour(faults=0.3)) as server:
        rows = completed(model_on(server), 2000)
    assert {row.example_id: row.text for row in rows} == {f"e{i}": f"You said: thing {i}" for i in range(2000)}
    assert len(rows) == 2000
    assert max(server.seen.billed.values()) == 1
    assert sum(server.seen.billed.values()) == 2000
    assert all(server.seen.faults[kind] > 30 for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_that_never_ends_is_an_error_and_no_empty_text(kind: str) -> None:
    with FaultServer(Behaviour(faults=1.0, kinds=(kind,), slow=0.2)) as server:
        rows = completed(model_on(server, retries=2, timeout=0.1), 3)
    assert [(row.text, row.finish_reason) for row in rows] == [(None, FinishReason.ERROR)] * 3
    tries = 2 if kind in REPEATED else 3  # the same reply again, which costs money, stays the same
    assert all(row.error and f"(the last of {tries} tries)" in row.error for row in rows)
    assert set(server.seen.requests.values()) == {tries}


def test_it_finds_how_many_requests_a_service_handles_at_once() -> None:
    with FaultServer(Behaviour(latency=0.01, most=12)) as server:
        rows = completed(model_on(server, concurrency=200), 800)
    assert not [row for row in rows if row.error]
    assert 12 < server.seen.most_at_once < 40
    assert sum(server.seen.billed.values()) == 800


def test_it_keeps_to_the_tokens_per_minute_that_the_service_reports() -> None:
    limits = {"limit": "100000", "remaining": "0", "reset": "60s"}
    headers = {f"x-ratelimit-{name}-tokens": value for name, value in limits.items()}
    with FaultServer(Behaviour(headers=headers)) as server:
        start = time.monotonic()
        stream = model_on(server).generate(chat_prompts(40), SamplingParams(max_tokens=100))
        rows = [next(stream) for _ in range(12)]
        seconds = time.monotonic() - start
        stream.close()  # type: ignore[attr-defined]
    assert not [row for row in rows if row.error]
    assert seconds > 0.05  # 1,667 tokens/s and 100 per request: 4 more after the first 8 take 0.24 s or so


def test_a_kill_at_any_moment_costs_at_most_what_was_on_its_way(tmp_path: Path) -> None:
    n, moments = 300, random.Random(0)
    saved: set[str] = set()
    before: dict[str, int] = {}
    with FaultServer(Behaviour(latency=0.02, faults=0.3)) as server:
        for _ in range(3):
            child = start(server.base_url, tmp_path / "killed", n)
            enough = sum(server.seen.billed.values()) + moments.randrange(20, 60)
            wait_for(server, enough)
            child.kill()
            child.wait()
            assert {p: server.seen.requests[p] for p in saved} == {p: before[p] for p in saved}
            saved = stored(tmp_path / "killed", n)
            before = dict(server.seen.requests)
        assert start(server.base_url, tmp_path / "killed", n).wait() == 0
        assert {p: server.seen.requests[p] for p in saved} == {p: before[p] for p in saved}
        assert len(saved) > 30
        twice = [prompt for prompt, count in server.seen.billed.items() if count > 1]
        assert len(twice) <= 3 * 16  # written by the server, not read by a client that was dead by then
        assert start(server.base_url, tmp_path / "whole", n).wait() == 0
    assert (tmp_path / "killed/final.jsonl").read_bytes() == (tmp_path / "whole/final.jsonl").read_bytes()


def test_ctrl_c_brings_home_what_was_paid_for(tmp_path: Path) -> None:
    n = 200
    with FaultServer(Behaviour(latency=0.05)) as server:
        child = start(server.base_url, tmp_path, n)
        wait_for(server, 40)
        child.send_signal(signal.SIGINT)
        assert child.wait() == 130
        assert stored(tmp_path, n) == set(server.seen.billed)
        assert start(server.base_url, tmp_path, n).wait() == 0
        assert set(server.seen.billed.values()) == {1}
        assert len(server.seen.billed) == n


def start(base_url: str, store: Path, n: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.support.child", base_url, str(store), str(n)]
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def wait_for(server: FaultServer, answers: int) -> None:
    """Wait until the server has written so many answers."""
    end = time.monotonic() + 30
    while sum(server.seen.billed.values()) < answers:
        assert time.monotonic() < end
        time.sleep(0.002)


def stored(folder: Path, n: int) -> set[str]:
    """Return the prompts whose completions a store has."""
    (path,) = folder.glob("stages/completions/*/completions.jsonl")
    keys = {generate.prompt_key(prompt): prompt.messages[-1].content for prompt in chat_prompts(n)}
    return {keys[key] for key in Log[dict[str, Any]](path, dict, dict).read()}
