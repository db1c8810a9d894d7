"""Many requests at once: as many as the service takes, each tried again while that makes sense, each answered once.

The event loop runs in a thread of its own, so that whoever consumes the answers may take their time, or have an event
loop running themselves. An answer goes to the consumer in the moment it is whole: nothing that was paid for waits
for anything else. Ctrl-C sends nothing more, gives what is on its way a moment to arrive, hands it over, and is then
raised; a second one is raised at once.
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

from harness.client import http as connection
from harness.client import replies
from harness.client.endpoint import Endpoint
from harness.client.limiter import Gate
from harness.client.replies import Problem, Refused, Unusable
from harness.client.requests import Dialect, Job, Outcome, Policy
from harness.errors import ModelError
from harness.runtime import few_collections, on_interrupt

GRACE = 2.0
"""Seconds that answers on their way have after Ctrl-C."""
HOPELESS = 8
"""So many refusals and not one answer mean that the next request is refused too."""
ADAPTIONS = 4
"""Settings that one request may have to do without."""


class Pool:
    """Posts jobs to one address and yields their outcomes as they come."""

    def __init__(self, endpoint: Endpoint, path: str, dialect: Dialect, policy: Policy) -> None:
        self._endpoint, self._dialect, self._policy = endpoint, dialect, policy
        self._url = f"{endpoint.base_url}{path}"
        self._random = np.random.default_rng(policy.seed)
        self._queue: SimpleQueue[Outcome | _End] = SimpleQueue()
        self._gate = Gate(policy.concurrency)
        self._stopping = False
        self._answered = self._refused = 0

    def run(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        """Yield each job's outcome, in any order; ModelError where every request would fail alike."""
        loop = asyncio.new_event_loop()
        main = loop.create_task(self._all(jobs))
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
                while not isinstance(found := self._queue.get(), _End):
                    yield found
            if self._stopping:
                raise KeyboardInterrupt
            if found.error is not None:
                raise found.error
        finally:
            with suppress(RuntimeError):  # raised by a loop that is closed: all is done
                loop.call_soon_threadsafe(stop)
            thread.join()

    async def _all(self, jobs: Iterable[Job]) -> None:
        left = iter(jobs)
        workers: set[asyncio.Task[None]] = set()
        async with connection.session(self._endpoint, self._policy.timeout) as session:

            def relieve() -> None:
                """Let another worker take over while one waits between two tries."""
                if len(workers) < 2 * self._policy.concurrency:
                    workers.add(asyncio.create_task(self._work(left, session, relieve)))

            try:
                for _ in range(self._policy.concurrency):
                    relieve()
                while workers:
                    done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
                    workers -= done
                    for worker in done:
                        worker.result()
            finally:
                for each in workers:
                    each.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, left: Iterator[Job], session: Any, relieve: Callable[[], None]) -> None:
        for job in left:
            outcome = await self._settle(job, session, relieve)
            if outcome is None:
                return
            self._queue.put(outcome)

    async def _settle(self, job: Job, session: Any, relieve: Callable[[], None]) -> Outcome | None:
        """Try until there is an answer or no point in trying; None where no more is to be sent."""
        attempt = adapted = 0
        clock = asyncio.get_running_loop().time
        while True:
            slot = await self._gate.enter(job.tokens)
            headers: Mapping[str, str] | None = None
            try:
                if self._stopping:
                    return None
                start = clock()
                found, headers = await self._post(job, session)
            finally:
                self._gate.leave(slot, headers)
            if not isinstance(found, Problem):
                self._answered += 1
                self._gate.grow()
                return Outcome(job, found, None, clock() - start)
            if found.throttled:
                self._gate.halve(slot)
                self._gate.close(found.wait or 0.0)
            if found.parameter and adapted < ADAPTIONS and self._dialect.adapt(found.parameter):
                adapted += 1
                continue
            if not found.again or attempt == self._policy.retries:
                self._give_up_on_all(found)
                tries = f" (the last of {attempt + 1} tries)" if attempt else ""
                return Outcome(job, None, found.message + tries, clock() - start)
            relieve()
            await asyncio.sleep(self._pause(attempt) if found.wait is None else found.wait)
            attempt += 1

    async def _post(self, job: Job, session: Any) -> tuple[dict[str, Any] | Problem, Mapping[str, str] | None]:
        import aiohttp

        try:
            body = self._dialect.body(job)
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

    def _give_up_on_all(self, found: Problem) -> None:
        """Raise a ModelError where all other requests would fail like this one."""
        self._refused += not found.again
        if found.fatal or (not self._answered and self._refused >= HOPELESS):
            raise ModelError(f"{self._url} refuses every request: {found.message}. What was answered before is kept.")

    def _pause(self, attempt: int) -> float:
        return float(self._random.uniform(0, min(self._policy.longest, self._policy.pause * 2**attempt)))


@dataclass(frozen=True, slots=True)
class _End:
    """No more outcomes; the error that ended them, where one did."""

    error: BaseException | None = None


def _run(loop: asyncio.AbstractEventLoop, main: asyncio.Task[None], queue: SimpleQueue[Outcome | _End]) -> None:
    asyncio.set_event_loop(loop)
    error: BaseException | None = None
    try:
        loop.run_until_complete(main)
    except asyncio.CancelledError:
        pass
    except BaseException as caught:
        error = caught
    finally:
        loop.run_until_complete(asyncio.sleep(0))  # connections close in the next round of the loop
        loop.close()
        queue.put(_End(error))
