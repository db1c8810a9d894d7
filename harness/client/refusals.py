"""What a service's error says, in the shapes that services have: its message, its code, and the settings that it names.

Shapes: OpenAI `{"error": {"message", "code", "param"}}`; Anthropic and Bedrock, where the message alone names it;
Gemini, a list of OpenAI's; FastAPI `{"detail": [{"loc", "msg", "type"}]}`, which Mistral puts under `message`; and
`{"object": "error", "message"}`, as older vLLM and FastChat send it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_DEPTH = 6
"""An error nested deeper than this is not looked into."""
_UNSUPPORTED_CODE = re.compile(r"unsupported|unknown_|unrecogni[sz]ed|extra|not_supported|additional")
_UNSUPPORTED = re.compile(
    r"unsupported|not (?:be )?(?:supported|permitted|allowed|available|applicable|accepted|implemented|compatible)"
    r"|(?:does|do|can)(?: not|n['’]t) (?:support|accept|allow|take)|unrecogni[sz]ed|extraneous|extra (?:input|field)"
    r"|extra_forbidden|forbidden|deprecated|no longer|incompatible|additional propert|only the default"
    r"|(?:unknown|unexpected|invalid|illegal) (?:name|param|field|arg|key|prop|keyword|request arg)"
    r"|cannot (?:both|be (?:used|set|specified|combined))|(?:must|should) be (?:omitted|removed|unset|null|left out)"
    r"|not a (?:valid|known) (?:param|field|arg|key|prop)|cannot find field",
    re.IGNORECASE,
)
_OUT_OF_RANGE = re.compile(
    r"(?:less|greater|more|higher|lower|larger|smaller) than|at (?:most|least)|between|range|maximum|minimum"
    r"|too (?:large|small|high|low|big|long|many)|exceed|[<>]=?",
    re.IGNORECASE,
)
_NOT_ZERO = re.compile(
    r"positive|(?:greater|more|larger|higher) than 0|> ?0|not be (?:0|zero)|non-?zero", re.IGNORECASE
)
_CONFLICT = re.compile(r"both|together|at the same time|only one|either|mutually|combin", re.IGNORECASE)
_QUOTED = re.compile(r"""['"`‘’“”\[{]([A-Za-z_][\w.\[\]-]*)""")
_NAMED = re.compile(
    r"(?:^|[\s;,(#])([A-Za-z_][\w.]*)(?=:)"
    r"|(?:supplied|param\w*|argument|field|property|properties|key|name|support|accept)s?:? (?:the )?([A-Za-z_]\w*)"
    r"|\b([A-Za-z_]\w*) (?:is|are) (?:not|un|deprecated|no longer|forbidden)|: ([A-Za-z_]\w*)[.\s]*$"
)
_IDENTIFIER = re.compile(r"\b([A-Za-z]+(?:_[A-Za-z]+)+|temperature|seed)\b")


@dataclass(frozen=True, slots=True)
class ReportedError:
    """An error as a service reports it.

    `settings` are the names that it may mean by what it does not take, `conflict` that it takes each but not all of
    them, and `not_zero` that it is the value 0 of one which it does not take.
    """

    message: str = ""
    code: str = ""
    settings: tuple[str, ...] = ()
    unsupported: bool = False
    conflict: bool = False
    not_zero: bool = False

    def settings_of(self, sent: Container[str]) -> tuple[str, ...]:
        """Return those of the names that are settings of the request."""
        return tuple(name for name in self.settings if name in sent)


def reported(body: bytes) -> ReportedError:
    """Return what the body of an error says; a body that is no JSON is its own message."""
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    return of_value(value, text)


def of_value(value: Any, text: str = "") -> ReportedError:
    """Return what a parsed error says; `text` is its message where it has none of its own."""
    parts = list(_parts(value))
    messages = dict.fromkeys(m for part in parts for m in _messages(part))
    message = "; ".join(messages) or text
    codes = [str(part[k]) for k in ("code", "type", "status") for part in parts if isinstance(part.get(k), str | int)]
    code = next((c for c in codes if c and not c.isdigit() and c not in ("error", "None")), "")
    in_range = bool(_OUT_OF_RANGE.search(message)) and not any(_UNSUPPORTED_CODE.search(c.lower()) for c in codes)
    unsupported = any(_UNSUPPORTED_CODE.search(c.lower()) for c in codes) or bool(_UNSUPPORTED.search(message))
    structured = [name for part in parts for name in _structured(part)]
    return ReportedError(
        message,
        code,
        tuple(dict.fromkeys([*structured, *_in_text(message)])),
        unsupported and not in_range,
        conflict=bool(_CONFLICT.search(message)),
        not_zero=bool(_NOT_ZERO.search(message)),
    )


def _parts(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of an error, the outermost first."""
    if depth > _DEPTH:
        return
    if isinstance(value, list):
        for item in value[:20]:
            yield from _parts(item, depth + 1)
    elif isinstance(value, Mapping):
        yield value
        for key in ("error", "errors", "detail", "details", "message", "fieldViolations", "metadata"):
            yield from _parts(value.get(key), depth + 1)


def _messages(part: Mapping[str, Any]) -> Iterator[str]:
    """Yield the messages of one object; that of a field starts with the field's name."""
    where = part.get("loc")
    name = ".".join(map(str, where)) + ": " if isinstance(where, list) else ""
    for key in ("message", "msg", "detail", "error", "Message", "error_description", "description", "title"):
        value = part.get(key)
        if isinstance(value, str) and value:
            yield name + value
            return


def _structured(part: Mapping[str, Any]) -> Iterator[str]:
    for key in ("param", "parameter", "field", "loc"):
        value = part.get(key)
        names = value if isinstance(value, list) else [value]
        for name in reversed(names):
            if isinstance(name, str) and name not in ("", "body"):
                yield from dict.fromkeys([name.split("[")[0].split(".")[0], name.split("[")[0].rpartition(".")[2]])


def _in_text(message: str) -> tuple[str, ...]:
    """Return what may be the name of a setting in a message."""
    start = message[:2000]
    names = [m for pattern in (_QUOTED, _NAMED, _IDENTIFIER) for match in pattern.findall(start) for m in _all(match)]
    return tuple(dict.fromkeys(name.split("[")[0].strip(".").rpartition(".")[2] for name in names if name))


def _all(match: str | tuple[str, ...]) -> tuple[str, ...]:
    return match if isinstance(match, tuple) else (match,)
