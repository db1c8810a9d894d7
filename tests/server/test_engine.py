"""Requests that are sent together go through the model together; one that fails affects no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from harness.config import EchoModelConfig
from harness.errors import ConfigError
from harness.models.echo import EchoModel
from harness.server import state
from harness.server.engine import Engine, QueuedPrompt
from harness.server.errors import ApiError
from harness.types import Completion, Prompt, SamplingParams
from tests.support.serving import limits, settings


class Counting(EchoModel):
    """An echo that holds its batches until `gate` opens, records their sizes, and cannot read one prompt."""

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
    engine = state.build(settings(tmp_path, models, limits=limits(waiting=100))).engine
    engine.start()
    yield engine
    Counting.gate.set()
    engine.stop()


def submit(
    engine: Engine, text: str, model: str = "one", decoding: SamplingParams | None = None, seeded: bool = True
) -> QueuedPrompt:
    prompt = QueuedPrompt(model, Prompt("", text=text), decoding or SamplingParams(max_tokens=3), seeded)
    engine.submit([prompt])
    return prompt


def texts(prompts: Sequence[QueuedPrompt]) -> list[str | None]:
    return [prompt.future.result(timeout=10).completion.text for prompt in prompts]


def test_prompts_that_wait_for_one_model_are_one_batch(engine: Engine) -> None:
    first = submit(engine, "first")
    while not Counting.sizes:
        pass
    same = [submit(engine, f"a {i}") for i in range(70)]
    other = [submit(engine, f"b {i}", "two") for i in range(3)]
    longer = [submit(engine, f"c {i}", decoding=SamplingParams(max_tokens=2)) for i in range(2)]
    Counting.gate.set()
    assert texts([first, *same, *other, *longer])[:3] == ["first is what", "a 0 is", "a 1 is"]
    assert sorted(Counting.sizes) == sorted([1, 64, 6, 3, 2])


def test_equal_prompts_without_a_seed_are_never_in_one_batch(engine: Engine) -> None:
    first = submit(engine, "first")
    while not Counting.sizes:
        pass
    hot = SamplingParams(max_tokens=3, temperature=1.0)
    prompts = [submit(engine, "same", decoding=hot, seeded=False) for _ in range(3)]
    prompts += [submit(engine, f"other {i}", decoding=hot, seeded=False) for i in range(3)]
    Counting.gate.set()
    texts([first, *prompts])
    assert sorted(Counting.sizes) == [1, 1, 1, 4]


def test_one_bad_prompt_fails_only_itself(engine: Engine) -> None:
    first = submit(engine, "first")
    while not Counting.sizes:
        pass
    prompts = [submit(engine, "a"), submit(engine, "unreadable"), submit(engine, "b")]
    Counting.gate.set()
    assert texts([first, prompts[0], prompts[2]]) == ["first is what", "a is what", "b is what"]
    with pytest.raises(ConfigError, match="cannot read it"):
        prompts[1].future.result(timeout=10)


def test_a_missing_model_fails_its_prompts_and_the_next_are_answered(engine: Engine) -> None:
    Counting.gate.set()
    with pytest.raises(ApiError, match="No such model"):
        submit(engine, "a", "three").future.result(timeout=10)
    assert texts([submit(engine, "b")]) == ["b is what"]


def test_a_full_queue_refuses_prompts_and_cancelled_ones_do_not_count(engine: Engine) -> None:
    submit(engine, "first")
    while not Counting.sizes:
        pass
    waiting = [submit(engine, str(i)) for i in range(100)]
    with pytest.raises(ApiError) as caught:
        submit(engine, "more")
    assert (caught.value.status, caught.value.retry_after) == (429, 2)
    for prompt in waiting:
        prompt.future.cancel()
    last = submit(engine, "last")
    Counting.gate.set()
    assert texts([last]) == ["last is what"]
    assert Counting.sizes == [1, 1]
