"""The adaptive limiter: how many requests it admits, and when it grows, halves and waits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from harness.client.headers import RateLimit
from harness.client.limiter import AdaptiveLimiter, Bucket, Slot

FULL = {"x-ratelimit-limit-tokens": "1000", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "2s"}


class Traffic:
    """A limiter with requests that start and end when a test says so."""

    def __init__(self, maximum: int) -> None:
        self.limiter = AdaptiveLimiter(maximum)
        self.slots: list[Slot] = []
        self.tasks: set[asyncio.Task[None]] = set()

    async def ask(self, n: int, tokens: float = 10) -> int:
        """Start n requests and return how many are in flight then."""
        for _ in range(n):
            self.tasks.add(asyncio.create_task(self._enter(tokens)))
        await self.settle()
        return len(self.slots)

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def end(self, n: int, headers: Mapping[str, str] | None = None, well: bool = True) -> int:
        """End n requests and return how many are in flight then."""
        ended, self.slots = self.slots[:n], self.slots[n:]
        for slot in ended:
            self.limiter.leave(slot, headers)
            if well:
                self.limiter.grow()
            else:
                self.limiter.halve(slot)
        await self.settle()
        return len(self.slots)

    async def _enter(self, tokens: float) -> None:
        slot = await self.limiter.enter(tokens)
        self.slots.append(slot)


def test_it_starts_at_an_eighth_and_goes_up_to_the_most_as_these_go_well() -> None:
    async def scene() -> list[int]:
        traffic = Traffic(maximum=128)
        seen = [await traffic.ask(500)]
        for well in (8, 8, 128):
            seen.append(await traffic.end(well))
        return seen

    assert asyncio.run(scene()) == [16, 72, 128, 128]


def test_it_does_not_grow_while_less_is_asked_for() -> None:
    async def scene() -> float:
        traffic = Traffic(maximum=64)
        for _ in range(50):
            await traffic.ask(2)
            await traffic.end(2)
        return traffic.limiter.limit

    assert asyncio.run(scene()) == 8


def test_it_halves_once_for_requests_that_were_on_their_way_together_then_grows_slowly() -> None:
    async def scene() -> list[float]:
        traffic = Traffic(maximum=32)
        await traffic.ask(500)
        await traffic.end(8)  # 32 at once
        seen = [traffic.limiter.limit]
        await traffic.end(10, well=False)
        seen.append(traffic.limiter.limit)
        while len(traffic.slots) > 16:  # those that were in flight when it halved
            await traffic.end(1, well=False)
        seen.append(traffic.limiter.limit)
        await traffic.end(16, well=True)
        seen.append(round(traffic.limiter.limit))
        await traffic.end(1, well=False)
        seen.append(round(traffic.limiter.limit))
        return seen

    assert asyncio.run(scene()) == [32, 16, 16, 17, 8]


def test_it_never_falls_below_one() -> None:
    async def scene() -> float:
        traffic = Traffic(maximum=4)
        await traffic.ask(100)
        for _ in range(10):
            await traffic.end(1, well=False)
        return traffic.limiter.limit

    assert asyncio.run(scene()) == 1


def test_a_closed_limiter_admits_nothing_until_its_time() -> None:
    async def scene() -> list[int]:
        traffic = Traffic(maximum=8)
        await traffic.ask(1)
        traffic.limiter.close(0.05)
        seen = [await traffic.ask(3)]
        await asyncio.sleep(0.08)
        return [*seen, len(traffic.slots)]

    assert asyncio.run(scene()) == [1, 4]


def test_it_waits_for_tokens_to_refill() -> None:
    async def scene() -> tuple[int, float]:
        traffic = Traffic(maximum=8)
        await traffic.ask(1)
        start = asyncio.get_running_loop().time()
        held = await traffic.end(1, FULL) + await traffic.ask(1, tokens=50)  # 1000 come back in 2 s: 50 take 0.1 s
        while not traffic.slots:
            await asyncio.sleep(0.005)
        return held, asyncio.get_running_loop().time() - start

    held, seconds = asyncio.run(scene())
    assert held == 0
    assert seconds >= 0.1


@pytest.mark.parametrize(
    ("reported", "amount", "seconds"),
    [
        (RateLimit(1000, 400, 60.0), 300, 0.0),
        (RateLimit(1000, 400, 60.0), 500, 10.0),  # 600 come back in 60 s
        (RateLimit(1000, 400, None), 500, 6.0),  # 1000 a minute
        (RateLimit(1000, 1000, 0.0), 5000, 0.0),  # more than there ever is: a whole limit will do
        (RateLimit(1000, 0, 60.0), 5000, 60.0),
        (RateLimit(1000, 0, 1e300), 100, 30.0),  # reset in ages: as if in LONGEST_RESET
        (RateLimit(1000, 900, 1e-300), 950, 0.0),
    ],
)
def test_a_bucket_says_how_long(reported: RateLimit, amount: float, seconds: float) -> None:
    bucket = Bucket()
    assert bucket.wait(amount, 0.0) == 0.0
    bucket.observe(reported, taken=0.0, now=0.0)
    assert bucket.wait(amount, 0.0) == pytest.approx(seconds)
    assert bucket.wait(amount, seconds) == pytest.approx(0.0)


def test_what_was_sent_after_a_request_is_not_in_what_its_reply_reports() -> None:
    bucket = Bucket()
    taken = bucket.take(100)
    bucket.take(250)
    bucket.observe(RateLimit(1000, 900, 6.0), taken, now=0.0)
    assert bucket.wait(650, 0.0) == 0.0
    assert bucket.wait(651, 0.0) > 0.0
