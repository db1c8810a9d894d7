"""Retry-After in all its forms, and rate limits as headers report them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from harness.client.headers import RateLimit, duration, rate_limit, retry_after

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Mon, 23 Nov 2026 13:00:30 +0100"}, 30.0),
        ({"retry-after": "Mon, 23 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "later"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "١٢"}, None),
        ({"retry-after": "9" * 300}, float("9" * 300)),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Tue, 99 Foo 99999 99:99"}, None),
        ({"retry-after": "Mon, 1 Jan 0001 00:00:00 +2359"}, 0.0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360.0),
        ("12ms", 0.012),
        ("1.5s", 1.5),
        ("23h47m36.648s", 85656.648),
        ("1d2h", 93600.0),
        ("20", 20.0),
        ("", None),
        ("soon", None),
        ("3x", None),
        ("-1s", None),
    ],
)
def test_duration(text: str, seconds: float | None) -> None:
    assert duration(text) == (None if seconds is None else pytest.approx(seconds))


def test_rate_limit() -> None:
    headers = {
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-tokens": "6ms",
        "x-ratelimit-limit-requests": "-1",
        "x-ratelimit-remaining-requests": "59",
    }
    assert rate_limit(headers, "tokens") == RateLimit(150000, 149984, 0.006)
    assert rate_limit(headers, "requests") is None
    assert rate_limit({}, "tokens") is None
