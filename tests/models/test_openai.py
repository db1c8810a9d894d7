"""The OpenAI-compatible backend: what is sent, what replies become, and what identifies the model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.client.dialect import Dialect
from harness.client.endpoint import Endpoint
from harness.client.replies import Problem
from harness.client.requests import RequestOutcome, ServiceRequest
from harness.config import OpenAIModelConfig
from harness.config.model import EndpointKind
from harness.errors import ConfigError, ModelError
from harness.models import openai
from harness.models.openai import OpenAIModel
from harness.types import Completion, FinishReason, Message, Prompt, SamplingParams, StopAt
from tests.support.clients import chat_prompts, model_at, model_on
from tests.support.fault_server import Behaviour, FaultServer
from tests.support.odd_answers import OddAnswer, raw
from tests.support.odd_service import OddService

PLAIN = Prompt("e0", text="two words")


def config(**options: Any) -> OpenAIModelConfig:
    return OpenAIModelConfig("openai", "m", "gpt-x", **options)


def reply(text: object = "Yes.", reason: str | None = "stop", **more: object) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, **more}
    return {"choices": [{"message": message, "finish_reason": reason}], "model": "gpt-x-1"}


def completion(answer: dict[str, Any], decoding: SamplingParams | None = None) -> Completion:
    dialect = Dialect(config(), decoding or SamplingParams())
    read = dialect.answer(json.dumps(answer).encode(), "", Endpoint("https://host/v1"))
    assert not isinstance(read, Problem), read.message
    return dialect.completion(RequestOutcome(ServiceRequest("e0", {}, 1), read, None, 0.5))


def test_every_decoding_option_is_sent() -> None:
    decoding = SamplingParams(32, 0.7, 0.9, ("a", "b", "c", "d", "e"), StopAt.line, 3)
    prompt = Prompt("e0", messages=(Message("system", "Be short."), Message("user", "Hä?")))
    dialect = Dialect(config(extra={"reasoning_effort": "low", "top_p": None}), decoding)
    assert json.loads(dialect.body(dialect.request(prompt))) == {
        "model": "gpt-x",
        "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hä?"}],
        "max_tokens": 32,
        "temperature": 0.7,
        "seed": 3,
        "stop": ["a", "b", "c", "d"],
        "reasoning_effort": "low",
    }


def test_a_plain_prompt_is_completed_or_is_one_message() -> None:
    sent = Dialect(config(endpoint=EndpointKind.completions), SamplingParams())
    assert sent.fields(sent.request(PLAIN))["prompt"] == "two words"
    chat = Dialect(config(), SamplingParams())
    assert chat.fields(chat.request(PLAIN))["messages"] == [{"role": "user", "content": "two words"}]


def test_a_conversation_is_no_plain_prompt() -> None:
    dialect = Dialect(config(endpoint=EndpointKind.completions), SamplingParams())
    with pytest.raises(ConfigError, match="add prompt=plain"):
        dialect.request(chat_prompts(1)[0])


@pytest.mark.parametrize(
    ("answer", "text", "reason"),
    [
        (reply(" Yes. "), "Yes.", FinishReason.STOP),
        (reply("Ye", "length"), "Ye", FinishReason.LENGTH),
        (reply("Yes.", "end_turn"), "Yes.", FinishReason.STOP),
        (reply("Yes.", None), "Yes.", FinishReason.UNKNOWN),
        (reply("", "stop"), "", FinishReason.STOP),  # the model ended at once, and says so
        (reply(None, "length"), "", FinishReason.LENGTH),  # all tokens went into reasoning
        (reply(None, "stop", refusal="I will not."), "I will not.", FinishReason.STOP),
    ],
)
def test_a_reply_becomes_a_completion(answer: dict[str, Any], text: str, reason: FinishReason) -> None:
    result = completion(answer)
    assert (result.text, result.finish_reason, result.error, result.served) == (text, reason, None, "gpt-x-1")


@pytest.mark.parametrize(
    ("stop", "stop_at", "text"),
    [
        ((), StopAt.line, "Ann was born. Berta too"),
        ((), StopAt.sentence, "Ann was born."),
        ((" too",), StopAt.none, "Ann was born. Berta"),
        (("x", "y", "z", "v", "was"), StopAt.none, "Ann"),  # more than a service takes
    ],
)
def test_text_is_truncated_by_the_rule_of_all_backends(stop: tuple[str, ...], stop_at: StopAt, text: str) -> None:
    text_of_reply = "\nAnn was born. Berta too\nCilli"
    result = completion(reply(text_of_reply, "length"), SamplingParams(stop=stop, stop_at=stop_at))
    assert (result.text, result.finish_reason) == (text, FinishReason.STOP)


def test_what_is_withheld_is_an_answer_where_it_had_ended_before() -> None:
    withheld = reply("Ann was born.\nBerta ki", "content_filter")
    assert completion(withheld, SamplingParams(stop_at=StopAt.line)).text == "Ann was born."
    with pytest.raises(AssertionError, match="withheld"):
        completion(withheld)


@pytest.mark.parametrize(
    ("stop", "choice", "partial"),
    [
        ((), {}, False),
        (("x",), {}, True),  # it may have been a stop sequence
        (("x",), {"stop_reason": None}, False),  # vLLM: the end token
        (("x",), {"stop_reason": "x"}, True),
        (("x",), {"stop_reason": 2}, False),
        (("x",), {"matched_stop": 2}, False),  # SGLang
        (("x",), {"matched_stop": "x"}, True),
        (("x",), {"finish_reason": "end_turn"}, False),
        (("x",), {"finish_reason": "stop_sequence"}, True),
        (("x",), {"finish_reason": "length"}, False),
        (("x",), {"native_finish_reason": "end_turn"}, False),
    ],
)
def test_whether_the_model_might_have_gone_on(stop: tuple[str, ...], choice: dict[str, Any], partial: bool) -> None:
    answer = reply()
    answer["choices"][0] |= choice
    assert completion(answer, SamplingParams(stop=stop)).partial is partial


def test_the_text_is_kept_as_it_came() -> None:
    result = completion(reply(" Ann.\nBerta", "length"), SamplingParams(stop_at=StopAt.line))
    assert (result.text, result.raw, result.ended) == ("Ann.", " Ann.\nBerta", FinishReason.LENGTH)


def test_usage_is_kept() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    result = completion({**reply(), "usage": usage, "system_fingerprint": "fp_7"})
    assert (result.prompt_tokens, result.completion_tokens, result.cached_tokens) == (9, 2, 4)
    assert result.served == "gpt-x-1 fp_7"


def test_what_decides_the_text_is_in_the_identity() -> None:
    variants = [
        config(),
        config(base_url="https://other/v1"),
        config(endpoint=EndpointKind.completions),
        config(extra={"reasoning_effort": "low"}),
        OpenAIModelConfig("openai", "m", "gpt-y"),
    ]
    assert len({OpenAIModel(variant).identity for variant in variants}) == len(variants)
    assert OpenAIModel(config()).identity == OpenAIModel(config(base_url="https://api.openai.com/v1/")).identity
    assert OpenAIModel(config()).identity == OpenAIModel(config(timeout=1.0, concurrency=2)).identity


@pytest.mark.parametrize(
    ("refused", "sent", "notice"),
    [
        ("max_tokens", "max_completion_tokens", ""),
        ("seed", None, "another run may give other completions"),
        ("stop", None, "truncated at the stop sequences here"),
        ("temperature", None, "sampled at a temperature of the service's own"),
        ("top_p", None, "sampled from other tokens"),
        ("repetition_penalty", None, "a default of the service's own may apply"),
    ],
)
def test_a_setting_that_a_service_does_not_take(refused: str, sent: str | None, notice: str) -> None:
    with FaultServer(Behaviour(refuse={refused: "unsupported_parameter"})) as server:
        rows = list(
            model_on(server).generate(chat_prompts(20), SamplingParams(temperature=0.5, top_p=0.9, stop=("3",)))
        )
    assert [row.error for row in rows] == [None] * 20
    assert max(server.seen.billed.values()) == 1
    assert all(refused not in body for body in server.seen.bodies)
    assert sent is None or {body[sent] for body in server.seen.bodies} == {64}
    for row in rows:
        assert len(row.notes) == bool(notice)
        assert notice in "".join(row.notes)
        assert not notice or f"+model.extra.{refused}=null" in row.notes[0]


def test_many_settings_that_a_service_does_not_take() -> None:
    refuse = dict.fromkeys(
        ("max_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "stop"), "unsupported_value"
    )
    with FaultServer(Behaviour(refuse=refuse)) as server:
        rows = list(model_on(server).generate(chat_prompts(20), SamplingParams(temperature=0.5, stop=("3",))))
    assert [row.error for row in rows] == [None] * 20


def test_greedy_completions_that_a_service_samples_are_told_loudly(capsys: pytest.CaptureFixture[str]) -> None:
    with FaultServer(Behaviour(refuse={"temperature": "unsupported_value"})) as server:
        (row,) = model_on(server).generate(chat_prompts(1), SamplingParams())
    assert "NOT greedy" in capsys.readouterr().err
    assert "NOT greedy" in row.notes[0]


def test_a_setting_of_the_users_own_is_not_left_out() -> None:
    with (
        FaultServer(Behaviour(refuse={"effort": "unsupported_value"})) as server,
        pytest.raises(ModelError, match=r"refuses every request: 400 unsupported_value.*\+model\.extra\.effort=null"),
    ):
        list(model_on(server, extra={"effort": 3}).generate(chat_prompts(20), SamplingParams()))


def test_samples_of_one_prompt_have_seeds_of_their_own() -> None:
    prompts = [Prompt(f"e{i}", messages=(Message("user", "thing"),), sample=i) for i in range(3)]
    with FaultServer(Behaviour()) as server:
        list(model_on(server).generate(prompts, SamplingParams(temperature=1.0, seed=7)))
    seeds = [body["seed"] for body in server.seen.bodies]
    assert len(set(seeds)) == 3
    assert 7 in seeds


def test_the_key_is_sent_and_a_missing_one_is_reported_before_any_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret123456")
    with FaultServer(Behaviour()) as server:
        list(model_on(server, api_key_env="SOME_KEY").generate(chat_prompts(1), SamplingParams()))
        assert server.seen.authorizations == {"bearer sk-secret123456"}
        monkeypatch.delenv("SOME_KEY")
        with pytest.raises(ModelError, match="SOME_KEY is not set"):
            list(model_on(server, api_key_env="SOME_KEY").generate(chat_prompts(1), SamplingParams()))


def test_a_server_that_is_not_there_is_an_error_of_each_prompt() -> None:
    rows = list(model_at_nothing().generate(chat_prompts(3), SamplingParams()))
    assert all(row.error and "Connect" in row.error for row in rows)


def test_plain_completions_through_faults() -> None:
    plain = [Prompt(f"e{i}", text=f"thing {i}") for i in range(100)]
    with FaultServer(Behaviour(faults=0.3)) as server:
        rows = list(model_on(server, endpoint=EndpointKind.completions).generate(plain, SamplingParams()))
    assert {row.example_id: row.text for row in rows} == {f"e{i}": f"You said: thing {i}" for i in range(100)}


def test_the_proxy_of_the_environment_is_used_but_not_for_hosts_that_need_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer(Behaviour()) as server, FaultServer(Behaviour()) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url.removesuffix("/v1"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        list(model_on(server).generate(chat_prompts(3), SamplingParams()))
        assert (len(server.seen.requests), len(proxy.seen.requests)) == (3, 0)
        rows = list(model_at("http://service.invalid/v1").generate(chat_prompts(3), SamplingParams()))
        assert ([row.error for row in rows], len(proxy.seen.requests)) == ([None] * 3, 3)


@pytest.mark.parametrize(
    ("model", "endings", "date"),
    [
        ("gpt-x", {"gpt-x": "2027-01-14"}, "2027-01-14"),
        ("gpt-x", {}, None),
        ("ft:gpt-x:org::1", {"gpt-x": "2027-01-14"}, "2027-01-14"),  # a fine-tune ends with its base model
        ("ft:gpt-x:org::1", {"ft:gpt-x:org::1": "2026-12-01", "gpt-x": "2027-01-14"}, "2026-12-01"),
    ],
)
def test_the_end_of_a_model(model: str, endings: dict[str, str], date: str | None) -> None:
    with FaultServer(Behaviour(endings=endings)) as server:
        assert OpenAIModel(OpenAIModelConfig("openai", "m", model, server.base_url, None)).shutdown_date() == date


def test_the_end_of_a_model_that_cannot_be_retrieved_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert model_at_nothing().shutdown_date() is None
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert OpenAIModel(config()).shutdown_date() is None


@pytest.mark.parametrize(
    "reply",
    [
        raw("<html>sign in</html>", Content_Type="text/html"),
        raw("[" * 50_000),
        raw(""),
        raw("[]"),
        raw('{"data": []}'),
        raw('{"shutdown_date": 1800000000}'),
        raw('{"shutdown_date": "soon"}'),
        raw('{"shutdown_date": {"year": 2027}}'),
        raw("{}", 302, Location="http://127.0.0.1:9/"),
        raw("{}", 500),
        "says nothing",
        "drips",
        "is endless",
        "no HTTP",
        "hangs up",
        "chunks that end early",
    ],
)
def test_a_look_up_never_ends_a_run(reply: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "LOOK_UP_SECONDS", 0.5)
    with OddService({"": OddAnswer(reply)}) as service:
        assert model_at(service.base_url).shutdown_date() is None


def test_the_end_of_a_model_may_have_a_time() -> None:
    with OddService({"": OddAnswer(raw('{"shutdown_date": "2027-01-14T00:00:00Z"}'))}) as service:
        assert model_at(service.base_url).shutdown_date() == "2027-01-14"


def model_at_nothing() -> OpenAIModel:
    with FaultServer(Behaviour()) as server:
        return model_on(server, retries=1)
