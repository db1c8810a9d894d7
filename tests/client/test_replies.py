"""How replies are classified: retry, wait, leave a setting out, give this request up, or all of them."""

from __future__ import annotations

import json

import pytest

from harness.client.endpoint import MESSAGE_LENGTH, Endpoint
from harness.client.replies import Problem, Unusable, parsed, problem, unreachable

ENDPOINT = Endpoint("https://host/v1", "sk-secret123456")


def body(message: str = "no", code: str | None = None, param: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "code": code, "param": param}}).encode()


@pytest.mark.parametrize(
    ("status", "headers", "content", "expected"),
    [
        (500, {}, b"", Problem("500: ", again=True)),
        (502, {}, b"<html>bad</html>", Problem("502: <html>bad</html>", again=True)),
        (503, {}, b"", Problem("503: ", again=True, throttled=True)),
        (408, {}, b"", Problem("408: ", again=True)),
        (429, {"retry-after": "3"}, body(), Problem("429: no", again=True, throttled=True, wait=3.0)),
        (400, {}, body("too long", "context_length_exceeded"), Problem("400 context_length_exceeded: too long")),
        (400, {}, body("no", "unsupported_value", "stop[0]"), Problem("400 unsupported_value: no", parameter="stop")),
        (401, {}, body("who?", "invalid_api_key"), Problem("401 invalid_api_key: who?", fatal=True)),
        (429, {}, body("pay", "insufficient_quota"), Problem("429 insufficient_quota: pay", fatal=True)),
        (404, {}, body("no model", "model_not_found"), Problem("404 model_not_found: no model")),
        (418, {}, b'{"error": "teapot"}', Problem("418: teapot")),
        (422, {}, b'{"detail": 1}', Problem('422: {"detail": 1}')),
    ],
)
def test_problem(status: int, headers: dict[str, str], content: bytes, expected: Problem) -> None:
    assert problem(status, headers, content, ENDPOINT) == expected


def test_a_wait_beyond_all_patience_ends_the_run() -> None:
    result = problem(429, {"retry-after": "7200"}, body("a day's tokens are used up"), ENDPOINT)
    assert result.fatal
    assert "asks to wait 7,200 s" in result.message


def test_a_redirect_is_not_followed_with_the_key() -> None:
    result = problem(301, {"location": "https://elsewhere"}, b"", ENDPOINT)
    assert result.fatal
    assert "set model.base_url" in result.message


@pytest.mark.parametrize("message", ["Incorrect key sk-secret123456", "Incorrect: sk-se*****3456.", "key-abcdef-99"])
def test_no_key_gets_into_a_message(message: str) -> None:
    for result in (problem(401, {}, body(message), ENDPOINT), unreachable(OSError(message), ENDPOINT)):
        assert "***" in result.message
        assert "secret" not in result.message
        assert "abcdef" not in result.message


def test_a_long_message_is_truncated() -> None:
    assert len(problem(500, {}, b"x" * 10_000, ENDPOINT).message) < MESSAGE_LENGTH + 20


@pytest.mark.parametrize("content", [b"", b'{"choices": [{"mess', b"[1]", b"\xff"])
def test_half_an_object_is_unusable(content: bytes) -> None:
    with pytest.raises(Unusable, match="expected"):
        parsed(content)
