"""The guard, over HTTP: keys, origins, sizes and load; ids that are paths; a key that is never disclosed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import openai
import pytest
from starlette.testclient import TestClient

from harness.config import EchoModelConfig
from harness.server.app import application
from harness.server.settings import is_loopback
from tests.support.serving import ECHO, QUESTION, limits, serving, settings, wait

CHAT = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "echo", "messages": list(QUESTION)}


def web(folder: Path, **changed: Any) -> TestClient:
    return TestClient(application(settings(folder, **changed)), base_url="http://localhost")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.1", False),
        ("127.0.0.1.example.org", False),
        ("", False),
    ],
)
def test_loopback_is_known(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Basic right"}, 401),
        ({"authorization": "Bearer \xe9"}, 401),
        ({"authorization": "Bearer right"}, 200),
        ({"authorization": "Bearer right", "host": "example.org", "origin": "https://example.org"}, 200),
    ],
)
def test_a_key_is_needed_where_there_is_one(tmp_path: Path, headers: dict[str, str], status: int) -> None:
    client = web(tmp_path, api_key="right")
    encoded = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    answer = client.get("/v1/models", headers=encoded)
    assert answer.status_code == status
    assert "right" not in answer.text
    assert client.get("/health").json() == {"status": "ok"}
    assert "right" not in repr(settings(tmp_path, api_key="right"))


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"host": "rebound.example.org"}, "host_refused"),
        ({"host": "rebound.example.org:8000"}, "host_refused"),
        ({"host": "[2001:db8::1]:8000"}, "host_refused"),
        ({"origin": "https://example.org"}, "origin_refused"),
        ({"origin": "null"}, "origin_refused"),
    ],
)
def test_without_a_key_no_web_page_is_answered(tmp_path: Path, headers: dict[str, str], code: str) -> None:
    answer = web(tmp_path).get("/v1/models", headers=headers)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == code
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert web(tmp_path).get("/v1/models", headers={"host": "[::1]:8000"}).status_code == 200


def test_a_body_that_is_too_large_is_refused_whatever_it_says(tmp_path: Path) -> None:
    with serving(tmp_path, limits=limits(body_bytes=1000, upload_bytes=1000)) as server:
        client = server.client()
        with pytest.raises(openai.APIStatusError) as caught:
            client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "a" * 2000}])
        assert caught.value.status_code == 413
        with pytest.raises(openai.APIStatusError) as caught:
            client.files.create(file=("a.jsonl", b"a" * 100_000), purpose="batch")
        assert caught.value.status_code == 413
        assert client.files.create(file=("a.jsonl", b"a" * 1000), purpose="batch").bytes == 1000
        assert len(list((server.settings.folder / "files").iterdir())) == 1

    def pieces() -> Any:
        for _ in range(20):
            yield b" " * 100

    answer = web(tmp_path, limits=limits(body_bytes=1000)).post(
        CHAT, content=pieces(), headers={"content-type": "application/json"}
    )  # without a Content-Length
    assert answer.status_code == 413


def test_more_than_the_server_takes_at_once_is_asked_to_come_again(tmp_path: Path) -> None:
    slow = {"slow": EchoModelConfig("echo", "slow", seconds=0.5), **ECHO}
    with serving(tmp_path, slow, limits=limits(waiting=2, requests=5)) as server:
        client = server.client()
        statuses: list[int] = []
        retry_after: list[str | None] = []

        def send(text: str) -> None:
            try:
                client.completions.create(model="slow", prompt=text, max_tokens=2)
                statuses.append(200)
            except openai.APIStatusError as error:
                statuses.append(error.status_code)
                retry_after.append(error.response.headers.get("retry-after"))

        def start(text: str) -> threading.Thread:
            thread = threading.Thread(target=send, args=(text,))
            thread.start()
            return thread

        first = start("first")
        threads = [first, *(start(str(number)) for number in range(8))]
        for thread in threads:
            thread.join()
        assert set(statuses) == {200, 429}
        assert set(retry_after) <= {"1", "2"}
        assert statuses.count(200) >= 2
        assert client.completions.create(model="echo", prompt="A", max_tokens=1).choices[0].text == "A"


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../..",
        "%2e%2e",
        "..%2f..%2fetc%2fpasswd",
        "file-../../../etc/passwd",
        "file-" + "0" * 23 + "%00",
        "file-" + "0" * 24,
        "file-" + "A" * 24,
        "ftjob-" + "0" * 24,
        "a" * 5000,
    ],
)
@pytest.mark.parametrize("path", ["files/{}", "files/{}/content", "fine_tuning/jobs/{}", "batches/{}", "models/{}"])
def test_no_id_leads_anywhere(tmp_path: Path, path: str, name: str) -> None:
    (tmp_path / "server" / "files" / "secret").mkdir(parents=True)
    (tmp_path / "server" / "files" / "secret" / "content").write_text("secret")
    client = web(tmp_path)
    for method in ("GET", "DELETE"):
        answer = client.request(method, f"/v1/{path.format(name)}")
        assert answer.status_code in (404, 405), answer.text
        assert answer.json()["error"]["message"]
        assert "secret" not in answer.text


def test_what_waits_for_a_client_that_has_gone_is_not_done(tmp_path: Path) -> None:
    slow = {"slow": EchoModelConfig("echo", "slow", seconds=0.3)}
    with serving(tmp_path, slow) as server:
        impatient = server.client().with_options(timeout=0.15)
        patient = server.client()
        first = threading.Thread(target=lambda: patient.completions.create(model="slow", prompt="first", temperature=0))
        first.start()
        wait(lambda: True)
        for number in range(3):  # sampled, with a seed each, so that they cannot share a batch
            with pytest.raises(openai.APITimeoutError):
                impatient.completions.create(model="slow", prompt="gone", seed=number)
        last = patient.completions.create(model="slow", prompt="last", max_tokens=1, temperature=0)
        first.join()
        assert last.choices[0].text == "last"


def test_what_the_end_of_the_server_breaks_off_is_told_so(tmp_path: Path) -> None:
    app = application(settings(tmp_path))  # its threads are not started, so nothing is ever answered
    answers: list[Any] = []

    def send() -> None:
        answers.append(TestClient(app, base_url="http://localhost").post(CHAT, json=BODY))

    thread = threading.Thread(target=send)
    thread.start()
    wait(lambda: app.state.server.engine.waiting)
    app.state.server.engine.stop()
    thread.join()
    assert answers[0].status_code == 503
    assert answers[0].headers["retry-after"] == "5"
    assert answers[0].json()["error"]["type"] == "server_error"
