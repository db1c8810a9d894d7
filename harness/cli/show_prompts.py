"""`--show-prompts N`: what the model gets, chat template included, with token counts; nothing is generated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.config import HarnessConfig
from harness.pipeline import say_notices
from harness.protocols import TokenizingModel
from harness.stages.prepare import prepare
from harness.stages.rendering import estimate_tokens
from harness.tasks.prompts import plain_text
from harness.wording import counted


@dataclass(frozen=True, slots=True)
class ShownPrompt:
    """One prompt of a run as the model gets it, the reference, and the tokens of both, estimated or exact."""

    run_id: str
    example_id: str
    prompt: str
    prompt_tokens: int
    reference: str
    reference_tokens: int
    estimated: bool


def shown_prompts(config: HarnessConfig) -> tuple[ShownPrompt, ...]:
    """Return the first `show_prompts` prompts of a run, after all the checks that the run makes."""
    prepared, n = prepare(config), config.show_prompts
    say_notices(prepared.dataset)
    prompts, examples, model = prepared.prompts[:n], prepared.examples[:n], prepared.model
    texts, references = [plain_text(prompt) for prompt in prompts], [example.reference for example in examples]
    if isinstance(model, TokenizingModel):
        sizes = [encoded.tokens for encoded in model.rendered(prompts)]
        reference_sizes = [encoded.tokens for encoded in model.encoded(references)]
    else:
        sizes, reference_sizes = [list(map(estimate_tokens, part)) for part in (texts, references)]
    rows = zip(examples, texts, sizes, references, reference_sizes, strict=True)
    estimated = not isinstance(model, TokenizingModel)
    return tuple(
        ShownPrompt(prepared.run_id, example.id, text, size, reference, reference_size, estimated)
        for example, text, size, reference, reference_size in rows
    )


def print_prompts(prompts: Sequence[Mapping[str, Any]]) -> None:
    """Print prompts between rules, so that their own line breaks and spaces can be seen."""
    from harness.reports.terminal import console

    out = console()
    for values in prompts:
        shown = ShownPrompt(**values)
        about = "about " if shown.estimated else ""
        sizes = f"{about}{counted(shown.prompt_tokens, 'token')}, reference {about}{shown.reference_tokens:,}"
        out.rule(f"{shown.run_id} · {shown.example_id} · {sizes}", align="left", style="dim")
        out.print(shown.prompt, markup=False, highlight=False, soft_wrap=True)
        out.rule("reference", align="left", style="dim")
        out.print(shown.reference, markup=False, highlight=False, soft_wrap=True)
