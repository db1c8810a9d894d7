"""Small shared pieces for tests: a corpus as a file, and a config of the shipped fake on it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.config import (
    EchoModelConfig,
    FineTuneConfig,
    GenerationConfig,
    HarnessConfig,
    JsonlTaskConfig,
    MetricsConfig,
    PromptConfig,
    PromptStyle,
    ReportConfig,
    StatsConfig,
    TrackingConfig,
    TrackingMode,
)
from harness.models.echo import EchoModel
from harness.types import Completion, Likelihood, Prompt, SamplingParams, StopAt, TrainingPair

TOPICS = ("maths", "people", "places")


def write_corpus(path: Path, n: int = 30) -> Path:
    """Write n rows whose completions start with their prompts, in three topics."""
    rows = [
        {
            "id": f"e{i}",
            "prompt": f"Thing {i} of all",
            "completion": f"Thing {i} is {'very ' * (i % 5)}fine.",
            "topic": TOPICS[i % 3],
        }
        for i in range(n)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def config(folder: Path, name: str = "echo", n: int = 12, error_rate: float = 0.0) -> HarnessConfig:
    """Return a whole config: the echo model on a small corpus, three cheap metrics, everything below `folder`."""
    data = folder / "data.jsonl"
    if not data.exists():
        write_corpus(data)
    return HarnessConfig(
        name=name,
        store=str(folder / "store"),
        task=JsonlTaskConfig(
            name="things", dataset="jsonl", path=str(data), n_validation=n, validation_pool=20, stop_at=StopAt.line
        ),
        model=EchoModelConfig("echo", name, error_rate=error_rate),
        finetune=FineTuneConfig(),
        prompt=PromptConfig("chat", PromptStyle.chat),
        generation=GenerationConfig(max_tokens=16),
        metrics=MetricsConfig(["exact_match", "rougeL", "bleu"]),
        stats=StatsConfig(n_resamples=200),
        tracking=TrackingConfig(TrackingMode.disabled),
        report=ReportConfig(str(folder / "reports"), name),
    )


class Interrupted(EchoModel):
    """An echo that is killed after a few answers."""

    generated = 0
    dies_after = 5

    def generate(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> Iterator[Completion]:
        for i, completion in enumerate(super().generate(prompts, decoding)):
            if i == Interrupted.dies_after:
                raise KeyboardInterrupt
            Interrupted.generated += 1
            yield completion


class LikelihoodEcho(EchoModel):
    """An echo that gives longer completions lower likelihoods, and prefers the prompt's last word."""

    measured = 0
    dies_after = 10**9

    def likelihoods(self, pairs: Sequence[TrainingPair]) -> Iterator[tuple[int, Likelihood]]:
        for position, pair in reversed(list(enumerate(pairs))):
            if LikelihoodEcho.measured == LikelihoodEcho.dies_after:
                raise KeyboardInterrupt
            LikelihoodEcho.measured += 1
            words = pair.completion.split()
            preferred = words[-1] == pair.prompt.messages[-1].content.split()[-1]
            yield position, Likelihood(0.5 * len(words) + 2.0 * (not preferred), len(words) + 1, len(words) + preferred)
