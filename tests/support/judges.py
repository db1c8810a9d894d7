"""Judges with known preferences, named in the config as "tests.support.judges:Class"; each counts its questions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.config import ModelConfig
from harness.types import Completion, FinishReason, ModelIdentity, Prompt, SamplingParams

_SHOWN = re.compile(r"^\[answer ([AB]) (\w{8})\]\n(.*?)\n\[end of answer \1 \2\]$", re.MULTILINE | re.DOTALL)


class Judge:
    """Reads the two answers out of the shipped template; a subclass says which is better."""

    parameters = None
    n_asked = 0

    def __init__(self, config: ModelConfig) -> None:
        self.identity = ModelIdentity("fake", type(self).__name__)

    def generate(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> Iterator[Completion]:
        for prompt in prompts:
            Judge.n_asked += 1
            shown = {place: text for place, _, text in _SHOWN.findall(prompt.messages[-1].content)}
            yield self.answer(prompt.example_id, self.say(shown["A"], shown["B"]))

    def answer(self, example_id: str, text: str) -> Completion:
        return Completion(example_id, text, FinishReason.STOP)

    def say(self, first: str, second: str) -> str:
        raise NotImplementedError


class First(Judge):
    def say(self, first: str, second: str) -> str:
        return "A"


class Longer(Judge):
    def say(self, first: str, second: str) -> str:
        return "tie" if len(first) == len(second) else "A" if len(first) > len(second) else "B"


class Rambling(Longer):
    """Gives no verdict on things 1 and 2, and prefers the longer answer elsewhere."""

    def say(self, first: str, second: str) -> str:
        return "Both have their merits." if re.match("Thing [12] ", first) else super().say(first, second)


class Broken(Judge):
    def answer(self, example_id: str, text: str) -> Completion:
        return Completion(example_id, None, FinishReason.ERROR, error="no such judge")

    def say(self, first: str, second: str) -> str:
        return ""
