"""Prompts as the model gets them, and whether it could give the references back under the run's stop rules and limit.

Both are known before any work where the model has a tokenizer at hand: the rendered prompt is part of the keys of what
comes out of it, is shown by `run --show-prompts`, and is kept with each prediction.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from harness.client.requests import BYTES_PER_TOKEN
from harness.config import PromptConfig, PromptStyle, TaskConfig
from harness.protocols import LookupModel, Model, TokenizingModel
from harness.tasks.rows import NoticeTexts, Origins, notices, origin_of
from harness.tasks.stopping import settle
from harness.types import Completion, EncodedText, Example, FinishReason, Notice, Prompt, SamplingParams, StopAt

LIMITS = ("reference_truncated", "reference_reasoning", "not_decodable")
"""Notices that belong beside the scores: a perfect model would not reach the best one."""


def rendered(model: Model, prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """Return the prompts with the one text that the model gets, where its tokenizer is at hand."""
    if not isinstance(model, TokenizingModel):
        return tuple(prompts)
    texts = model.rendered(prompts)
    return tuple(replace(prompt, rendered=encoded.text) for prompt, encoded in zip(prompts, texts, strict=True))


def stop_sequences(task: TaskConfig, style: PromptConfig, examples: Sequence[Example]) -> tuple[str, ...]:
    """Return the task's stop sequences, and the separator of plain prompts, after which a base model would go on.

    A separator that a reference contains ends nothing.
    """
    separator = task.separator
    ends = style.style is PromptStyle.plain and separator and not any(separator in e.reference for e in examples)
    return tuple(dict.fromkeys([*task.stop, *([separator] if ends else [])]))


def reference_notices(
    model: Model, examples: Sequence[Example], task: TaskConfig, style: PromptConfig, decoding: SamplingParams
) -> tuple[Notice, ...]:
    """Return notices about references that no completion can equal: truncated by a rule or the limit, or not decodable.

    Tokens are counted by the model's own tokenizer where there is one, else estimated. Completions that exist already
    are neither truncated nor limited.
    """
    if isinstance(model, LookupModel):
        return ()
    references = [example.reference for example in examples]
    tokenizer = model if isinstance(model, TokenizingModel) else None
    encoded = tokenizer.encoded(references) if tokenizer else [_estimated(text) for text in references]
    origins: Origins = defaultdict(list)
    reasoning_alone = replace(decoding, stop=(), stop_at=StopAt.none)
    for example, text in zip(examples, encoded, strict=True):
        separated = style.style is PromptStyle.plain and task.separator and task.separator in example.reference
        for code, applies in (
            ("separator_in_reference", separated),
            ("reference_truncated", _changed(example.reference, replace(decoding, answer_after=""))),
            ("reference_reasoning", _changed(example.reference, reasoning_alone)),
            ("over_limit", text.tokens > decoding.max_tokens),
            ("not_decodable", text.decoded.strip() != example.reference.strip()),
        ):
            if applies:
                origins[code].append(origin_of(example))
    longest = max((text.tokens for text in encoded), default=0)
    return notices(origins, _texts(decoding, f"{longest:,}{'' if tokenizer else ', by an estimate'}"))


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of a text where no tokenizer is at hand.

    It is the larger of 1.4 per word (SmolLM2's tokenizer has 1.37 for Wikipedia's English sentences) and, for scripts
    without spaces, one per `BYTES_PER_TOKEN` of UTF-8.
    """
    return max(math.ceil(1.4 * len(text.split())), len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def _estimated(text: str) -> EncodedText:
    return EncodedText(text, estimate_tokens(text), text)


def _texts(decoding: SamplingParams, longest: str) -> NoticeTexts:
    limit = f"generation.max_tokens={decoding.max_tokens}"
    return {
        "separator_in_reference": (
            "reference",
            "with task.separator in it, which therefore ends no completion; set another task.separator",
        ),
        "reference_truncated": (
            "reference",
            f"that {_rules(decoding)} truncates, so that no completion can equal it; change the rule or the references",
        ),
        "reference_reasoning": (
            "reference",
            f"with {decoding.answer_after or 'a reasoning tag such as </think>'} in it, before which all counts as "
            "reasoning, so that no completion can equal it; set task.answer_after to another marker, or to '' for none",
        ),
        "over_limit": (
            "reference",
            f"longer than {limit}, so that no completion can equal it; raise the limit (the longest has {longest})",
        ),
        "not_decodable": (
            "reference",
            "that the model's tokenizer cannot give back, such as special tokens, so that no completion can equal it",
        ),
    }


def _changed(reference: str, decoding: SamplingParams) -> bool:
    """Return whether a model that gives the reference word for word would be scored on a part of it."""
    whole = settle(reference, decoding, Completion("", reference, FinishReason.STOP))
    return whole.text != reference.strip()


def _rules(decoding: SamplingParams) -> str:
    rules = [f"task.stop={list(decoding.stop)}"] if decoding.stop else []
    if decoding.stop_at is not StopAt.none:
        rules.append(f"task.stop_at={decoding.stop_at.value}")
    return " or ".join(rules)
