"""Which settings are sent, to which service, and what happens to those that are refused, in every shape of refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.client.refusals import reported
from harness.client.settings import RequestSettings
from harness.config import OpenAIModelConfig
from harness.types import SamplingParams

OPENAI, OWN = "https://api.openai.com/v1", "http://127.0.0.1:8000/v1"
GREEDY, SAMPLED = SamplingParams(), SamplingParams(temperature=0.7, top_p=0.9, seed=3)


def settings(decoding: SamplingParams, base_url: str = OWN, **extra: Any) -> RequestSettings:
    return RequestSettings(OpenAIModelConfig("openai", "m", "gpt-x", base_url, None, extra=extra), decoding)


@pytest.mark.parametrize(
    ("decoding", "base_url", "extra", "sent"),
    [
        (GREEDY, OPENAI, {}, {"temperature": 0.0}),
        (SAMPLED, OPENAI, {}, {"temperature": 0.7, "top_p": 0.9, "seed": 3}),
        (SamplingParams(temperature=0.7), OPENAI, {}, {"temperature": 0.7, "seed": 0}),
        (SamplingParams(temperature=0.7), "https://x.openai.azure.com/v1", {}, {"temperature": 0.7, "seed": 0}),
        (GREEDY, OWN, {}, {"temperature": 0.0, "repetition_penalty": 1.0}),
        (
            SamplingParams(temperature=0.7),
            OWN,
            {},
            {"temperature": 0.7, "seed": 0, "top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
        ),
        (
            GREEDY,
            OWN,
            {"repetition_penalty": 1.2, "top_k": 5},
            {"temperature": 0.0, "repetition_penalty": 1.2, "top_k": 5},
        ),
        (
            GREEDY,
            OWN,
            {"repetition_penalty": None, "temperature": None},
            {"seed": 0, "top_p": 1.0, "top_k": -1, "min_p": 0.0},
        ),
        (GREEDY, "https://notopenai.com/v1", {}, {"temperature": 0.0, "repetition_penalty": 1.0}),
    ],
)
def test_a_setting_is_sent_where_it_says_something(
    decoding: SamplingParams, base_url: str, extra: dict[str, Any], sent: dict[str, Any]
) -> None:
    assert settings(decoding, base_url, **extra).sent == {"model": "gpt-x", "max_tokens": 64, **sent}


def test_a_limit_of_another_name_replaces_the_limit() -> None:
    assert "max_tokens" not in settings(GREEDY, OPENAI, max_completion_tokens=500).sent


def openai(message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def detail(name: str) -> list[dict[str, Any]]:
    return [{"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted", "input": 0}]


REFUSALS = {
    "OpenAI's parameter": (openai("Unsupported parameter: 'seed' …", "seed", "unsupported_parameter"), "seed"),
    "OpenAI's value": (
        openai(
            "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) is.",
            "temperature",
            "unsupported_value",
        ),
        "temperature",
    ),
    "OpenAI's limit": (
        openai(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        ),
        "max_tokens",
    ),
    "Azure": (openai("Unrecognized request argument supplied: seed"), "seed"),
    "an index": (openai("no", "stop[0]", "unsupported_value"), "stop"),
    "Groq": (openai("property 'seed' is unsupported"), "seed"),
    "x.ai": (
        {"code": "Client specified an invalid argument", "error": "Argument not supported on this model: stop"},
        "stop",
    ),
    "Claude": (
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "`temperature` is deprecated for this model."},
        },
        "temperature",
    ),
    "Claude, both": (
        openai("`temperature` and `top_p` cannot both be specified for this model. Please use only one."),
        "top_p",
    ),
    "Claude, an extra": (openai("seed: Extra inputs are not permitted"), "seed"),
    "Bedrock": (
        {"message": "Malformed input request: #: extraneous key [top_k] is not permitted, please reformat"},
        "top_k",
    ),
    "Gemini": (
        [
            {
                "error": {
                    "code": 400,
                    "message": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.',
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        "seed",
    ),
    "Gemini's violations": (
        [
            {
                "error": {
                    "code": 400,
                    "message": "Invalid request",
                    "status": "INVALID_ARGUMENT",
                    "details": [
                        {
                            "@type": "BadRequest",
                            "fieldViolations": [{"field": "seed", "description": "Unknown name: not supported"}],
                        }
                    ],
                }
            }
        ],
        "seed",
    ),
    "FastAPI": ({"detail": detail("seed")}, "seed"),
    "Mistral": (
        {"object": "error", "message": {"detail": detail("repetition_penalty")}, "type": "invalid"},
        "repetition_penalty",
    ),
    "an older vLLM": (
        {"object": "error", "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'min_p')}]", "code": 400},
        "min_p",
    ),
    "LiteLLM": (
        openai("litellm.UnsupportedParamsError: anthropic does not support parameters: {'seed': 3}, for model=x"),
        "seed",
    ),
    "JSON in a message": (
        openai('{"detail":[{"loc":["body","seed"],"type":"extra_forbidden","msg":"Extra inputs are not permitted"}]}'),
        "seed",
    ),
    "TGI": (
        {"error": "Input validation error: `temperature` must be strictly positive", "error_type": "validation"},
        "temperature",
    ),
    "plain text": ("The parameter top_p is not supported by this model.", "top_p"),
    "plain words": (openai("stop is not supported by this model"), "stop"),
    "a schema": (openai("Additional properties are not allowed ('min_p' was unexpected)"), "min_p"),
    "removed": (
        openai("temperature: this parameter has been removed and is no longer accepted", "temperature"),
        "temperature",
    ),
}


@pytest.mark.parametrize("shape", REFUSALS)
def test_a_refused_setting_is_recognised_in_every_shape(shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    body, name = REFUSALS[shape]
    decoding = SamplingParams(temperature=0.0 if shape == "TGI" else 0.7, top_p=0.9, seed=3, stop=("x",))
    sent = settings(decoding)
    before = dict(sent.sent)
    assert sent.adapt(reported(body.encode() if isinstance(body, str) else json.dumps(body).encode()))
    renamed = {"max_completion_tokens": 64} if name == "max_tokens" else {}
    assert sent.sent == {key: value for key, value in before.items() if key != name} | renamed
    assert sent.version == 1
    assert [name in notice for notice in sent.notices] == [True] * (name != "max_tokens")
    assert len(capsys.readouterr().err.splitlines()) == len(sent.notices)


@pytest.mark.parametrize(
    "body",
    [
        openai("temperature: Input should be less than or equal to 1", "temperature"),
        openai("max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens", "max_tokens"),
        openai(
            "This model's maximum context length is 4096 tokens. Please reduce max_tokens.",
            "messages",
            "context_length_exceeded",
        ),
        openai("'max_tokens' is too large: 5000. This model's maximum context length is 4096 tokens", "max_tokens"),
        openai("The model `gpt-x` does not exist", "model", "model_not_found"),
        openai("Unsupported parameter: 'effort' is not supported", "effort", "unsupported_parameter"),
        openai("Your content was flagged. Please stop.", None, "content_policy_violation"),
        [1, 2],
        None,
    ],
)
def test_what_is_no_refusal_of_a_setting_changes_none(body: Any) -> None:
    sent = settings(SamplingParams(temperature=1.5, top_p=0.9), effort="low")
    before = dict(sent.sent)
    sent.answered = True
    assert not sent.adapt(reported(json.dumps(body).encode()))
    assert sent.sent == before


def test_of_two_that_exclude_each_other_the_lesser_goes() -> None:
    both = reported(json.dumps(openai("`temperature` and `top_p` cannot both be specified")).encode())
    for decoding, gone in ((SamplingParams(temperature=1.0, top_p=0.9), "temperature"), (SAMPLED, "top_p")):
        sent = settings(decoding)
        assert sent.adapt(both)
        assert gone not in sent.sent


def test_a_refusal_that_names_nothing_costs_what_nobody_chose() -> None:
    sent = settings(SamplingParams(temperature=0.7))
    anonymous = reported(b'{"error": {"message": "Bad Request"}}')
    assert sent.adapt(anonymous)
    assert set(sent.sent) == {"model", "max_tokens", "temperature", "seed"}
    assert not sent.adapt(anonymous)


def test_the_message_names_the_override() -> None:
    sent = settings(GREEDY, effort="low")
    refusal = reported(json.dumps(openai("no", "effort", "unsupported_parameter")).encode())
    assert not sent.adapt(refusal)
    assert sent.hint(refusal) == " (without it: +model.extra.effort=null)"
