"""Many concurrent requests: as many as the service handles, each retried while that makes sense, each answered once.

The event loop runs in its own thread, so that the consumer of the outcomes may be slow, or run an event loop itself.
An outcome goes to the consumer as soon as it is complete, so that no answer that was paid for is lost in a queue.
After Ctrl-C nothing more is sent, answers in flight have `GRACE` seconds to arrive and are handed over, and then
KeyboardInterrupt is raised; a second Ctrl-C raises it at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import numpy as np

from harness.client import replies
from harness.client.dialect import Dialect
from harness.client.endpoint import Endpoint
from harness.client.http import session as open_session
from harness.client.limiter import AdaptiveLimiter
from harness.client.replies import Problem, Refused, Unusable
from harness.client.requests import Policy, RequestOutcome, ServiceRequest
from harness.errors import ModelError
from harness.progress import few_collections, on_interrupt

GRACE = 2.0
"""Seconds that answers in flight have to arrive after Ctrl-C."""
HOPELESS = 8
"""The number of refusals, without a single answer, after which the run is given up."""
ADAPTIONS = 4
"""The most settings that may be renamed or left out for one request."""


class Pool:
    """Posts requests to one address and yields their outcomes as they arrive."""

    def __init__(self, endpoint: Endpoint, path: str, dialect: Dialect, policy: Policy) -> None:
        self._endpoint, self._dialect, self._policy = endpoint, dialect, policy
        self._url = f"{endpoint.base_url}{path}"
        self._random = np.random.default_rng(policy.seed)
        self._queue: SimpleQueue[RequestOutcome | _End] = SimpleQueue()
        self._limiter = AdaptiveLimiter(policy.concurrency)
        self._stopping = False
        self._answered = self._refused = 0

    def run(self, requests: Iterable[ServiceRequest]) -> Iterator[RequestOutcome]:
        """Yield each request's outcome, in any order; ModelError where every request would fail alike."""
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
            with on_interrupt(interrupt), few_collections():
                while not isinstance(outcome := self._queue.get(), _End):
                    yield outcome
            if self._stopping:
                raise KeyboardInterrupt
            if outcome.error is not None:
                raise outcome.error
        finally:
            with suppress(RuntimeError):  # raised by a loop that is closed: all is done
                loop.call_soon_threadsafe(stop)
            thread.join()

    async def _all(self, requests: Iterable[ServiceRequest]) -> None:
        unsent = iter(requests)
        workers: set[asyncio.Task[None]] = set()
        async with open_session(self._endpoint, self._policy.timeout) as session:

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
        attempt = adapted = 0
        clock = asyncio.get_running_loop().time
        while True:
            slot = await self._limiter.enter(request.tokens)
            headers: Mapping[str, str] | None = None
            try:
                if self._stopping:
                    return None
                start = clock()
                reply, headers = await self._post(request, session)
            finally:
                self._limiter.leave(slot, headers)
            if not isinstance(reply, Problem):
                self._answered += 1
                self._limiter.grow()
                return RequestOutcome(request, reply, None, clock() - start)
            if reply.throttled:
                self._limiter.halve(slot)
                self._limiter.close(reply.wait or 0.0)
            if reply.parameter and adapted < ADAPTIONS and self._dialect.adapt(reply.parameter):
                adapted += 1
                continue
            if not reply.again or attempt == self._policy.retries:
                self._raise_if_hopeless(reply)
                tries = f" (the last of {attempt + 1} tries)" if attempt else ""
                return RequestOutcome(request, None, reply.message + tries, clock() - start)
            relieve()
            await asyncio.sleep(self._pause(attempt) if reply.wait is None else reply.wait)
            attempt += 1

    async def _post(
        self, request: ServiceRequest, session: Any
    ) -> tuple[dict[str, Any] | Problem, Mapping[str, str] | None]:
        import aiohttp

        try:
            body = self._dialect.body(request)
            async with session.post(self._url, data=body, allow_redirects=False) as response:
                status, headers, content = response.status, response.headers, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return replies.unreachable(error, self._endpoint), None
        if status != 200:
            return replies.problem(status, headers, content, self._endpoint), headers
        try:
            answer = replies.parsed(content)
            self._dialect.check(answer)
        except Unusable as error:
            return Problem(self._endpoint.redacted(str(error)), again=True), headers
        except Refused as error:
            return Problem(self._endpoint.redacted(str(error))), headers
        return answer, headers

    def _raise_if_hopeless(self, problem: Problem) -> None:
        """Raise a ModelError where all other requests would fail like this one."""
        self._refused += not problem.again
        if problem.fatal or (not self._answered and self._refused >= HOPELESS):
            raise ModelError(f"{self._url} refuses every request: {problem.message}. Earlier answers are stored.")

    def _pause(self, attempt: int) -> float:
        return float(self._random.uniform(0, min(self._policy.longest, self._policy.pause * 2**attempt)))


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
