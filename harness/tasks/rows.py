"""From the rows of any source to examples: one set of checks for JSON lines files and hub datasets.

A row that cannot be used is an error, and all of a source's bad rows are reported at once. What can be read in only
one way is read and counted in a `Notice`; nothing is dropped or repaired silently.

A row has a prompt and a completion, or a chat in the form of OpenAI's fine-tuning files: {"messages": [{"role": "user",
"content": "…"}, …]}. The last message is the completion and the ones before it are the prompt. Whatever a message holds
beyond a role and a text, such as tool calls or weights, would change what the model sees or learns, so it is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.errors import DataError, unknown
from harness.tasks.split import normalise
from harness.types import Example, Message, Notice
from harness.wording import at_most, counted

MAX_SHOWN = 5
"""How many rows a message names before it only counts them."""
CHAT_KEY = "messages"
ROLES = ("system", "developer", "user", "assistant")

Origins = defaultdict[str, list[str]]
"""The origins of the rows that a notice is about, by the code of the notice."""
NoticeTexts = Mapping[str, tuple[str, str]]
"""What a notice says, by its code: a noun, which is counted, and the rest of the message."""

_NOTICES: NoticeTexts = {
    "outer_space": ("completion", "with surrounding whitespace, which was removed"),
    "conversations": (
        "prompt",
        "with a system message or several turns: a chat prompt sends the turns as they are, a plain prompt their texts "
        "joined by blank lines",
    ),
    "nested_keys": ("nested value", "(list or object) ignored; name the slices to report by in task.slices"),
    "duplicate_prompts": (
        "prompt",
        "repeated from earlier in the same file; remove repetitions unless intended",
    ),
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


class BadRow(ValueError):
    """A row that cannot be used; its message follows `file:line`."""


def parse(source: str, rows: Iterable[Row], columns: Columns) -> tuple[tuple[Example, ...], tuple[Notice, ...]]:
    """Return a source's examples and the notices about them; DataError names the rows that cannot be used."""
    parser, examples, problems = _Parser(columns), [], []
    for row in rows:
        try:
            examples.append(parser.example(row))
        except BadRow as problem:
            problems.append(f"{row.origin}: {problem}")
    if problems:
        shown = "\n  ".join(at_most(problems, MAX_SHOWN))
        raise DataError(f"{source}: {len(problems)} of {len(problems) + len(examples)} rows cannot be used:\n  {shown}")
    if not examples:
        raise DataError(f"{source}: expected one example per row, got no rows. Check the path.")
    for key in columns.slices or ():
        if key not in parser.keys:
            raise DataError(f"{source}: {unknown('key in task.slices', key, parser.keys)}")
    return tuple(examples), notices(parser.origins, _NOTICES)


def notices(origins: Mapping[str, Sequence[str]], texts: NoticeTexts) -> tuple[Notice, ...]:
    """Return, in the order of `texts`, a notice for each code with any origins."""
    return tuple(
        Notice(code, f"{noun if len(rows) == 1 else f'{noun}s'} {rest}", len(rows), tuple(rows[:MAX_SHOWN]))
        for code, (noun, rest) in texts.items()
        if (rows := origins.get(code))
    )


def origin_of(example: Example) -> str:
    """Return where an example was read and its id, for a notice."""
    return f"{example.origin} {example.id!r}" if example.origin else repr(example.id)


