"""Completions are stored as they came, so that another stop rule generates nothing again where it need not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.stages.generate import complete, completion_warnings, prompt_key, shown_key, unanswered
from harness.store.stages import Store
from harness.tasks.stopping import end_of, has_rule, settle
from harness.types import Completion, FinishReason, Message, ModelIdentity, Prompt, SamplingParams, StopAt

TEXT = "First line. Still first\nSecond line\n\nThird"


class Writer:
    """A model that says TEXT, like a local one token by token where `eager` ends it at a rule, and counts its calls."""

    parameters = None
    identity = ModelIdentity("test", "writer")

    def __init__(self, text: str = TEXT, eager: bool = False) -> None:
        self.text, self.eager, self.n = text, eager, 0

    def generate(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> Iterator[Completion]:
        for prompt in prompts:
            self.n += 1
            raw, partial = self.text, False
            if self.eager and has_rule(decoding):
                ends = [i for i in range(len(raw) + 1) if end_of(raw[:i], decoding) is not None]
                raw, partial = (raw[: ends[0]], True) if ends else (raw, False)
            base = Completion(prompt.example_id, None, FinishReason.STOP, partial=partial)
            yield settle(raw, decoding, base, prompt)


def texts(model: Writer, store: Path, decoding: SamplingParams, n: int = 1) -> list[str | None]:
    prompts = [Prompt(str(i), text=f"p{i}") for i in range(n)]
    return [completion.text for completion in complete(model, prompts, decoding, Store(store))[0]]


LINE, SENTENCE, NONE = (SamplingParams(stop_at=rule) for rule in (StopAt.line, StopAt.sentence, StopAt.none))


def test_another_rule_asks_nothing_again_where_the_text_is_whole(tmp_path: Path) -> None:
    model = Writer()
    assert texts(model, tmp_path, LINE) == ["First line. Still first"]
    assert texts(model, tmp_path, SENTENCE) == ["First line."]
    assert texts(model, tmp_path, NONE) == [TEXT]
    assert texts(model, tmp_path, replace(NONE, stop=("Second",))) == ["First line. Still first"]
    assert model.n == 1


def test_a_text_that_a_rule_ended_serves_the_rules_that_end_before(tmp_path: Path) -> None:
    model = Writer(eager=True)
    assert texts(model, tmp_path, LINE) == ["First line. Still first"]
    assert texts(model, tmp_path, SENTENCE) == ["First line."]
    assert model.n == 1
    assert texts(model, tmp_path, NONE) == [TEXT]
    assert model.n == 2  # the model had to go on
    assert texts(model, tmp_path, LINE) == ["First line. Still first"]
    assert model.n == 2


def test_a_model_that_truncates_on_its_own_is_asked_again(tmp_path: Path) -> None:
    class Own(Writer):
        def generate(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> Iterator[Completion]:
            for row in super().generate(prompts, decoding):
                yield replace(row, raw=None)

    model = Own()
    assert texts(model, tmp_path, LINE) == ["First line. Still first"]
    assert texts(model, tmp_path, NONE) == [TEXT]
    assert model.n == 2


def test_reasoning_is_stored_once_and_separated_by_the_rule_of_the_day(tmp_path: Path) -> None:
    model = Writer("<think>\nA.\nB.\n</think>\n\nThe answer\nmore")
    prompts = [Prompt("1", text="p")]
    for decoding, text, reasoning in (
        (LINE, "The answer", "A.\nB."),
        (NONE, "The answer\nmore", "A.\nB."),
        (replace(LINE, answer_after=""), "<think>", None),
        (replace(LINE, answer_after="The"), "answer", "A.\nB.\n</think>"),
        (LINE, "The answer", "A.\nB."),
    ):
        (row,), _ = complete(model, prompts, decoding, Store(tmp_path))
        assert (row.text, row.reasoning, row.finish_reason) == (text, reasoning, FinishReason.STOP)
        assert row.raw == model.text
    assert model.n == 1


def test_a_rendered_prompt_is_the_key() -> None:
    prompt = Prompt("1", messages=(Message("user", "Hi"),))
    monday, tuesday = replace(prompt, rendered="Mon: Hi"), replace(prompt, rendered="Tue: Hi")
    assert len({prompt_key(p) for p in (prompt, monday, tuesday)}) == 3
    assert prompt_key(monday) == prompt_key(replace(monday, example_id="2"))
    assert prompt_key(monday) != prompt_key(replace(monday, sample=1))
    assert shown_key(monday) == shown_key(replace(monday, sample=1))


def test_a_model_that_looks_up_by_example_is_not_keyed_by_the_prompt(tmp_path: Path) -> None:
    class Lookup(Writer):
        by_example = True

        def generate(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> Iterator[Completion]:
            for prompt in prompts:
                base = Completion(prompt.example_id, None, FinishReason.UNKNOWN)
                yield settle(f"answer {prompt.example_id}\nof two lines", replace(decoding, stop_at=StopAt.none), base)

    same = [Prompt("1", text="p", source="p"), Prompt("2", text="p", source="p")]
    rows, _ = complete(Lookup(), same, LINE, Store(tmp_path))
    assert [row.text for row in rows] == ["answer 1\nof two lines", "answer 2\nof two lines"]


@pytest.mark.parametrize(
    ("completion", "decoding", "warning"),
    [
        (Completion("1", "", FinishReason.LENGTH, reasoning="Hm"), NONE, "1 of 1 completion ended in their reasoning"),
        (Completion("1", "", FinishReason.STOP), NONE, "1 of 1 completion are empty"),
        (Completion("1", "4", FinishReason.STOP), SamplingParams(answer_after="####"), "have no '####'"),
        (Completion("1", "4", FinishReason.STOP, raw="2+2 #### 4"), SamplingParams(answer_after="####"), None),
        (Completion("1", "ok", FinishReason.STOP), NONE, None),
        (Completion("1", None, FinishReason.ERROR, error="x"), NONE, None),
    ],
)
def test_what_scores_do_not_say_is_a_warning(
    completion: Completion, decoding: SamplingParams, warning: str | None
) -> None:
    warnings = completion_warnings([completion], decoding)
    assert len(warnings) == (warning is not None)
    assert warning is None or warning in warnings[0]


def test_unanswered_prompts_are_those_without_a_usable_text(tmp_path: Path) -> None:
    model, prompts = Writer(eager=True), [Prompt("1", text="a"), Prompt("2", text="b")]
    complete(model, prompts[:1], LINE, Store(tmp_path))
    assert [p.example_id for p in unanswered(model, prompts, SENTENCE, Store(tmp_path))] == ["2"]
    assert [p.example_id for p in unanswered(model, prompts, NONE, Store(tmp_path))] == ["1", "2"]
