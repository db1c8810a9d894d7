"""Pairwise judging: a model says which of two runs' completions is better, for each example and in both orders.

A position bias of the judge thus favours each run once. A run wins an example only if the judge prefers its completion
in both orders; if the two answers contradict each other, the example is a tie and counts as a flip. Source:
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
from harness.stages.rendering import rendered
from harness.store.digest import digest
from harness.store.stages import Store
from harness.tasks.prompts import SLOT
from harness.types import Completion, Example, Message, Prompt, SamplingParams, StageRecord


class Choice(StrEnum):
    """What one answer of the judge prefers: the completion shown as A, the one shown as B, or neither."""

    A = "A"
    B = "B"
    TIE = "tie"


class JudgeOutcome(StrEnum):
    """The result of one example for the first run, from the answers in both orders."""

    WIN = "win"
    LOSS = "loss"
    TIE = "tie"
    NO_VERDICT = "no verdict"
    """An answer is missing or is not a choice."""


@dataclass(frozen=True, slots=True)
class CompletionPair:
    """One example and both runs' completions of it; `question` is the prompt as shown to the judge."""

    example: Example
    question: str
    first: str
    second: str

    @property
    def same(self) -> bool:
        """Whether both completions are the same text: a tie, without asking the judge."""
        return self.first == self.second


@dataclass(frozen=True, slots=True)
class JudgedExample:
    """The judge's answers on one example, with the completions in the order of the runs and swapped.

    A choice is None if the answer could not be parsed, an answer is None if the judge failed. `asked` is false if both
    completions are the same text.
    """

    example_id: str
    outcome: JudgeOutcome
    asked: bool
    choices: tuple[Choice | None, Choice | None] = (None, None)
    answers: tuple[str | None, str | None] = (None, None)

    @property
    def flipped(self) -> bool:
        """Whether the two choices contradict each other; a tie in only one order is a contradiction too."""
        return None not in self.choices and self.choices not in _CONSISTENT


_CONSISTENT: dict[tuple[Choice | None, Choice | None], JudgeOutcome] = {
    (Choice.A, Choice.B): JudgeOutcome.WIN,
    (Choice.B, Choice.A): JudgeOutcome.LOSS,
    (Choice.TIE, Choice.TIE): JudgeOutcome.TIE,
}


def pairs(aligned: Aligned, n: int | None = None) -> tuple[CompletionPair, ...]:
    """Return the pairs of the first `n` shared examples of two runs, or of all; StoreError if the examples differ."""
    instructions = {str(run.result.config["task"]["instruction"]) for run in aligned.runs}
    instruction = instructions.pop() if len(instructions) == 1 else SLOT
    shared = []
    for first, second in list(zip(*aligned.predictions(), strict=True))[:n]:
        example = first.example
        same = all(getattr(example, key) == getattr(second.example, key) for key in ("prompt", "reference", "messages"))
        if not same or first.completion.text is None or second.completion.text is None:
            raise StoreError(
                f"Example {example.id!r}: expected the same prompt and reference and a completion in both runs. "
                "Judge runs on the same data."
            )
        question = example.prompt if example.messages else instruction.replace(SLOT, example.prompt)
        shared.append(CompletionPair(example, question, first.completion.text, second.completion.text))
    return tuple(shared)


def prompts(pair: CompletionPair, template: str) -> tuple[Prompt, Prompt]:
    """Return the judge's prompt in both orders.

    `{mark}` is a digest of all the texts: to forge the end of its frame, a completion would have to contain it.
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


def parse(answer: str) -> Choice | None:
    """Return the choice that an answer makes, or None if it is not exactly one.

    Accepted are a verdict in double brackets anywhere, which templates that ask for reasons use, and a verdict that is
    the whole first line.
    """
    bracketed = {_CHOICES[name.lower()] for name in _BRACKETED.findall(answer)}
    if bracketed:
        return bracketed.pop() if len(bracketed) == 1 else None
    whole = _WHOLE.fullmatch(answer.strip().partition("\n")[0])
    return _CHOICES[whole[1].lower()] if whole else None


_CHOICES = {"a": Choice.A, "b": Choice.B, "tie": Choice.TIE, "c": Choice.TIE}
"""[[C]] is a tie in the template of the paper."""
_BRACKETED = re.compile(r"\[\[\s*(A|B|C|tie)\s*\]\]", re.IGNORECASE)
_WHOLE = re.compile(
    r"\W*(?:(?:(?:my|the|final)\s+)*(?:verdict|winner|choice)(?:\s+is)?\W+)?(?:(?:it\s+is\s+)?a\s+(?=tie))?"
    r"(?:(?:the\s+)?answer\W+)?(A|B|tie)(?:\s+is\s+(?:the\s+)?better(?:\s+(?:one|answer))?)?\W*",
    re.IGNORECASE,
)


def decoding(config: JudgeConfig) -> SamplingParams:
    """Return the sampling parameters of the judge: greedy, so that equal prompts have equal answers."""
    return SamplingParams(max_tokens=config.max_tokens)


def ask(
    model: Model, to_judge: Sequence[CompletionPair], config: JudgeConfig, store: Store
) -> tuple[list[JudgedExample], StageRecord]:
    """Ask the judge about each pair and return the results, in order; stored answers are reused.

    ModelError if the judge failed on every prompt.
    """
    both = [prompts(pair, config.template) for pair in to_judge if not pair.same]
    flat = rendered(model, [prompt for orders in both for prompt in orders])
    answers, stage = generate.complete(model, flat, decoding(config), store)
    if answers and all(answer.error is not None for answer in answers):
        raise ModelError(f"The judge failed on all {len(answers)} prompts. The first error: {answers[0].error}")
    remaining = iter(answers)
    return [_same(pair) if pair.same else _judged(pair, next(remaining), next(remaining)) for pair in to_judge], stage


def _same(pair: CompletionPair) -> JudgedExample:
    return JudgedExample(pair.example.id, JudgeOutcome.TIE, asked=False)


def _judged(pair: CompletionPair, straight: Completion, swapped: Completion) -> JudgedExample:
    answers = (straight.text, swapped.text)
    choices = (_choice(straight.text), _choice(swapped.text))
    outcome = JudgeOutcome.NO_VERDICT if None in choices else _CONSISTENT.get(choices, JudgeOutcome.TIE)
    return JudgedExample(pair.example.id, outcome, True, choices, answers)


def _choice(answer: str | None) -> Choice | None:
    return None if answer is None else parse(answer)


def _mark(pair: CompletionPair) -> str:
    return digest([pair.question, pair.example.reference, *sorted((pair.first, pair.second))])[:8]


def _fill(template: str, texts: dict[str, str]) -> str:
    """Fill all placeholders at once, so that a placeholder inside a text is not filled."""
    return re.sub(r"\{(\w+)\}", lambda place: texts.get(place[1], place[0]), template)
