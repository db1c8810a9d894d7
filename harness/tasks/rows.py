"""From the rows of any source to examples: one set of checks for JSON lines files and hub datasets.

A row that cannot be used is an error, and all of a source's bad rows are reported at once. What can be read in only
one way is read and counted in a `Notice`; nothing is dropped or repaired silently.

A row has a prompt and a completion, or a chat in the form of OpenAI's fine-tuning files: {"messages": [{"role": "user",
"content": "…"}, …]}. The last message is the completion and the ones before it are the prompt. Whatever a message holds
beyond a role and a text, such as tool calls or weights, would change what the model sees or learns, so it is refused,
and so are keys of the row that do, such as `tools`.

Numbers and booleans are labels: they are read as the text that stands in the file.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.errors import DataError, unknown
from harness.tasks.split import normalise
from harness.types import Example, Message, Notice
from harness.wording import at_most, counted

MAX_SHOWN = 5
"""How many rows a message names before it only counts them."""
CHAT_KEY = "messages"
ROLES = ("system", "developer", "user", "assistant")
COMPLETION_KEYS = ("completion", "reference")
"""Where the reference is looked for if `task.completion_key` is not set; a row may have one of them."""
PREDICTION_KEY = "prediction"
"""Where a row has what a model answered, if `task.prediction_key` is not set."""
ABOUT_PREDICTIONS = ("finish_reason", "error", "reasoning")
"""Further keys of a row with a prediction, which are about it and no slices."""
REQUEST_KEYS = {
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "response_format",
    "system",
    "documents",
    "chat_template_kwargs",
}
"""Keys beside the prompt that change what a model is shown; in rows without messages a scalar may be a slice."""
_GUESSES = {
    "task.prompt_key": ("prompt", "question", "instruction", "input", "query", "text", "source", "sentence", "title"),
    "task.completion_key": (
        *("completion", "reference", "answer", "output", "response", "target", "label", "expected", "gold"),
        *("solution", "summary", "translation", "ideal"),
    ),
}
"""Common names of the two columns, for messages."""

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
    "labels": ("value", "read as text: numbers and booleans are labels, as they are written"),
    "nested_keys": ("nested value", "(list or object) ignored; name the slices to report by in task.slices"),
    "duplicate_prompts": (
        "prompt",
        "repeated from earlier in the same file; remove repetitions unless intended",
    ),
}


@dataclass(frozen=True, slots=True)
class Columns:
    """Which keys of a row are the prompt, the reference completion, a model's prediction, and the slices.

    None takes one of `COMPLETION_KEYS`, `PREDICTION_KEY`, and every other scalar key.
    """

    prompt: str = "prompt"
    completion: str | None = None
    slices: Sequence[str] | None = None
    prediction: str | None = None

    def completion_of(self, values: Mapping[str, object]) -> str:
        """Return the key of a row's reference; BadRow where it has two that may be meant."""
        if self.completion is not None:
            return self.completion
        first, other = COMPLETION_KEYS
        if first in values and other in values:
            raise BadRow(f"has both {first!r} and {other!r}; set task.completion_key to the one that is the reference")
        return other if other in values else first


@dataclass(frozen=True, slots=True)
class Row:
    """The values of a row, or the `BadRow` that says why it could not be read; `origin` is `file:line`."""

    origin: str
    values: object


class BadRow(ValueError):
    """A row that cannot be used; its message follows `file:line`."""


def parse(source: str, rows: Iterable[Row], columns: Columns) -> tuple[tuple[Example, ...], tuple[Notice, ...]]:
    """Return a source's examples and the notices about them; DataError names the rows that cannot be used."""
    parsed, row_notices = parse_rows(source, rows, columns)
    return tuple(example for _, example in parsed), row_notices


