"""API requests per second, compared with other clients of the same service.

The service is a server in its own process that answers every request after a fixed time, so that connections / latency
is the most that any client can reach. The clients take turns, with the same number of connections. Peers need
environments of their own; a peer without one is left out:

    python -m venv peers && peers/bin/pip install 'lm_eval[api]==0.4.13' inspect_ai openai
    python -m benchmarks.speed.api --lm-eval peers/bin/python --inspect peers/bin/python [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.config import OpenAIModelConfig
from harness.models.openai import OpenAIModel
from harness.progress import track
from harness.stages import generate
from harness.store.stages import Store
from harness.types import Message, Prompt, SamplingParams

HARNESS, HARNESS_STORED = "harness, model=openai", "harness, each answer stored"
BARE, BARE_AIOHTTP = "AsyncOpenAI", "AsyncOpenAI on aiohttp"
INSPECT, LM_EVAL = "inspect_ai", "lm-eval"
Contender = Callable[[str, int, int], float]
"""Takes an address, the number of requests and of connections; returns the seconds."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A service of one latency, and the load on it."""

    latency: float
    connections: int
    requests: int

    @property
    def ideal(self) -> float:
        """The most requests per second that so many connections can get."""
        return self.connections / self.latency


@contextmanager
def served(latency: float) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.speed.latency_server", str(latency)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        yield f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        server.stdin.close()


def prompts(n: int) -> list[Prompt]:
    return [Prompt(str(i), messages=(Message("user", f"question {i}"),)) for i in range(n)]


def model(url: str, connections: int) -> OpenAIModel:
    return OpenAIModel(OpenAIModelConfig("openai", "m", "gpt-x", url, None, concurrency=connections))


def harness(url: str, n: int, connections: int) -> float:
    questions = prompts(n)
    list(
        model(url, 1).generate(prompts(1), SamplingParams(16))
    )  # imports what it needs, as the bare client has by its start
    start = time.perf_counter()
    completions = list(model(url, connections).generate(questions, SamplingParams(16)))
    seconds = time.perf_counter() - start
    assert len(completions) == n
    assert all(completion.text for completion in completions)
    return seconds


def harness_stored(url: str, n: int, connections: int) -> float:
    questions = prompts(n)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        generate.complete(model(url, connections), questions, SamplingParams(16), Store(Path(folder)))
        return time.perf_counter() - start


def bare(on_aiohttp: bool) -> Contender:
    return lambda url, n, connections: asyncio.run(_bare(url, n, connections, on_aiohttp))


async def _bare(url: str, n: int, connections: int, on_aiohttp: bool) -> float:
    """Time the official client with as many workers as connections."""
    import httpx2
    import openai

    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    transport = openai.DefaultAioHttpClient if on_aiohttp else openai.DefaultAsyncHttpxClient
    async with openai.AsyncOpenAI(api_key="none", base_url=url, http_client=transport(limits=limits)) as client:
        numbers = iter(range(n))

        async def work() -> int:
            done = 0
            for i in numbers:
                message: Any = {"role": "user", "content": f"question {i}"}
                reply = await client.chat.completions.create(
                    model="gpt-x", messages=[message], max_tokens=16, temperature=0.0, seed=0
                )
                done += bool(reply.choices[0].message.content)
            return done

        start = time.perf_counter()
        done = sum(await asyncio.gather(*(work() for _ in range(connections))))
        seconds = time.perf_counter() - start
    assert done == n
    return seconds


def peer(name: str, python: str) -> Contender:
    def time_it(url: str, n: int, connections: int) -> float:
        script = str(Path(__file__).with_name("api_peers.py"))
        command = [python, script, name, url, str(n), str(connections)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
        return float(done.stdout.split()[-1])

    return time_it


def race(scene: Scene, contenders: Mapping[str, Contender], rounds: int) -> dict[str, float]:
    """Return each contender's requests per second, the median of its rounds; they take turns."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    label = f"{scene.latency * 1000:.0f} ms, {scene.connections} connections"
    with served(scene.latency) as url, track(label, total=rounds * len(contenders), unit="turns") as bar:
        for _ in range(rounds):
            for name, contender in contenders.items():
                bar.advance(0, name)
                rates[name].append(scene.requests / contender(url, scene.requests, scene.connections))
                bar.advance()
    return {name: statistics.median(rounds) for name, rounds in rates.items()}


def show(scene: Scene, rates: Mapping[str, float]) -> None:
    title = f"{scene.latency * 1000:.0f} ms, {scene.connections} connections, {scene.requests:,} requests"
    table = Table("client", "requests/s", f"of the ideal {scene.ideal:,.0f}", title=title)
    for name, rate in sorted(rates.items(), key=lambda row: row[1]):
        table.add_row(name, f"{rate:,.0f}", f"{rate / scene.ideal:.1%}")
    Console(width=100).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer requests, one round")
    parser.add_argument("--inspect", metavar="PYTHON", help="an interpreter that has inspect_ai")
    parser.add_argument("--lm-eval", metavar="PYTHON", help="an interpreter that has lm_eval[api]")
    options = parser.parse_args()
    interpreters = {INSPECT: ("inspect_ai", options.inspect), LM_EVAL: ("lm_eval", options.lm_eval)}
    peers = {name: peer(module, python) for name, (module, python) in interpreters.items() if python}
    for name in interpreters.keys() - peers.keys():
        print(f"{name} is left out: no interpreter given", file=sys.stderr)
    clients = {BARE: bare(False), BARE_AIOHTTP: bare(True), HARNESS: harness}
    fast, slow = (
        (Scene(0.05, 64, 1280), Scene(0.5, 256, 2560))
        if options.quick
        else (
            Scene(0.05, 64, 6400),
            Scene(0.5, 256, 20480),
        )
    )
    rates = race(fast, {**peers, **clients, HARNESS_STORED: harness_stored}, 1 if options.quick else 3)
    show(fast, rates)
    long = race(slow, {**clients, HARNESS_STORED: harness_stored}, 1)
    show(slow, long)
    figures = {
        "requests_per_second": rates[HARNESS],
        "requests_per_second_stored": rates[HARNESS_STORED],
        "vs_bare_client": rates[HARNESS] / max(rates[BARE], rates[BARE_AIOHTTP]),
        "vs_inspect": rates[HARNESS] / rates[INSPECT] if INSPECT in rates else None,
        "vs_lm_eval": rates[HARNESS] / rates[LM_EVAL] if LM_EVAL in rates else None,
        "share_of_ideal": long[HARNESS] / slow.ideal,
        "share_of_ideal_stored": long[HARNESS_STORED] / slow.ideal,
    }
    print(json.dumps({name: None if value is None else round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