class _Parser:
    """Turns rows into examples, and remembers their ids, prompts, keys and peculiarities."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.origins: Origins = defaultdict(list)
        self.keys: set[str] = set()
        self._origin_of_id: dict[str, str] = {}
        self._prompt_counts: defaultdict[str, int] = defaultdict(int)

    def example(self, row: Row) -> Example:
        values = row.values
        if isinstance(values, BadRow):
            raise values
        if not isinstance(values, Mapping):
            raise BadRow(f'expected an object such as {{"prompt": "…", "completion": "…"}}, got {json_type(values)}')
        prompt, completion, messages = self._texts(values)
        n_earlier = self._prompt_counts[prompt]
        example_id = self._id(row.origin, values.get("id"), prompt, n_earlier)
        slices = self._slices(row.origin, values)
        self._prompt_counts[prompt] += 1
        for code, present in (
            ("outer_space", completion != completion.strip()),
            ("conversations", messages),
            ("duplicate_prompts", n_earlier),
        ):
            if present:
                self.origins[code].append(row.origin)
        return Example(example_id, prompt, completion.strip(), slices, messages, row.origin)

    def _texts(self, values: Mapping[str, object]) -> tuple[str, str, tuple[Message, ...]]:
        if CHAT_KEY in values and self.columns.prompt not in values:
            turns, completion = chat_turns(values[CHAT_KEY])
            prompt = "\n\n".join(message.content for message in turns)
            return prompt, completion, turns if len(turns) > 1 else ()
        prompt = _column(values, self.columns.prompt, "task.prompt_key")
        return prompt, _column(values, self.columns.completion, "task.completion_key"), ()

    def _id(self, origin: str, example_id: object, prompt: str, n_earlier: int) -> str:
        """Take the row's own id, or make one from the prompt, so that rows keep it when a file is sorted or grows."""
        if example_id is None:
            slug = re.sub(r"\W+", "-", normalise(prompt))[:40].strip("-")
            digest = hashlib.sha256(prompt.encode()).hexdigest()[:12]
            example_id = f"{slug}-{digest}" + (f"-{n_earlier + 1}" if n_earlier else "")
        if not isinstance(example_id, str | int) or example_id == "":
            raise BadRow(f"id: expected text or a whole number, got {json_type(example_id)}; omit it to have one made")
        first = self._origin_of_id.setdefault(str(example_id), origin)
        if first != origin:
            raise BadRow(f"id {example_id!r} is that of {first} too; give every row its own, or none")
        return str(example_id)

    def _slices(self, origin: str, values: Mapping[str, object]) -> dict[str, str]:
        columns = self.columns
        not_slices = {columns.prompt, columns.completion, CHAT_KEY, "id"}
        keys = values.keys() - not_slices if columns.slices is None else values.keys() & set(columns.slices)
        self.keys |= values.keys()
        slices = {}
        for key in sorted(keys):
            value = values[key]
            if isinstance(value, bool):
                slices[key] = "true" if value else "false"
            elif isinstance(value, str | int | float):
                slices[key] = str(value)
            elif value is not None and columns.slices is None:
                self.origins["nested_keys"].append(f"{origin} {key}")
            elif value is not None:
                raise BadRow(f"slice {key!r}: expected text, a number or a boolean, got {json_type(value)}")
        return slices


def _column(values: Mapping[str, object], key: str, setting: str) -> str:
    """Return the text under `key`, unchanged; `setting` is the config key that selects another column."""
    if key not in values:
        raise BadRow(f"{unknown('key', key, map(str, values))} Rename it, or set {setting}.")
    return checked_text(values[key], key)


def chat_turns(messages: object) -> tuple[tuple[Message, ...], str]:
    """Return the prompt's messages and the completion; BadRow when `messages` is anything but such a chat."""
    if not isinstance(messages, list) or len(messages) < 2:
        got = counted(len(messages), "message") if isinstance(messages, list) else json_type(messages)
        raise BadRow(f"messages: expected a list that ends with a user message and the assistant's answer, got {got}")
    *prompt, answer = [_message(message, f"messages[{i}]") for i, message in enumerate(messages)]
    if answer.role != "assistant":
        raise BadRow(f"messages: expected the last one to be the assistant's, the completion, got {answer.role!r}")
    if prompt[-1].role != "user":
        raise BadRow(f"messages: expected a user message before the completion, got {prompt[-1].role!r}")
    return tuple(prompt), answer.content


def _message(message: object, name: str) -> Message:
    if not isinstance(message, Mapping):
        raise BadRow(f"{name}: expected an object with role and content, got {json_type(message)}")
    role = message.get("role")
    if role not in ROLES:
        raise BadRow(f"{name}.role: expected one of {', '.join(ROLES)}, got {role!r}")
    extra = sorted(str(key) for key, value in message.items() if key not in ("role", "content") and value is not None)
    if extra:
        raise BadRow(f"{name}: only role and content are supported, got {', '.join(extra)}; remove the key or the row")
    return Message(role, checked_text(message.get("content"), f"{name}.content"))


def checked_text(value: object, name: str) -> str:
    """Return `value` if it is text that can be tokenised and stored; BadRow otherwise."""
    if not isinstance(value, str):
        raise BadRow(f"{name}: expected text, got {json_type(value)}")
    if not value.strip():
        raise BadRow(f"{name}: expected text, got {value!r}; remove the row or fill it in")
    if "\0" in value:
        raise BadRow(f"{name}: has a null byte at character {value.index(chr(0)) + 1}; remove it")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadRow(f"{name}: has an unpaired surrogate at character {error.start + 1}; replace it") from None
    return value


def json_type(value: object) -> str:
    """Return the JSON type of a value, as it is written in messages."""
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", type(None): "null"}
    return names.get(type(value)) or (f"the number {value}" if isinstance(value, int | float) else type(value).__name__)
