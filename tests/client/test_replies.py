"""How replies are classified: retry, wait, leave a setting out, give this request up, or all of them."""

from __future__ import annotations

import dataclasses
import json

import pytest

from harness.client.endpoint import MESSAGE_LENGTH, Endpoint
from harness.client.replies import Problem, Refused, Unusable, in_reply, parsed, problem, unreachable

ENDPOINT = Endpoint("https://host/v1", "sk-secret123456")


def body(message: str = "no", code: str | None = None, param: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "code": code, "param": param}}).encode()


@pytest.mark.parametrize(
    ("status", "headers", "content", "expected"),
    [
        (500, {}, b"", Problem("500: ", again=True)),
        (502, {}, b"<html>bad</html>", Problem("502: <html>bad</html>", again=True)),
        (503, {}, b"", Problem("503: ", again=True, throttled=True)),
        (529, {}, body("busy"), Problem("529: busy", again=True, throttled=True)),
        (408, {}, b"", Problem("408: ", again=True)),
        (429, {"retry-after": "3"}, body(), Problem("429: no", again=True, throttled=True, wait=3.0)),
        (429, {"retry-after": "soon"}, body(), Problem("429: no", again=True, throttled=True)),
        (501, {}, body(), Problem("501: no", kind="501")),
        (400, {}, body("too long", "context_length_exceeded"), Problem("400 context_length_exceeded: too long")),
        (
            400,
            {},
            body("no", "unsupported_value", "stop"),
            Problem("400 unsupported_value: no", kind="400 unsupported_value"),
        ),
        (
            401,
            {},
            body("who?", "invalid_api_key"),
            Problem("401 invalid_api_key: who?", fatal=True, kind="401 invalid_api_key"),
        ),
        (
            429,
            {},
            body("pay", "insufficient_quota"),
            Problem("429 insufficient_quota: pay", fatal=True, kind="429 insufficient_quota"),
        ),
        (
            404,
            {},
            body("no model", "model_not_found"),
            Problem("404 model_not_found: no model", kind="404 model_not_found"),
        ),
        (418, {}, b'{"error": "teapot"}', Problem("418: teapot", kind="418")),
        (413, {}, b"", Problem("413: ")),
        (422, {}, b'{"detail": 1}', Problem('422: {"detail": 1}', kind="422")),
        (204, {}, b"", Problem("204: expected status 200 with a completion", kind="204")),
        (
            400,
            {},
            b'[{"error": {"code": 400, "message": "m", "status": "BAD"}}]',
            Problem("400 BAD: m", kind="400 BAD"),
        ),
        (403, {}, b"\xff\xfe", Problem("403: ��", kind="403")),
        (400, {}, b"[" * 10_000, Problem(f"400: {'[' * MESSAGE_LENGTH}", kind="400")),
    ],
)
def test_problem(status: int, headers: dict[str, str], content: bytes, expected: Problem) -> None:
    result = problem(status, headers, content, ENDPOINT)
    assert dataclasses.replace(result, refusal=None) == expected
    assert (result.refusal is not None) == (status in (400, 422, 501))


@pytest.mark.parametrize(
    ("reply", "again", "message"),
    [
        ({"error": {"message": "provider down", "code": 502}}, True, "502: provider down"),
        ({"error": {"message": "slow down", "code": "429"}}, True, "429: slow down"),
        ({"error": {"message": "bad", "type": "invalid_request_error"}}, False, "invalid_request_error: bad"),
        ({"error": "overloaded"}, True, "an error with status 200: overloaded"),
        ({"choices": [{"error": {"code": 403, "message": "flagged"}}]}, False, "403: flagged"),
        ({"object": "error", "message": "no such model", "code": 404}, False, "no such model"),
        ({"detail": "Not Found"}, True, "Not Found"),
    ],
)
def test_an_error_with_status_200(reply: dict[str, object], again: bool, message: str) -> None:
    result = in_reply(reply, ENDPOINT)
    assert result
    assert result.again is again
    assert message in result.message


@pytest.mark.parametrize("reply", [{"choices": []}, {"error": None, "choices": [{"error": None}]}, {"error": {}}, {}])
def test_no_error_is_none(reply: dict[str, object]) -> None:
    assert in_reply(reply, ENDPOINT) is None


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


@pytest.mark.parametrize(
    "content",
    [b"", b'{"choices": [{"mess', b"[1]", b"\xff", b"[" * 100_000, b"<!doctype html>", b'{"n": ' + b"9" * 5000],
)
def test_half_an_object_is_unusable(content: bytes) -> None:
    with pytest.raises(Unusable, match="expected"):
        parsed(content)


def test_a_stream_that_was_not_asked_for_is_not_tried_again() -> None:
    with pytest.raises(Refused, match="stream"):
        parsed(b'data: {"choices": []}\n\n')


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        ('{"a": "ä"}'.encode(), ""),
        ('\ufeff{"a": "ä"}'.encode(), ""),
        ('{"a": "ä"}'.encode("utf-16"), ""),
        ('{"a": "ä"}'.encode("latin-1"), 'application/json; charset="ISO-8859-1"'),
        ('[{"a": "ä"}]'.encode(), "text/html"),
    ],
)
def test_an_object_in_another_encoding_is_read(content: bytes, content_type: str) -> None:
    assert parsed(content, content_type) == {"a": "ä"}
