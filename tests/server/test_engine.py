"""Requests that are sent together go through the model together; one that fails costs only itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from harness.config import EchoModelConfig
from harness.errors import ConfigError
from harness.models.echo import EchoModel
from harness.server import state
from harness.server.engine import Ask, Engine
from harness.server.errors import ApiError
from harness.types import Completion, Prompt, SamplingParams
from tests.support.serving import limits, settings


class Counting(EchoModel):
    """An echo that waits for its first batch's release, keeps the size of each, and cannot read one prompt."""

    sizes: list[int] = []  # noqa: RUF012
    gate = threading.Event()

    def generate(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> Iterator[Completion]:
        if any(prompt.text == "unreadable" for prompt in prompts):
            raise ConfigError("cannot read it")
        Counting.sizes.append(len(prompts))
        Counting.gate.wait(10)
        yield from super().generate(prompts, decoding)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    Counting.sizes, Counting.gate = [], threading.Event()
    names = ("one", "two")
    models = {name: EchoModelConfig("tests.server.test_engine:Counting", name) for name in names}
    found = state.build(settings(tmp_path, models, limits=limits(waiting=100))).engine
    found.start()
    yield found
    Counting.gate.set()
    found.stop()


def ask(
    engine: Engine, text: str, model: str = "one", decoding: SamplingParams | None = None, seeded: bool = True
) -> Ask:
    made = Ask(model, Prompt("", text=text), decoding or SamplingParams(max_tokens=3), seeded)
    engine.submit([made])
    return made


def texts(asks: Sequence[Ask]) -> list[str | None]:
    return [each.future.result(timeout=10).completion.text for each in asks]


def test_what_waits_for_one_model_goes_through_it_at_once(engine: Engine) -> None:
    first = ask(engine, "first")
    while not Counting.sizes:
        pass
    same = [ask(engine, f"a {i}") for i in range(70)]
    other = [ask(engine, f"b {i}", "two") for i in range(3)]
    longer = [ask(engine, f"c {i}", decoding=SamplingParams(max_tokens=2)) for i in range(2)]
    Counting.gate.set()
    assert texts([first, *same, *other, *longer])[:3] == ["first is what", "a 0 is", "a 1 is"]
    assert sorted(Counting.sizes) == sorted([1, 64, 6, 3, 2])


def test_the_same_prompt_is_not_drawn_twice_in_one_batch(engine: Engine) -> None:
    first = ask(engine, "first")
    while not Counting.sizes:
        pass
    hot = SamplingParams(max_tokens=3, temperature=1.0)
    asks = [ask(engine, "same", decoding=hot, seeded=False) for _ in range(3)]
    asks += [ask(engine, f"other {i}", decoding=hot, seeded=False) for i in range(3)]
    Counting.gate.set()
    texts([first, *asks])
    assert sorted(Counting.sizes) == [1, 1, 1, 4]


def test_one_bad_prompt_costs_only_itself(engine: Engine) -> None:
    first = ask(engine, "first")
    while not Counting.sizes:
        pass
    asks = [ask(engine, "a"), ask(engine, "unreadable"), ask(engine, "b")]
    Counting.gate.set()
    assert texts([first, asks[0], asks[2]]) == ["first is what", "a is what", "b is what"]
    with pytest.raises(ConfigError, match="cannot read it"):
        asks[1].future.result(timeout=10)


def test_a_model_that_is_gone_is_told_and_the_next_is_answered(engine: Engine) -> None:
    Counting.gate.set()
    with pytest.raises(ApiError, match="No such model"):
        ask(engine, "a", "three").future.result(timeout=10)
    assert texts([ask(engine, "b")]) == ["b is what"]


def test_more_than_may_wait_is_refused_whole_and_what_was_cancelled_does_not_count(engine: Engine) -> None:
    ask(engine, "first")
    while not Counting.sizes:
        pass
    waiting = [ask(engine, str(i)) for i in range(100)]
    with pytest.raises(ApiError) as caught:
        ask(engine, "more")
    assert (caught.value.status, caught.value.retry_after) == (429, 2)
    for each in waiting:
        each.future.cancel()
    last = ask(engine, "last")
    Counting.gate.set()
    assert texts([last]) == ["last is what"]
    assert Counting.sizes == [1, 1]
