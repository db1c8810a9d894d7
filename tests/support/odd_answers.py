"""Odd answers of services, by name, and the completion that each has to become; `OddService` serves them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.types import FinishReason

STOP, LENGTH, UNKNOWN, ERROR = FinishReason.STOP, FinishReason.LENGTH, FinishReason.UNKNOWN, FinishReason.ERROR
Shape = tuple[int, bytes, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class OddAnswer:
    """An answer, and the completion that it has to become: its text or a part of its error, its ending, its tries."""

    reply: Shape | str
    """Status, body and headers; or the name of a way to break off."""
    text: str | None = None
    reason: FinishReason = ERROR
    error: str = ""
    tries: int = 1
    reasoning: str | None = None
    note: str = ""
    tokens: int | None = 5


def raw(body: bytes | str, status: int = 200, **headers: str) -> Shape:
    data = body if isinstance(body, bytes) else body.encode()
    return status, data, {name.replace("_", "-"): value for name, value in headers.items()}


def reply(choice: Any, usage: Any = None, **more: Any) -> Shape:
    """Return a reply with this choice."""
    tokens = {"prompt_tokens": 9, "completion_tokens": 5} if usage is None else usage
    return raw(json.dumps({"id": "x", "model": "odd", "choices": [choice], "usage": tokens, **more}))


def chat(content: Any, reason: Any = "stop", **more: Any) -> Shape:
    """Return a reply with this content and finish_reason, and further fields of the message."""
    return reply({"index": 0, "message": {"role": "assistant", "content": content, **more}, "finish_reason": reason})


def used(usage: Any) -> Shape:
    """Return a plain answer with this usage."""
    return reply({"index": 0, "message": {"content": "fine"}, "finish_reason": "stop"}, usage)


def failed(status: int, body: Any = None, **headers: str) -> Shape:
    return raw(json.dumps({"error": {"message": "no"}} if body is None else body), status, **headers)


def _of(kind: str, *texts: str) -> list[dict[str, str]]:
    return [{"type": kind, "text": text} for text in texts]


FINE = chat("fine")
_CHOICE = {"index": 0, "message": {"content": "fine"}, "finish_reason": "stop"}
_BROKE_OFF = "broke off"
_TOOL = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
_DEEP = '{"choices": ' + "[" * 50_000 + "]" * 50_000 + "}"
_HTML = "<!doctype html><html><body>Please sign in</body></html>"

ENDINGS: Mapping[str, OddAnswer] = {
    **{
        f"ends with {reason}": OddAnswer(chat("half", reason), error=_BROKE_OFF, tries=2)
        for reason in (
            "error",
            "abort",
            "cancelled",
            "insufficient_system_resource",
            "UPSTREAM_ERROR",
            "timeout",
            "OTHER",
        )
    },
    **{
        f"ends with {reason}": OddAnswer(chat("half", reason), "half", LENGTH)
        for reason in (
            "model_length",
            "MAX_TOKENS",
            "max_output_tokens",
            "LENGTH",
            "FINISH_REASON_MAX_TOKENS",
            "truncated",
        )
    },
    **{
        f"ends with {reason}": OddAnswer(chat("half", reason), error="withheld")
        for reason in ("content_filter", "SAFETY", "RECITATION", "PROHIBITED_CONTENT", "guardrail_intervened")
    },
    **{
        f"ends with {reason}": OddAnswer(chat("Let me look.", reason), error="tool")
        for reason in ("tool_calls", "function_call", "TOOL_USE")
    },
    **{
        f"ends with {reason}": OddAnswer(chat("fine", reason), "fine", STOP)
        for reason in ("STOP", "end_turn", "eos_token", "COMPLETE", "<|im_end|>", "FINISH_REASON_STOP")
    },
    "ends for no reason": OddAnswer(chat("fine", None), "fine", UNKNOWN, note="finish_reason is None"),
    "ends in a new word": OddAnswer(chat("fine", "serendipity"), "fine", UNKNOWN, note="serendipity"),
    "ends in a number": OddAnswer(chat("fine", 7), "fine", UNKNOWN, note="finish_reason is 7"),
    "ends in an empty word": OddAnswer(chat("fine", ""), "fine", UNKNOWN, note="finish_reason is empty"),
    "ends in half a character": OddAnswer(chat("fine", "\ud83d"), "fine", UNKNOWN, note="finish_reason is empty"),
    "ends in an object": OddAnswer(chat("fine", {"type": "stop"}), "fine", UNKNOWN, note="finish_reason is {"),
    "ends for no reason at the limit": OddAnswer(
        reply({**_CHOICE, "finish_reason": None}, {"prompt_tokens": 9, "completion_tokens": 64}),
        "fine",
        LENGTH,
        tokens=64,
    ),
    "stop beside a tool call": OddAnswer(chat("I will look.", "stop", tool_calls=_TOOL), error="tool"),
    "tool call without text": OddAnswer(chat(None, "tool_calls", tool_calls=_TOOL), error="tool"),
    "error in the choice": OddAnswer(
        reply({**_CHOICE, "finish_reason": "error", "error": {"code": 502, "message": "provider died"}}),
        error="provider died",
        tries=2,
    ),
    "error in the choice, ends with stop": OddAnswer(
        reply({**_CHOICE, "error": {"code": 403, "message": "flagged"}}), error="flagged"
    ),
}

CONTENTS: Mapping[str, OddAnswer] = {
    "parts": OddAnswer(chat(_of("text", "fi", "ne")), "fine", STOP),
    "output_text parts": OddAnswer(chat(_of("output_text", "fine")), "fine", STOP),
    "text with a value": OddAnswer(chat([{"type": "text", "text": {"value": "fine"}}]), "fine", STOP),
    "strings as parts": OddAnswer(chat(["fi", "ne"]), "fine", STOP),
    "one part without a list": OddAnswer(chat({"type": "text", "text": "fine"}), "fine", STOP),
    "thinking part": OddAnswer(
        chat([{"type": "thinking", "thinking": _of("text", "hm")}, *_of("text", "fine")]), "fine", STOP, reasoning="hm"
    ),
    "reasoning part": OddAnswer(chat([*_of("reasoning", "hm"), *_of("text", "fine")]), "fine", STOP, reasoning="hm"),
    "thought part": OddAnswer(chat([{"text": "hm", "thought": True}, {"text": "fine"}]), "fine", STOP, reasoning="hm"),
    "thinking alone": OddAnswer(chat([{"type": "thinking", "thinking": "hm"}], "length"), "", LENGTH, reasoning="hm"),
    "refusal part": OddAnswer(chat([{"type": "refusal", "refusal": "I will not."}]), "I will not.", STOP),
    "refusal": OddAnswer(chat(None, "stop", refusal="I will not."), "I will not.", STOP),
    "image part": OddAnswer(chat([{"type": "image_url", "image_url": {"url": "x"}}]), error="type 'image_url'"),
    "unknown part": OddAnswer(chat([{"type": "canvas", "text": "fine"}]), error="type 'canvas'"),
    "a reference beside the text": OddAnswer(
        chat([*_of("text", "fine"), {"type": "reference", "reference_ids": [1]}]), "fine", STOP
    ),
    "parts of numbers": OddAnswer(chat([1, 2]), error="expected a part", tries=2),
    "content is a number": OddAnswer(chat(4), error="expected a text, got int", tries=2),
    "content is true": OddAnswer(chat(True), error="expected a text, got bool", tries=2),
    "content is null": OddAnswer(chat(None), error="expected a choice with text", tries=2),
    "content is empty": OddAnswer(chat(""), "", STOP),
    "content is empty and ends for no reason": OddAnswer(chat("", None), error="expected a choice with text", tries=2),
    "content is null at the limit": OddAnswer(chat(None, "length"), "", LENGTH),
    "no content key": OddAnswer(
        reply({"index": 0, "message": {"role": "assistant"}, "finish_reason": "stop"}), error="got None", tries=2
    ),
    "null beside reasoning": OddAnswer(chat(None, "stop", reasoning_content="hm"), "", LENGTH, reasoning="hm"),
    "empty beside reasoning": OddAnswer(chat("", "stop", reasoning="hm"), "", LENGTH, reasoning="hm"),
    "blank beside reasoning": OddAnswer(chat("\n\n", "stop", reasoning="hm"), "", LENGTH, reasoning="hm"),
    "empty after hidden reasoning": OddAnswer(
        reply(
            {"message": {"content": ""}, "finish_reason": "stop"},
            {"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 5}},
        ),
        "",
        LENGTH,
    ),
    "reasoning and text": OddAnswer(chat("fine", "stop", reasoning_content="hm"), "fine", STOP, reasoning="hm"),
    "reasoning twice": OddAnswer(
        chat("fine", "stop", reasoning="hm", reasoning_content="hm"), "fine", STOP, reasoning="hm"
    ),
    "reasoning details": OddAnswer(
        chat("fine", "stop", reasoning_details=_of("reasoning.text", "hm")), "fine", STOP, reasoning="hm"
    ),
    "reasoning in tags": OddAnswer(chat("<think>\nhm\n</think>\n\nfine"), "fine", STOP, reasoning="hm"),
    "reasoning in tags that never end": OddAnswer(chat("<think>\nhm", "length"), "", LENGTH, reasoning="hm"),
    "half a pair": OddAnswer(chat("fine \ud83d"), "fine �", STOP, note="half a character"),
    "halves in two parts": OddAnswer(
        chat(_of("text", "fine \ud83d", "\ude00")), "fine 😀", STOP, note="half a character"
    ),
    "half a pair in the reasoning": OddAnswer(chat("fine", "stop", reasoning="\ud83d"), "fine", STOP, reasoning="�"),
    "half a pair in the model's name": OddAnswer(
        raw(json.dumps({"choices": [_CHOICE], "model": "odd \ud83d"})), "fine", STOP, tokens=None
    ),
}

BODIES: Mapping[str, OddAnswer] = {
    "no choices": OddAnswer(raw("{}"), error="no choice", tries=2),
    "choices is null": OddAnswer(raw('{"choices": null}'), error="no choice", tries=2),
    "choices is an object": OddAnswer(raw('{"choices": {"0": {}}}'), error="no choice", tries=2),
    "empty choices": OddAnswer(raw('{"choices": []}'), error="no choice", tries=2),
    "a choice of null": OddAnswer(raw('{"choices": [null]}'), error="no choice", tries=2),
    "no message": OddAnswer(reply({"index": 0, "finish_reason": "stop"}), error="no message", tries=2),
    "several choices": OddAnswer(
        raw(json.dumps({"choices": [{**_CHOICE, "index": 1, "message": {"content": "other"}}, _CHOICE]})),
        "fine",
        STOP,
        tokens=None,
    ),
    "another index": OddAnswer(reply({**_CHOICE, "index": 3}), "fine", STOP),
    "another id and object": OddAnswer(reply(_CHOICE, id=7, object="list", created="now"), "fine", STOP),
    "the model is an object": OddAnswer(reply(_CHOICE, model={"name": "x"}, system_fingerprint=[1]), "fine", STOP),
    "usage is null": OddAnswer(raw(json.dumps({"choices": [_CHOICE], "usage": None})), "fine", STOP, tokens=None),
    "usage is a list": OddAnswer(used([1, 2]), "fine", STOP, tokens=None),
    "usage is text": OddAnswer(used({"completion_tokens": "5"}), "fine", STOP),
    "usage is a float": OddAnswer(used({"completion_tokens": 5.0}), "fine", STOP),
    "usage is half a token": OddAnswer(used({"completion_tokens": 5.5}), "fine", STOP, tokens=None),
    "usage is negative": OddAnswer(used({"completion_tokens": -5}), "fine", STOP, tokens=None),
    "usage is true": OddAnswer(used({"completion_tokens": True}), "fine", STOP, tokens=None),
    "usage is huge": OddAnswer(used({"completion_tokens": 10**400}), "fine", STOP, tokens=None),
    "usage is not a number": OddAnswer(
        raw(f'{{"choices": [{json.dumps(_CHOICE)}], "usage": {{"completion_tokens": NaN}}}}'), "fine", STOP, tokens=None
    ),
    "usage details are odd": OddAnswer(
        used({"completion_tokens": 5, "prompt_tokens_details": [1], "completion_tokens_details": "x"}), "fine", STOP
    ),
    "usage of other names": OddAnswer(used({"input_tokens": 9, "output_tokens": 5}), "fine", STOP),
    "a number of many digits": OddAnswer(raw(f'{{"created": {"9" * 5000}}}'), error="expected JSON", tries=2),
    "nested deeply": OddAnswer(raw(_DEEP), error="nested too deeply", tries=2),
    "duplicate keys": OddAnswer(
        raw(f'{{"choices": [], "choices": [{json.dumps(_CHOICE)}]}}'), "fine", STOP, tokens=None
    ),
    "byte-order mark": OddAnswer(raw(b"\xef\xbb\xbf" + FINE[1]), "fine", STOP),
    "utf-16": OddAnswer(raw(FINE[1].decode().encode("utf-16")), "fine", STOP),
    "latin-1": OddAnswer(
        raw(
            json.dumps({"choices": [{**_CHOICE, "message": {"content": "Ähre"}}]}, ensure_ascii=False).encode(
                "latin-1"
            ),
            Content_Type="application/json; charset=latin-1",
        ),
        "Ähre",
        STOP,
        tokens=None,
    ),
    "no encoding at all": OddAnswer(raw(b'{"a": "\xff\xfe\xfa"}'), error="expected JSON", tries=2),
    "a string": OddAnswer(raw('"fine"'), error="expected a JSON object, got str", tries=2),
    "a list": OddAnswer(raw("[1, 2]"), error="expected a JSON object, got list", tries=2),
    "null": OddAnswer(raw("null"), error="expected a JSON object, got NoneType", tries=2),
    "empty body": OddAnswer(raw(""), error="expected JSON", tries=2),
    "half a body": OddAnswer(raw(FINE[1][:40]), error="expected JSON", tries=2),
    "two objects": OddAnswer(raw(FINE[1] + b"\n" + FINE[1]), error="expected JSON", tries=2),
    "a page": OddAnswer(raw(_HTML, Content_Type="text/html"), error="is model.base_url the API's address", tries=2),
    "json as text/html": OddAnswer(raw(FINE[1], Content_Type="text/html"), "fine", STOP),
    "a stream": OddAnswer(
        raw(
            'data: {"choices": [{"delta": {"content": "fine"}}]}\n\ndata: [DONE]\n\n', Content_Type="text/event-stream"
        ),
        error="stream of events",
    ),
    "error with 200": OddAnswer(failed(200, {"error": {"message": "down", "code": 503}}), error="503: down", tries=3),
    "refusal with 200": OddAnswer(failed(200, {"error": {"message": "bad", "code": 400}}), error="400: bad"),
    "error text with 200": OddAnswer(failed(200, {"error": "no capacity"}), error="no capacity", tries=2),
    "compressed": OddAnswer(raw(gzip.compress(FINE[1]), Content_Encoding="gzip"), "fine", STOP),
    "compressed by a thousand": OddAnswer(
        raw(gzip.compress(b" " * 30_000_000), Content_Encoding="gzip"), error="more than"
    ),
    "compressed in a way of its own": OddAnswer(raw(FINE[1], Content_Encoding="lzma"), "fine", STOP),
    "not compressed though it says so": OddAnswer(raw(FINE[1], Content_Encoding="gzip"), error="Error", tries=3),
}

STATUSES: Mapping[str, OddAnswer] = {
    "400": OddAnswer(failed(400, {"error": {"message": "odd"}}), error="400: odd"),
    "403 page": OddAnswer(raw(_HTML, 403), error="403: <!doctype html>"),
    "404": OddAnswer(failed(404), error="404: no"),
    "405": OddAnswer(failed(405), error="405: no"),
    "413": OddAnswer(failed(413), error="413: no"),
    "418 list": OddAnswer(
        failed(418, [{"error": {"code": 418, "message": "tea", "status": "POT"}}]), error="418 POT: tea"
    ),
    "451 deep": OddAnswer(raw(_DEEP, 451), error="451: "),
    "409": OddAnswer(failed(409), error="409: no", tries=3),
    "429": OddAnswer(failed(429), error="429: no", tries=3),
    "429 and a date": OddAnswer(failed(429, Retry_After="Mon, 23 Nov 2020 12:00:00 GMT"), error="429: no", tries=3),
    "429 and nonsense": OddAnswer(failed(429, Retry_After="Tue, 99 Foo 99999 99:99"), error="429: no", tries=3),
    "429 and a year": OddAnswer(failed(429, Retry_After="31536000"), error="asks to wait 31,536,000 s"),
    "429 and many digits": OddAnswer(failed(429, Retry_After="9" * 250), error="asks to wait"),
    "500 page": OddAnswer(raw(_HTML, 500), error="500: <!doctype html>", tries=3),
    "501": OddAnswer(failed(501), error="501: no"),
    "502 nothing": OddAnswer(raw("", 502), error="502: ", tries=3),
    "529": OddAnswer(failed(529), error="529: no", tries=3),
    "201": OddAnswer(raw(FINE[1], 201), error="expected status 200"),
    "204": OddAnswer(raw("", 204), error="expected status 200"),
    "302": OddAnswer(raw("", 302, Location="http://127.0.0.1:9/v1"), error="set model.base_url"),
    "401": OddAnswer(failed(401), error="401: no"),
    "402": OddAnswer(failed(402), error="402: no"),
    "long error": OddAnswer(raw("x" * 2_000_000, 400), error="400: xxx"),
    "an error with escapes": OddAnswer(
        failed(400, {"error": {"message": "\x1b[31mred\x07\ud83d"}}), error="400: [31mred"
    ),
    "odd rate limits": OddAnswer(
        (
            200,
            FINE[1],
            {
                "x-ratelimit-limit-tokens": "9" * 400,
                "x-ratelimit-remaining-tokens": "-1",
                "x-ratelimit-limit-requests": "1000000",
                "x-ratelimit-remaining-requests": "999999",
                "x-ratelimit-reset-requests": "9" * 300 + "d",
            },
        ),
        "fine",
        STOP,
    ),
}

BROKEN: Mapping[str, OddAnswer] = {
    "hangs up": OddAnswer("hangs up", error="ServerDisconnected", tries=3),
    "says nothing": OddAnswer("says nothing", error="Timeout", tries=3),
    "drips": OddAnswer("drips", error="Timeout", tries=3),
    "is endless": OddAnswer("is endless", error="more than"),
    "chunks that end early": OddAnswer("chunks that end early", error="Payload", tries=3),
    "less than was announced": OddAnswer("less than was announced", error="Payload", tries=3),
    "no HTTP": OddAnswer("no HTTP", error="Error", tries=3),
    "early hints": OddAnswer("early hints", "fine", STOP),
    "large header": OddAnswer("large header", "fine", STOP),
    "two bodies": OddAnswer("two bodies", "fine", STOP),
}

ODD: Mapping[str, OddAnswer] = {**ENDINGS, **CONTENTS, **BODIES, **STATUSES, **BROKEN}
