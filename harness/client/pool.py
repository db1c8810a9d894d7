"""Many concurrent requests: as many as the service handles, each retried while that makes sense, each answered once.

The event loop runs in its own thread, so that the consumer of the outcomes may be slow, or run an event loop itself.
An outcome goes to the consumer as soon as it is complete, so that no answer that was paid for is lost in a queue.
After Ctrl-C nothing more is sent, answers in flight have `GRACE` seconds to arrive and are handed over, and then
KeyboardInterrupt is raised; a second Ctrl-C raises it at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

import numpy as np

from harness.client import http, replies
from harness.client.dialect import Dialect
from harness.client.endpoint import Endpoint
from harness.client.limiter import AdaptiveLimiter
from harness.client.replies import Problem
from harness.client.requests import Policy, RequestOutcome, ServiceAnswer, ServiceRequest
from harness.errors import ModelError
from harness.progress import few_collections, on_interrupt

GRACE = 2.0
"""Seconds that answers in flight have to arrive after Ctrl-C."""
HOPELESS = 8
"""The number of refusals of one kind, without a single answer, after which the run is given up."""
ADAPTIONS = 12
"""How often one request may be sent again because settings were renamed or left out."""
PAID_TRIES = 3
"""How often a request is sent whose replies cost money and hold no completion; once less if they are all the same."""


class Pool:
    """Posts requests to one address and yields their outcomes as they arrive."""

    def __init__(self, endpoint: Endpoint, path: str, dialect: Dialect, policy: Policy) -> None:
        self._endpoint, self._dialect, self._policy = endpoint, dialect, policy
        self._url = f"{endpoint.base_url}{path}"
        self._random = np.random.default_rng(policy.seed)
        self._queue: SimpleQueue[RequestOutcome | _End] = SimpleQueue()
        self._limiter = AdaptiveLimiter(policy.concurrency)
        self._stopping = False
        self._answered = self._fatal = self._fatal_in_a_row = 0
        self._refused: Counter[str] = Counter()

    def run(self, requests: Iterable[ServiceRequest]) -> Iterator[RequestOutcome]:
        """Yield each request's outcome, in any order; ModelError where all requests fail alike."""
        loop = asyncio.new_event_loop()
        main = loop.create_task(self._all(requests))
        thread = threading.Thread(target=_run, args=(loop, main, self._queue), name="requests", daemon=True)

        def stop() -> None:
            self._stopping = True
            main.cancel()

        def interrupt() -> None:
            self._stopping = True
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(loop.call_later, GRACE, stop)

        thread.start()
        try:
            n = 0
            with on_interrupt(interrupt), few_collections():
                while not isinstance(outcome := self._queue.get(), _End):
                    yield outcome
                    n, last = n + 1, outcome
            if self._stopping:
                raise KeyboardInterrupt
            if outcome.error is not None:
                raise outcome.error
            if n and self._fatal == n:
                raise self._hopeless(str(last.error))
        finally:
            with suppress(RuntimeError):  # raised by a loop that is closed: all is done
                loop.call_soon_threadsafe(stop)
            thread.join()

    async def _all(self, requests: Iterable[ServiceRequest]) -> None:
        unsent = iter(requests)
        workers: set[asyncio.Task[None]] = set()
        async with http.session(self._endpoint, self._policy.timeout) as session:

            def relieve() -> None:
                """Let another worker take over while one waits between two tries."""
                if len(workers) < 2 * self._policy.concurrency:
                    workers.add(asyncio.create_task(self._work(unsent, session, relieve)))

            try:
                for _ in range(self._policy.concurrency):
                    relieve()
                while workers:
                    done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
                    workers -= done
                    for worker in done:
                        worker.result()
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, unsent: Iterator[ServiceRequest], session: Any, relieve: Callable[[], None]) -> None:
        for request in unsent:
            outcome = await self._settle(request, session, relieve)
            if outcome is None:
                return
            self._queue.put(outcome)

    async def _settle(
        self, request: ServiceRequest, session: Any, relieve: Callable[[], None]
    ) -> RequestOutcome | None:
        """Try until there is an answer or no point in trying again; None where nothing more is to be sent."""
        tries, adapted = _Tries(self._policy), 0
        clock = asyncio.get_running_loop().time
        while True:
            slot = await self._limiter.enter(request.tokens)
            headers: Mapping[str, str] | None = None
            try:
                if self._stopping:
                    return None
                start, version = clock(), self._dialect.version
                reply, headers = await self._post(request, session, tries)
            finally:
                self._limiter.leave(slot, headers)
            if not isinstance(reply, Problem):
                self._answered, self._fatal_in_a_row = self._answered + 1, 0
                self._limiter.grow()
                return RequestOutcome(request, reply, None, clock() - start)
            if reply.throttled:
                self._limiter.halve(slot)
                self._limiter.close(reply.wait or 0.0)
            if reply.refusal and adapted < ADAPTIONS and self._adapts(reply, version):
                adapted += 1
                continue
            if not tries.another_after(reply):
                self._raise_if_hopeless(reply)
                return RequestOutcome(request, None, self._error(reply, tries), clock() - start)
            relieve()
            await asyncio.sleep(self._pause(tries.n - 1) if reply.wait is None else reply.wait)

    async def _post(
        self, request: ServiceRequest, session: Any, tries: _Tries
    ) -> tuple[ServiceAnswer | Problem, Mapping[str, str] | None]:
        import aiohttp

        try:
            body = self._dialect.body(request)
            async with session.post(
                self._url, data=body, allow_redirects=False, params=self._endpoint.query or None
            ) as response:
                status, headers = response.status, response.headers
                content = await http.content(response, self._policy.most_bytes)
        except aiohttp.ClientPayloadError as error:  # the answer was there, and its body broke off
            tries.paid += 1
            return replace(replies.unreachable(error, self._endpoint), paid=True), headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return replies.unreachable(error, self._endpoint), None
        except http.TooLong as error:
            return Problem(str(error), paid=True), headers
        except Exception as error:  # whatever a reply makes a library do is the error of its request alone
            return replace(replies.unreachable(error, self._endpoint), again=False), None
        if status != 200:
            return replies.problem(status, headers, content, self._endpoint), headers
        tries.received(content)
        return self._dialect.answer(content, headers.get("content-type", ""), self._endpoint), headers

    def _adapts(self, problem: Problem, version: int) -> bool:
        """Return whether the request can be sent again because settings have changed since it was sent."""
        return self._dialect.version != version or self._dialect.adapt(problem.refusal)

    def _error(self, problem: Problem, tries: _Tries) -> str:
        last = f" (the last of {tries.n} tries)" if tries.n > 1 else ""
        return f"{problem.message}{self._dialect.hint(problem.refusal)}{last}"

    def _raise_if_hopeless(self, problem: Problem) -> None:
        """Raise a ModelError where all other requests would fail like this one."""
        self._fatal += problem.fatal
        self._fatal_in_a_row += problem.fatal
        if problem.kind and not problem.fatal:
            self._refused[problem.kind] += 1
        refused = 0 if self._answered else self._refused[problem.kind]
        if max(self._fatal_in_a_row, refused) >= HOPELESS:
            raise self._hopeless(f"{problem.message}{self._dialect.hint(problem.refusal)}")

    def _hopeless(self, message: str) -> ModelError:
        return ModelError(f"{self._url} refuses every request: {message.rstrip('.')}. Earlier answers are stored.")

    def _pause(self, attempt: int) -> float:
        return float(self._random.uniform(0, min(self._policy.longest, self._policy.pause * 2**attempt)))


