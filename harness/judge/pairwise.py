"""An LLM judge: a model is asked which of two runs' completions is better, for each example and in both orders.

Whatever place a judge favours, it favours once for each run. An example is won only where the judge names the same
completion in both orders; where its answers contradict each other the example is a tie, and counts as a flip. Source:
Zheng et al. (2023), Judging LLM-as-a-judge with MT-bench and chatbot arena, https://arxiv.org/abs/2306.05685, sections
3.1 (pairwise, reference-guided), 3.3 (biases) and 3.4 (swapped places, the conservative rule).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.analysis.comparisons import Aligned
from harness.config import JudgeConfig
from harness.errors import ModelError, StoreError
from harness.protocols import Model
from harness.stages import generate
from harness.store.digest import digest
from harness.store.stages import Store
from harness.tasks.prompts import SLOT
from harness.types import Completion, Example, Message, Prompt, SamplingParams, StageRecord


class Choice(StrEnum):
    """What one answer of the judge says; the places are those that the completions were shown in."""

    A = "A"
    B = "B"
    TIE = "tie"


class Outcome(StrEnum):
    """What both answers say about the first run on one example."""

    WIN = "win"
    LOSS = "loss"
    TIE = "tie"
    NO_VERDICT = "no verdict"
    """An answer is missing or names no choice."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One example and both runs' completions of it; `question` is what the judge is told that was asked."""

    example: Example
    question: str
    first: str
    second: str

    @property
    def same(self) -> bool:
        """Whether there is nothing to choose: such a pair is a tie and is not asked."""
        return self.first == self.second


@dataclass(frozen=True, slots=True)
class Judged:
    """What the judge said about one example: as shown in the order of the runs, and with their places swapped.

    A choice is None where there is no verdict, and an answer where the judge failed. `asked` is false where both
    completions are the same text.
    """

    example_id: str
    outcome: Outcome
    asked: bool
    choices: tuple[Choice | None, Choice | None] = (None, None)
    answers: tuple[str | None, str | None] = (None, None)

    @property
    def flipped(self) -> bool:
        """Whether the two verdicts contradict each other; a tie in one order alone is a contradiction as well."""
        return None not in self.choices and self.choices not in _CONSISTENT


_CONSISTENT: dict[tuple[Choice | None, Choice | None], Outcome] = {
    (Choice.A, Choice.B): Outcome.WIN,
    (Choice.B, Choice.A): Outcome.LOSS,
    (Choice.TIE, Choice.TIE): Outcome.TIE,
}


def pairs(aligned: Aligned, n: int | None = None) -> tuple[Pair, ...]:
    """Return the first `n` of the examples that two runs share, or all; StoreError where they are not the same ones."""
    instructions = {str(run.result.config["task"]["instruction"]) for run in aligned.runs}
    instruction = instructions.pop() if len(instructions) == 1 else SLOT
    found = []
    for first, second in list(zip(*aligned.predictions(), strict=True))[:n]:
        example = first.example
        same = all(getattr(example, key) == getattr(second.example, key) for key in ("prompt", "reference", "messages"))
        if not same or first.completion.text is None or second.completion.text is None:
            raise StoreError(
                f"Example {example.id!r}: expected the same prompt and reference and a completion in both runs. "
                "Judge runs on the same data."
            )
        question = example.prompt if example.messages else instruction.replace(SLOT, example.prompt)
        found.append(Pair(example, question, first.completion.text, second.completion.text))
    return tuple(found)


def prompts(pair: Pair, template: str) -> tuple[Prompt, Prompt]:
    """Return the question in both orders.

    `{mark}` is a digest of all the texts: a completion that would close its own frame had to hold its own digest.
    """
    texts = {"prompt": pair.question, "reference": pair.example.reference, "mark": _mark(pair)}
    orders = (("AB", pair.first, pair.second), ("BA", pair.second, pair.first))
    straight, swapped = (
        Prompt(
            f"{pair.example.id} {order}",
            messages=(Message("user", _fill(template, {**texts, "first": shown_first, "second": shown_second})),),
        )
        for order, shown_first, shown_second in orders
    )
    return straight, swapped


def read(answer: str) -> Choice | None:
    """Return what an answer says, or None where it does not say one thing.

    It is a verdict in double brackets, as after reasons that were asked for, or one that is the whole first line.
    """
    bracketed = {_CHOICES[found.lower()] for found in _BRACKETED.findall(answer)}
    if bracketed:
        return bracketed.pop() if len(bracketed) == 1 else None
    whole = _WHOLE.fullmatch(answer.strip().partition("\n")[0])
    return _CHOICES[whole[1].lower()] if whole else None


_CHOICES = {"a": Choice.A, "b": Choice.B, "tie": Choice.TIE, "c": Choice.TIE}
"""[[C]] is the tie of the paper's own template."""
_BRACKETED = re.compile(r"\[\[\s*(A|B|C|tie)\s*\]\]", re.IGNORECASE)
_WHOLE = re.compile(
    r"\W*(?:(?:(?:my|the|final)\s+)*(?:verdict|winner|choice)(?:\s+is)?\W+)?(?:(?:it\s+is\s+)?a\s+(?=tie))?"
    r"(?:(?:the\s+)?answer\W+)?(A|B|tie)(?:\s+is\s+(?:the\s+)?better(?:\s+(?:one|answer))?)?\W*",
    re.IGNORECASE,
)


def decoding(config: JudgeConfig) -> SamplingParams:
    """Return how the judge answers: greedily, so that the same question has the same answer."""
    return SamplingParams(max_tokens=config.max_tokens)


def ask(model: Model, asked: Sequence[Pair], config: JudgeConfig, store: Store) -> tuple[list[Judged], StageRecord]:
    """Return what the judge says about each pair, in order; answers that are stored are not asked for again.

    ModelError where the judge failed on every question.
    """
    both = [prompts(pair, config.template) for pair in asked if not pair.same]
    flat = [prompt for straight_and_swapped in both for prompt in straight_and_swapped]
    answers, stage = generate.complete(model, flat, decoding(config), store)
    if answers and all(answer.error is not None for answer in answers):
        raise ModelError(f"The judge answered none of {len(answers)} questions. The first error: {answers[0].error}")
    left = iter(answers)
    return [_same(pair) if pair.same else _judged(pair, next(left), next(left)) for pair in asked], stage


def _same(pair: Pair) -> Judged:
    return Judged(pair.example.id, Outcome.TIE, asked=False)


def _judged(pair: Pair, straight: Completion, swapped: Completion) -> Judged:
    answers = (straight.text, swapped.text)
    choices = (_choice(straight.text), _choice(swapped.text))
    outcome = Outcome.NO_VERDICT if None in choices else _CONSISTENT.get(choices, Outcome.TIE)
    return Judged(pair.example.id, outcome, True, choices, answers)


def _choice(answer: str | None) -> Choice | None:
    return None if answer is None else read(answer)


def _mark(pair: Pair) -> str:
    return digest([pair.question, pair.example.reference, *sorted((pair.first, pair.second))])[:8]


def _fill(template: str, texts: dict[str, str]) -> str:
    """Fill all places at once, so that a text that holds the name of a place stays as it is."""
    return re.sub(r"\{(\w+)\}", lambda place: texts.get(place[1], place[0]), template)
