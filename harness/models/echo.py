"""The shipped fake: completions made from the prompt, for tests and dry runs without weights.

It obeys every decoding option that limits the length, so that what is tested with it holds for real models.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from harness.config import EchoModelConfig
from harness.errors import ConfigError
from harness.store.digest import digest
from harness.tasks.stopping import settle
from harness.types import Completion, FinishReason, ModelIdentity, Prompt, SamplingParams


class EchoModel:
    """Repeats the prompt in a sentence; a token is a word."""

    parameters = None

    def __init__(self, config: EchoModelConfig) -> None:
        if not 0 <= config.error_rate <= 1:
            raise ConfigError(f"model.error_rate: expected a share from 0 to 1, got {config.error_rate}.")
        self._config = config
        self.identity = ModelIdentity(backend="echo", base="echo", revision=f"1, error_rate {config.error_rate}")

    def generate(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> Iterator[Completion]:
        """Yield one completion per prompt, in order; the same prompts fail each time."""
        for prompt in prompts:
            time.sleep(self._config.seconds)
            question = prompt.messages[-1].content if prompt.messages else prompt.text
            if int(digest(question), 16) / 16**16 < self._config.error_rate:
                yield Completion(
                    prompt.example_id, None, FinishReason.ERROR, error="chosen to fail by model.error_rate"
                )
            else:
                yield self._answer(prompt, question.split(), decoding)

    def _answer(self, prompt: Prompt, question: list[str], decoding: SamplingParams) -> Completion:
        words = f"{' '.join(question)} is what was asked. Nothing more is known.".split()
        generated = words[: decoding.max_tokens]
        completion = Completion(
            prompt.example_id,
            None,
            FinishReason.LENGTH if len(generated) < len(words) else FinishReason.STOP,
            prompt_tokens=len(question),
            completion_tokens=len(generated),
            seconds=self._config.seconds,
        )
        return settle(" ".join(generated), decoding, completion, prompt)
