r"""A `\n` of the command line is a line break where a text of the prompt has it."""

from __future__ import annotations

import pytest

from harness.config.compose import judge_config, run_config
from harness.config.escapes import unescaped

TEXTS = [
    (r"Q: {prompt}\nA:", "Q: {prompt}\nA:"),
    (r"\n\n", "\n\n"),
    (r"a\tB", "a\tB"),
    (r"a\r\nb", "a\nb"),
    (r"\\n", r"\n"),
    (r"\\t and \n", "\\t and \n"),
    (r"Solve \nabla \neq \text{x} \times 2", r"Solve \nabla \neq \text{x} \times 2"),
    ("a break\nand \\n", "a break\nand \\n"),
    (r"\boxed{", r"\boxed{"),
]


@pytest.mark.parametrize(("written", "text"), TEXTS)
def test_escapes(written: str, text: str) -> None:
    assert unescaped(written) == text


def test_the_texts_of_a_prompt_are_unescaped_and_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    overrides = [r'task.template="Q: {prompt}\nA:"', r'task.stop=["\n\n","END"]', r"task.instruction='{prompt}\n'"]
    config = run_config(["task=jsonl", "task.path=a\\nb.jsonl", *overrides, r'prompt.system="Be\nbrief."'])
    assert (config.task.template, config.task.stop) == ("Q: {prompt}\nA:", ["\n\n", "END"])
    assert (config.task.instruction, config.prompt.system) == ("{prompt}\n", "Be\nbrief.")
    assert config.task.path == "a\\nb.jsonl"  # type: ignore[attr-defined]
    notes = capsys.readouterr().err
    assert [name in notes for name in ("task.template", "task.stop", "prompt.system", "task.separator")] == [
        *(True, True, True),
        False,
    ]


def test_the_template_of_a_judge_is_unescaped() -> None:
    config = judge_config(["model=echo", r'template="{first}\n{second}"'])
    assert config.template == "{first}\n{second}"
