"""From the rows of any source to examples: one set of checks for JSONL files and hub datasets.

A row that cannot be used is an error, and all of a source's bad rows are reported at once. What can be read in only
one way is read and counted in a `Notice`; nothing is dropped or mended in silence.

The chat form of OpenAI's fine-tuning files: {"messages": [{"role": "user", "content": "…"}, …]}.

The last message is the completion and the ones before it are the prompt. Whatever a message holds beyond a role and
a text, such as tool calls or weights, would change what the model sees or learns, so it is refused, never left out.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.errors import DataError, unknown
from harness.tasks.fields import BadRow, checked, kind, text
from harness.tasks.notices import SHOWN, Seen, notices
from harness.tasks.split import normalise
from harness.types import Example, Message, Notice

_NOTICES = {
    "outer_space": "completions had white space around them; it was removed",
    "conversations": "prompts have a system message or several turns: a chat prompt sends the turns as they are, "
    "a plain prompt their texts joined by blank lines",
    "nested_keys": "values are lists or objects and so no slices; name the slices you want in task.slices",
    "duplicate_prompts": "prompts stand in the same file before; remove them unless the repetition is meant",
}


@dataclass(frozen=True, slots=True)
class Columns:
    """Which keys of a row are the prompt, the completion and the slices; None takes every other scalar key."""

    prompt: str = "prompt"
    completion: str = "completion"
    slices: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """The values of a row, or the `BadRow` that says why it could not be read; `origin` is `file:line`."""

    origin: str
    values: object


def parse(source: str, rows: Iterable[Row], columns: Columns) -> tuple[tuple[Example, ...], tuple[Notice, ...]]:
    """Return a source's examples and what to know about them; DataError names the rows that cannot be used."""
    parser, examples, problems = _Parser(columns), [], []
    for row in rows:
        try:
            examples.append(parser.example(row))
        except BadRow as problem:
            problems.append(f"{row.origin}: {problem}")
    if problems:
        more = f"\n  and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        shown = "\n  ".join(problems[:SHOWN])
        raise DataError(
            f"{source}: {len(problems)} of {len(problems) + len(examples)} rows cannot be used:\n  {shown}{more}"
        )
    if not examples:
        raise DataError(f"{source}: expected one example a row, got no rows. Check the path.")
    for key in columns.slices or ():
        if key not in parser.keys:
            raise DataError(f"{source}: {unknown('key in task.slices', key, parser.keys)}")
    return tuple(examples), notices(parser.seen, _NOTICES)


class _Parser:
    """Turns rows into examples, and remembers the ids, prompts, keys and oddities that it has seen."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.seen: Seen = defaultdict(list)
        self.keys: set[str] = set()
        self._ids: dict[str, str] = {}
        self._prompts: defaultdict[str, int] = defaultdict(int)

    def example(self, row: Row) -> Example:
        values = row.values
        if isinstance(values, BadRow):
            raise values
        if not isinstance(values, Mapping):
            raise BadRow(f'expected an object such as {{"prompt": "…", "completion": "…"}}, got {kind(values)}')
        prompt, completion, messages = self._texts(values)
        earlier = self._prompts[prompt]
        example_id = self._id(row.origin, values.get("id"), prompt, earlier)
        slices = self._slices(row.origin, values)
        self._prompts[prompt] += 1
        for code, present in (
            ("outer_space", completion != completion.strip()),
            ("conversations", messages),
            ("duplicate_prompts", earlier),
        ):
            if present:
                self.seen[code].append(row.origin)
        return Example(example_id, prompt, completion.strip(), slices, messages, row.origin)

    def _texts(self, values: Mapping[str, object]) -> tuple[str, str, tuple[Message, ...]]:
        if CHAT_KEY in values and self.columns.prompt not in values:
            turns, completion = chat_turns(values[CHAT_KEY])
            prompt = "\n\n".join(message.content for message in turns)
            return prompt, completion, turns if len(turns) > 1 else ()
        prompt = text(values, self.columns.prompt, "task.prompt_key")
        return prompt, text(values, self.columns.completion, "task.completion_key"), ()

    def _id(self, origin: str, given: object, prompt: str, earlier: int) -> str:
        """Take the row's own id, or make one from the prompt, so that rows keep it when a file is sorted or grows."""
        if given is None:
            slug = re.sub(r"\W+", "-", normalise(prompt))[:40].strip("-")
            digest = hashlib.sha256(prompt.encode()).hexdigest()[:12]
            given = f"{slug}-{digest}" + (f"-{earlier + 1}" if earlier else "")
        if not isinstance(given, str | int) or given == "":
            raise BadRow(f"id: expected text or a whole number, got {kind(given)}; leave it out to have one made")
        first = self._ids.setdefault(str(given), origin)
        if first != origin:
            raise BadRow(f"id {given!r} is that of {first} too; give every row its own, or none")
        return str(given)

    def _slices(self, origin: str, values: Mapping[str, object]) -> dict[str, str]:
        columns = self.columns
        own = {columns.prompt, columns.completion, CHAT_KEY, "id"}
        keys = values.keys() - own if columns.slices is None else values.keys() & set(columns.slices)
        self.keys |= values.keys()
        slices = {}
        for key in sorted(keys):
            value = values[key]
            if isinstance(value, bool):
                slices[key] = "true" if value else "false"
            elif isinstance(value, str | int | float):
                slices[key] = str(value)
            elif value is not None and columns.slices is None:
                self.seen["nested_keys"].append(f"{origin} {key}")
            elif value is not None:
                raise BadRow(f"slice {key!r}: expected text, a number or a truth value, got {kind(value)}")
        return slices


CHAT_KEY = "messages"
ROLES = ("system", "developer", "user", "assistant")


def chat_turns(messages: object) -> tuple[tuple[Message, ...], str]:
    """Return the prompt's messages and the completion; BadRow when `messages` is anything but such a chat."""
    if not isinstance(messages, list) or len(messages) < 2:
        got = f"{len(messages)} of them" if isinstance(messages, list) else kind(messages)
        raise BadRow(f"messages: expected a list of a user message and the assistant's answer or more, got {got}")
    *prompt, answer = [_message(message, f"messages[{i}]") for i, message in enumerate(messages)]
    if answer.role != "assistant":
        raise BadRow(f"messages: expected the last one to be the assistant's, the completion, got {answer.role!r}")
    if prompt[-1].role != "user":
        raise BadRow(f"messages: expected a user message before the completion, got {prompt[-1].role!r}")
    return tuple(prompt), answer.content


def _message(message: object, name: str) -> Message:
    if not isinstance(message, Mapping):
        raise BadRow(f"{name}: expected an object with role and content, got {kind(message)}")
    role = message.get("role")
    if role not in ROLES:
        raise BadRow(f"{name}.role: expected one of {', '.join(ROLES)}, got {role!r}")
    extra = sorted(str(key) for key, value in message.items() if key not in ("role", "content") and value is not None)
    if extra:
        raise BadRow(f"{name}: only role and content are supported, got {', '.join(extra)}; remove the key or the row")
    return Message(role, checked(message.get("content"), f"{name}.content"))
