"""An adaptive limit on concurrent requests: found by probing, as TCP does, and bounded by reported rate limits.

It starts at an eighth of the maximum and grows fast until the server pushes back; then it halves, and from there on
grows by one per round trip. Where responses report the remaining rate limit, requests wait for it to refill instead of
being refused. Source: Jacobson (1988), Congestion avoidance and control, https://doi.org/10.1145/52325.52356.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from harness.client.headers import RateLimit, rate_limit

START = 8
"""The limit starts at the maximum divided by this, but not below this."""
LONGEST_NAP = 60.0
"""Seconds after which a rate limit is checked again, whatever was reported."""
LONGEST_RESET = 300.0
"""Seconds; a limit that is reset later is assumed to refill in this time, after which the service is asked again."""
PER_MINUTE = 60.0
"""The seconds in which a limit without a reset time is assumed to refill."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Permission to send one request, with the number of halvings before it, and what was taken of each rate limit."""

    tokens: float
    halvings: int
    taken: tuple[float, float]
    """Requests and tokens that were taken up to and including this one."""


class Bucket:
    """One rate limit that refills steadily, as the server last reported it; unlimited until then."""

    def __init__(self) -> None:
        self.taken = 0.0
        self._level = self._capacity = math.inf
        self._rate = self._at = 0.0

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until `amount` is available; an amount beyond the limit waits for the whole limit."""
        if self._level == math.inf:
            return 0.0
        self._refill(now)
        short = min(amount, self._capacity) - self._level
        return 0.0 if short <= 1e-9 else min(short / self._rate, LONGEST_NAP)

    def take(self, amount: float) -> float:
        """Take `amount` and return the total that was ever taken."""
        self._level -= amount
        self.taken += amount
        return self.taken

    def observe(self, reported: RateLimit, taken: float, now: float) -> None:
        """Update from a response; what was taken after its request, when `taken` had been, is not in it yet."""
        used = reported.limit - reported.remaining
        self._capacity = reported.limit
        reset = min(reported.reset or 0.0, LONGEST_RESET)
        self._rate = used / reset if reset and used > 0 else reported.limit / PER_MINUTE
        self._level = reported.remaining - (self.taken - taken)
        self._at = now

    def _refill(self, now: float) -> None:
        self._level = min(self._capacity, self._level + self._rate * (now - self._at))
        self._at = now


class AdaptiveLimiter:
    """Admits requests in their order, as many at once as the service handles well; for one event loop."""

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.limit = float(min(maximum, max(START, maximum // START)))
        self.active = 0
        self.halvings = 0
        self._growing_fast = True
        self._closed_until = 0.0
        self._requests, self._tokens = Bucket(), Bucket()
        self._waiting: deque[tuple[float, asyncio.Future[Slot]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, tokens: float) -> Slot:
        """Wait until a request of about `tokens` tokens may be sent."""
        if not self._waiting and self.active < int(self.limit) and not self._nap(tokens):
            return self._admit(tokens)
        future: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        self._waiting.append((tokens, future))
        self._admit_waiting()
        return await future

    def leave(self, slot: Slot, headers: Mapping[str, str] | None = None) -> None:
        """Release the slot of a finished request, and learn the rate limits from its response."""
        self.active -= 1
        now = asyncio.get_running_loop().time()
        buckets = zip((self._requests, self._tokens), ("requests", "tokens"), slot.taken, strict=True)
        for bucket, unit, taken in buckets:
            if headers is not None and (reported := rate_limit(headers, unit)):
                bucket.observe(reported, taken, now)
        self._admit_waiting()

    def grow(self) -> None:
        """Raise the limit after a success; it only grows while it is what holds requests back."""
        if self.active + 1 >= int(self.limit):
            self.limit = min(self.maximum, self.limit + (START - 1 if self._growing_fast else 1 / self.limit))
            self._admit_waiting()

    def halve(self, slot: Slot) -> None:
        """Halve the limit after the service pushed back: once for all requests that were in flight together."""
        if slot.halvings == self.halvings:
            self.halvings += 1
            self.limit = max(1.0, self.limit / 2)
            self._growing_fast = False

    def close(self, seconds: float) -> None:
        """Admit no request for so many seconds."""
        self._closed_until = max(self._closed_until, asyncio.get_running_loop().time() + seconds)

    def _admit_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting and self.active < int(self.limit):
            tokens, future = self._waiting[0]
            if future.done():
                self._waiting.popleft()
            elif nap := self._nap(tokens):
                self._timer = asyncio.get_running_loop().call_later(nap, self._admit_waiting)
                return
            else:
                self._waiting.popleft()
                future.set_result(self._admit(tokens))

    def _nap(self, tokens: float) -> float:
        """Return the seconds until a request of this size may be sent, or 0."""
        now = asyncio.get_running_loop().time()
        return max(0.0, self._closed_until - now, self._requests.wait(1, now), self._tokens.wait(tokens, now))

    def _admit(self, tokens: float) -> Slot:
        self.active += 1
        return Slot(tokens, self.halvings, (self._requests.take(1), self._tokens.take(tokens)))
