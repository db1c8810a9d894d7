"""Response headers about waiting: Retry-After in its three forms, and the remaining rate limits.

Sources: RFC 9110, section 10.2.3 (Retry-After is seconds or a date); OpenAI's guide "Rate limits" (x-ratelimit-*: the
limit, what remains of it, and the time until it is reset, such as `6m0s` or `12ms`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_PART = re.compile(r"([0-9]{1,300}(?:\.[0-9]{1,300})?)(ms|[dhms])")
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One rate limit as a response reports it: its size, what remains, and the seconds until it is reset."""

    limit: float
    remaining: float
    reset: float | None


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that a server asks to wait, or None if it does not say."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        date = parsedate_to_datetime(value)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def rate_limit(headers: Mapping[str, str], unit: str) -> RateLimit | None:
    """Return the limit on `requests` or `tokens` that the headers report, or None if they report none."""
    limit = _number(headers.get(f"x-ratelimit-limit-{unit}"))
    remaining = _number(headers.get(f"x-ratelimit-remaining-{unit}"))
    if limit is None or remaining is None or limit <= 0:
        return None
    return RateLimit(limit, min(remaining, limit), duration(headers.get(f"x-ratelimit-reset-{unit}", "")))


def duration(text: str) -> float | None:
    """Return the seconds of `1m30s`, `12ms` or a bare number, None for anything else."""
    text = text.strip()
    parts = _PART.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return _number(text)


def _number(text: str | None) -> float | None:
    """Return a finite number of 0 or more, or None; servers also send -1 and words."""
    if text is None or not re.fullmatch(r"[0-9]{1,300}(\.[0-9]{1,300})?", text.strip()):
        return None
    return float(text)