@dataclass(slots=True)
class _Tries:
    """The tries of one request: whether there may be another one."""

    policy: Policy
    n: int = 0
    paid: int = 0
    content: bytes = b""
    repeated: bool = False

    def received(self, content: bytes) -> None:
        """Note a reply that was paid for."""
        self.repeated = self.paid > 0 and content == self.content
        self.content = content
        self.paid += 1

    def another_after(self, problem: Problem) -> bool:
        """Count a try that failed, and return whether another one may succeed, and is worth its money."""
        self.n += 1
        worth_it = not problem.paid or (self.paid < PAID_TRIES and not self.repeated)
        self.repeated = False
        return problem.again and worth_it and self.n <= self.policy.retries


@dataclass(frozen=True, slots=True)
class _End:
    """Marks the end of the outcomes, with the error that ended them, if any."""

    error: BaseException | None = None


def _run(loop: asyncio.AbstractEventLoop, main: asyncio.Task[None], queue: SimpleQueue[RequestOutcome | _End]) -> None:
    asyncio.set_event_loop(loop)
    error: BaseException | None = None
    try:
        loop.run_until_complete(main)
    except asyncio.CancelledError:
        pass
    except BaseException as caught:
        error = caught
    finally:
        loop.run_until_complete(asyncio.sleep(0))  # connections close in the next iteration of the loop
        loop.close()
        queue.put(_End(error))