def parse_rows(
    source: str, rows: Iterable[Row], columns: Columns
) -> tuple[list[tuple[Row, Example]], tuple[Notice, ...]]:
    """Return each row of a source with its example, and the notices about them; DataError as of `parse`."""
    parser, parsed, problems = _Parser(columns), [], []
    for row in rows:
        try:
            parsed.append((row, parser.example(row)))
        except BadRow as problem:
            problems.append(f"{row.origin}: {problem}")
    if problems:
        shown = "\n  ".join(at_most(problems, MAX_SHOWN))
        raise DataError(f"{source}: {len(problems)} of {len(problems) + len(parsed)} rows cannot be used:\n  {shown}")
    if not parsed:
        raise DataError(f"{source}: expected one example per row, got no rows. Check the path.")
    for key in columns.slices or ():
        if key not in parser.keys:
            raise DataError(f"{source}: {unknown('key in task.slices', key, parser.keys)}")
    return parsed, notices(parser.origins, _NOTICES)


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
        prompt, completion, messages = self._texts(row.origin, values)
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

    def _texts(self, origin: str, values: Mapping[str, object]) -> tuple[str, str, tuple[Message, ...]]:
        is_chat, text_of = self._is_chat(values), self._text_of(origin)
        _refuse_request_keys(values, is_chat)
        if is_chat:
            turns, completion = chat_turns(values[CHAT_KEY], text_of)
            prompt = "\n\n".join(message.content for message in turns)
            return prompt, completion, turns if len(turns) > 1 else ()
        key = self.columns.completion_of(values)
        columns = {"task.prompt_key": self.columns.prompt, "task.completion_key": key}
        if missing := {setting: column for setting, column in columns.items() if column not in values}:
            raise BadRow(_missing(missing, values))
        return text_of(values[self.columns.prompt], self.columns.prompt), text_of(values[key], key), ()

    def _is_chat(self, values: Mapping[str, object]) -> bool:
        return CHAT_KEY in values and self.columns.prompt not in values

    def _text_of(self, origin: str) -> Callable[[object, str], str]:
        """Return the check of a text, which also takes the numbers and booleans of this row as they are written."""

        def text_of(value: object, name: str) -> str:
            text = scalar_text(value)
            if text is not None and not isinstance(value, str):
                self.origins["labels"].append(f"{origin} {name}")
            return checked_text(value if text is None else text, name)

        return text_of

    def _id(self, origin: str, example_id: object, prompt: str, n_earlier: int) -> str:
        """Take the row's own id, or make one from the prompt, so that rows keep it when a file is sorted or grows."""
        if example_id is None:
            slug = re.sub(r"\W+", "-", normalise(prompt))[:40].strip("-")
            digest = hashlib.sha256(prompt.encode()).hexdigest()[:12]
            example_id = f"{slug}-{digest}" + (f"-{n_earlier + 1}" if n_earlier else "")
        text = id_text(example_id)
        first = self._origin_of_id.setdefault(text, origin)
        if first != origin:
            raise BadRow(f"id {example_id!r} is that of {first} too; give every row its own, or none")
        return text

    def _slices(self, origin: str, values: Mapping[str, object]) -> dict[str, str]:
        self.keys |= values.keys()
        slices = {}
        for key in sorted(self._slice_keys(values)):
            value = values[key]
            if (text := scalar_text(value)) is not None:
                slices[key] = text
            elif value is not None and self.columns.slices is None:
                self.origins["nested_keys"].append(f"{origin} {key}")
            elif value is not None:
                raise BadRow(f"slice {key!r}: expected text, a number or a boolean, got {json_type(value)}")
        return slices

    def _slice_keys(self, values: Mapping[str, object]) -> set[str]:
        columns = self.columns
        if columns.slices is not None:
            return values.keys() & set(columns.slices)
        prediction = columns.prediction or PREDICTION_KEY
        not_slices = {columns.prompt, columns.completion_of(values), prediction, "id"}
        not_slices |= {CHAT_KEY} if self._is_chat(values) else set()
        not_slices |= set(ABOUT_PREDICTIONS) if prediction in values else set()
        return values.keys() - not_slices


def _refuse_request_keys(values: Mapping[str, object], is_chat: bool) -> None:
    empty: tuple[object, ...] = (None, "", [], {})
    keys = sorted(key for key in values.keys() & REQUEST_KEYS if values[key] not in empty)
    if keys := [key for key in keys if is_chat or isinstance(values[key], list | dict)]:
        raise BadRow(f"{', '.join(keys)}: would change what the model sees, and is not supported; remove it or the row")


def _missing(columns: Mapping[str, str], values: Mapping[str, object]) -> str:
    """Return what to do about a row that lacks these columns, by the settings that select others."""
    keys = {name.casefold(): name for name in map(str, values)}
    mends = []
    for setting in columns:
        guess = next((keys[name] for name in _GUESSES[setting] if name in keys), None)
        mends.append(f"{setting}={guess}" if guess else setting)
    return f"{unknown('key', next(iter(columns.values())), keys.values())} Rename it, or set {' '.join(mends)}."


def id_text(value: object) -> str:
    """Return an example's id as text: a text as it is, a whole number as its digits; BadRow for anything else."""
    if value == "" or isinstance(value, bool) or not isinstance(value, str | int):
        raise BadRow(f"id: expected text or a whole number, got {json_type(value)}; omit it to have one made")
    return str(value)


def scalar_text(value: object) -> str | None:
    """Return the text of a text, a number or a boolean as it stands in the data; None for NaN and for anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isnan(value):
        return None
    return str(value) if isinstance(value, str | int | float) else None


def chat_turns(
    messages: object, text_of: Callable[[object, str], str] | None = None
) -> tuple[tuple[Message, ...], str]:
    """Return the prompt's messages and the completion; BadRow when `messages` is anything but such a chat.

    `text_of` reads the content of a message, by default with `checked_text`.
    """
    if not isinstance(messages, list) or len(messages) < 2:
        got = counted(len(messages), "message") if isinstance(messages, list) else json_type(messages)
        raise BadRow(f"messages: expected a list that ends with a user message and the assistant's answer, got {got}")
    *prompt, answer = [
        _message(message, f"messages[{i}]", text_of or checked_text) for i, message in enumerate(messages)
    ]
    if answer.role != "assistant":
        raise BadRow(f"messages: expected the last one to be the assistant's, the completion, got {answer.role!r}")
    if prompt[-1].role != "user":
        raise BadRow(f"messages: expected a user message before the completion, got {prompt[-1].role!r}")
    return tuple(prompt), answer.content


def _message(message: object, name: str, text_of: Callable[[object, str], str]) -> Message:
    if not isinstance(message, Mapping):
        raise BadRow(f"{name}: expected an object with role and content, got {json_type(message)}")
    role = message.get("role")
    if role not in ROLES:
        raise BadRow(f"{name}.role: expected one of {', '.join(ROLES)}, got {role!r}")
    extra = sorted(str(key) for key, value in message.items() if key not in ("role", "content") and value is not None)
    if extra:
        raise BadRow(f"{name}: only role and content are supported, got {', '.join(extra)}; remove the key or the row")
    return Message(role, text_of(message.get("content"), f"{name}.content"))


def checked_text(value: object, name: str) -> str:
    """Return `value` if it is text that can be tokenised and stored; BadRow otherwise."""
    if not isinstance(value, str):
        empty = " or an empty cell; remove the row or fill it in" if value is None else ""
        raise BadRow(f"{name}: expected text, got {json_type(value)}{empty}")
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
