r"""Line breaks in settings of the command line, where a shell and Hydra leave `\n` as two characters.

In a template, a stop sequence or a separator a line break is what is meant. `\\n` keeps the two characters, and so do
texts that have a line break already and commands of LaTeX such as `\nabla`.
"""

from __future__ import annotations

import re

from harness.progress import say

SETTINGS = (
    "task.instruction",
    "task.template",
    "task.separator",
    "task.stop",
    "task.answer_after",
    "prompt.system",
    "template",
)
"""The texts that a prompt is made of or a completion ends at; `template` is the judge's."""
_LATEX = "abla|atural|e|earrow|eg|eq|ewcommand|ewline|exists|i|mid|oindent|ormalsize|ot|otin|u"
_ESCAPE = re.compile(rf"\\\\([nt])|(?:\\r)?\\n(?!(?:{_LATEX})(?![a-zA-Z]))|\\t(?![a-z])")
_STANDS_FOR = {r"\n": "\n", r"\r\n": "\n", r"\t": "\t"}


def unescape(config: object) -> None:
    r"""Replace `\n` and `\t` in the texts of a resolved config by what they stand for, and say so."""
    for setting in SETTINGS:
        *groups, name = setting.split(".")
        owner = config
        for group in groups:
            owner = getattr(owner, group, None)
        value = getattr(owner, name, None)
        if isinstance(value, list):
            new: object = [unescaped(item) for item in value]
        else:
            new = unescaped(value) if isinstance(value, str) else value
        if new != value:
            setattr(owner, name, new)
            say(
                rf"note: {setting}: \n is read as a line break and \t as a tab; write \\n or \\t to keep two characters"
            )


def unescaped(text: str) -> str:
    r"""Return a text with `\n` and `\t` replaced, unless it has a line break already."""
    if "\n" in text:
        return text
    return _ESCAPE.sub(lambda match: _STANDS_FOR.get(match[0], match[0][1:]), text)
