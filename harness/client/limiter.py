"""How many requests may be on their way at once: found out by trying, as TCP does, and bounded by what a server tells.

It starts at an eighth of the most, and where all of these go well, all may be on their way; when a server pushes
back, it halves, and from there on grows by one a round trip. Where responses tell what is left of a rate limit,
requests wait for it to refill instead of being refused.
Source: Jacobson (1988), Congestion avoidance and control, https://doi.org/10.1145/52325.52356.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from harness.client.headers import Told, told

START = 8
"""The share of the most to start with, as a divisor, and the fewest."""
LONGEST_NAP = 60.0
"""Seconds after which a limit is looked at again, whatever was told about it."""
PER_MINUTE = 60.0
"""A limit that does not say when it is whole again is taken to be one a minute."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Leave to send one request; `round` counts the halvings before it, `marks` what was sent up to it."""

    tokens: float
    round: int
    marks: tuple[float, float]


class Bucket:
    """One rate limit that refills steadily, as the server last told it; without a limit until then."""

    def __init__(self) -> None:
        self.taken = 0.0
        self._level = self._capacity = math.inf
        self._rate = self._at = 0.0

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until `amount` is there; more than the limit itself waits for a whole one."""
        if self._level == math.inf:
            return 0.0
        self._refill(now)
        short = min(amount, self._capacity) - self._level
        return 0.0 if short <= 1e-9 else min(short / self._rate, LONGEST_NAP)

    def take(self, amount: float) -> float:
        """Take `amount` and return all that was ever taken."""
        self._level -= amount
        self.taken += amount
        return self.taken

    def observe(self, seen: Told, mark: float, now: float) -> None:
        """Learn what a response told; what was taken after its request is not in it yet."""
        gone = seen.limit - seen.remaining
        self._capacity = seen.limit
        self._rate = gone / seen.reset if seen.reset and gone else seen.limit / PER_MINUTE
        self._level = seen.remaining - (self.taken - mark)
        self._at = now

    def _refill(self, now: float) -> None:
        self._level = min(self._capacity, self._level + self._rate * (now - self._at))
        self._at = now


class Gate:
    """Lets requests through, in their order, as many at once as the service takes well; for one event loop."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(min(most, max(START, most // START)))
        self.active = 0
        self.halvings = 0
        self._growing_fast = True
        self._closed_until = 0.0
        self._requests, self._tokens = Bucket(), Bucket()
        self._waiting: deque[tuple[float, asyncio.Future[Slot]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, tokens: float) -> Slot:
        """Wait until a request of about so many tokens may be sent; at once where none waits and one may."""
        if not self._waiting and self.active < int(self.limit) and not self._nap(tokens):
            return self._admit(tokens)
        future: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        self._waiting.append((tokens, future))
        self._open()
        return await future

    def leave(self, slot: Slot, headers: Mapping[str, str] | None = None) -> None:
        """Give the place back when a request is over, and learn what its response told about the limits."""
        self.active -= 1
        now = asyncio.get_running_loop().time()
        for bucket, what, mark in zip((self._requests, self._tokens), ("requests", "tokens"), slot.marks, strict=True):
            if headers is not None and (seen := told(headers, what)):
                bucket.observe(seen, mark, now)
        self._open()

    def grow(self) -> None:
        """Take note that a request went well; the limit only grows while it is what holds requests back."""
        if self.active + 1 >= int(self.limit):
            self.limit = min(self.most, self.limit + (START - 1 if self._growing_fast else 1 / self.limit))
            self._open()

    def halve(self, slot: Slot) -> None:
        """Take note that the service pushed back: once for all requests that were on their way together."""
        if slot.round == self.halvings:
            self.halvings += 1
            self.limit = max(1.0, self.limit / 2)
            self._growing_fast = False

    def close(self, seconds: float) -> None:
        """Send nothing more for so long."""
        self._closed_until = max(self._closed_until, asyncio.get_running_loop().time() + seconds)

    def _open(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting and self.active < int(self.limit):
            tokens, future = self._waiting[0]
            if future.done():
                self._waiting.popleft()
            elif nap := self._nap(tokens):
                self._timer = asyncio.get_running_loop().call_later(nap, self._open)
                return
            else:
                self._waiting.popleft()
                future.set_result(self._admit(tokens))

    def _nap(self, tokens: float) -> float:
        """Return the seconds for which nothing may be sent, or 0."""
        now = asyncio.get_running_loop().time()
        return max(0.0, self._closed_until - now, self._requests.wait(1, now), self._tokens.wait(tokens, now))

    def _admit(self, tokens: float) -> Slot:
        self.active += 1
        return Slot(tokens, self.halvings, (self._requests.take(1), self._tokens.take(tokens)))
