"""/v1/chat/completions and /v1/completions: what a request of each may hold, and how its answer is written.

Both are a `GenerationEndpoint`, which the routes, the streams and the batches use in the same way. Answers are built
as `openai.types` objects, which are imported on use. A stream's chunk is built once that way and then copied as a
dict for each piece of text.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter
from pydantic_core import PydanticKnownError

from harness.server import ids
from harness.server.engine import EngineResult, QueuedPrompt, Watch
from harness.server.errors import invalid
from harness.server.requests import (
    Name,
    RequestModel,
    Text,
    encodable,
    limited,
    one_or_more,
    unsupported,
    validated,
)
from harness.server.settings import Limits
from harness.tasks.rows import ROLES
from harness.types import Completion, FinishReason, Message, Prompt, SamplingParams

if TYPE_CHECKING:
    from openai.types import Completion as CompletionObject
    from openai.types import CompletionUsage
    from openai.types.chat import ChatCompletion

DEFAULT_TOKENS = 16
"""Of a completion request that does not say, as at OpenAI."""
TokenLimit = Annotated[int, Field(ge=1), limited("max_tokens")]


class StreamOptions(RequestModel):
    """How a stream is written."""

    include_usage: bool = False
    include_obfuscation: bool = False
    """Padding against eavesdroppers, which changes no text and is never sent."""


class _SamplingRequest(RequestModel):
    """What the two endpoints have in common."""

    model: Name
    temperature: float = Field(default=1.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63)
    max_tokens: TokenLimit | None = None
    stop: Annotated[list[Name], one_or_more] = Field(default=[], max_length=4)
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    # labels of the user, which decide nothing
    user: Any = None
    safety_identifier: Any = None
    prompt_cache_key: Any = None
    # what changes the text and is not supported
    n: Annotated[Any, unsupported(1)] = None
    logit_bias: Annotated[Any, unsupported({})] = None
    presence_penalty: Annotated[Any, unsupported(0, 0.0)] = None
    frequency_penalty: Annotated[Any, unsupported(0, 0.0)] = None
    # fields of other servers of open weights, which the harness's own client sends
    repetition_penalty: Annotated[Any, unsupported(1, 1.0)] = None
    top_k: Annotated[Any, unsupported(-1, 0)] = None
    min_p: Annotated[Any, unsupported(0, 0.0)] = None

    def generation(self, prompts: Sequence[Prompt], max_tokens: int) -> Generation:
        """Return what the engine is to do for these prompts."""
        decoding = SamplingParams(
            max_tokens=max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            stop=tuple(self.stop),
            seed=(self.seed or 0) % 2**63,  # numpy takes no negative seed
            answer_after="",  # a client gets the text as it came
        )
        include_usage = self.stream_options.include_usage
        return Generation(self.model, tuple(prompts), decoding, self.seed is not None, self.stream, include_usage)


class _TextPart(RequestModel):
    type: Literal["text"]
    text: Text


_PARTS = TypeAdapter(list[_TextPart])


def _joined(content: object) -> object:
    """Return the text of a list of parts; anything else as it is."""
    return "".join(part.text for part in _PARTS.validate_python(content)) if isinstance(content, list) else content


def _role(role: str) -> str:
    if role not in ROLES:
        raise PydanticKnownError("literal_error", {"expected": f"one of {', '.join(ROLES)}"})
    return role


class _ChatMessage(RequestModel):
    role: Annotated[str, AfterValidator(_role)]
    content: Annotated[Text, BeforeValidator(_joined)] = Field(default=None, validate_default=True)
    refusal: Annotated[Any, unsupported()] = None
    annotations: Annotated[Any, unsupported([])] = None
    tool_calls: Annotated[Any, unsupported([])] = None


class ChatRequest(_SamplingRequest):
    """A body of /v1/chat/completions."""

    messages: list[_ChatMessage] = Field(min_length=1)
    max_completion_tokens: TokenLimit | None = None
    metadata: Any = None
    """Labels of a stored answer, and none is stored."""
    logprobs: Annotated[Any, unsupported(False)] = None
    response_format: Annotated[Any, unsupported({"type": "text"})] = None
    tools: Annotated[Any, unsupported([])] = None
    tool_choice: Annotated[Any, unsupported("none")] = None
    modalities: Annotated[Any, unsupported(["text"])] = None
    store: Annotated[Any, unsupported(False)] = None
    service_tier: Annotated[Any, unsupported("auto", "default")] = None


class CompletionRequest(_SamplingRequest):
    """A body of /v1/completions."""

    prompt: Annotated[list[Annotated[Name, encodable]], one_or_more, limited("prompts")] = Field(min_length=1)
    best_of: Annotated[Any, unsupported(1)] = None
    echo: Annotated[Any, unsupported(False)] = None
    suffix: Annotated[Any, unsupported("")] = None
    logprobs: Annotated[Any, unsupported()] = None


@dataclass(frozen=True, slots=True)
class Generation:
    """What the engine is to do for one request; `seeded` when its answer is to be the same each time."""

    model: str
    prompts: tuple[Prompt, ...]
    decoding: SamplingParams
    seeded: bool
    stream: bool = False
    include_usage: bool = False

    def queued(self, watch: Watch | None = None) -> list[QueuedPrompt]:
        """Return its prompts for the engine's queue."""
        return [QueuedPrompt(self.model, prompt, self.decoding, self.seeded, watch) for prompt in self.prompts]


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """What every part of one answer carries."""

    id: str
    model: str
    created: int = field(default_factory=lambda: int(time.time()))


@dataclass(frozen=True, slots=True)
class GenerationEndpoint:
    """How the requests of one endpoint are read and its answers written."""

    id_prefix: str
    parse: Callable[[object, Limits], Generation]
    """From a JSON body; ApiError says what is wrong with it."""
    answer: Callable[[AnswerHead, Sequence[EngineResult]], ChatCompletion | CompletionObject]
    chunk: Callable[[AnswerHead], dict[str, Any]]
    """The chunk that the pieces of one stream are copied from."""
    delta: Callable[[str | None, bool], dict[str, Any]]
    """What a choice of the chunk holds for a piece of text, or None at the end, and whether it is the first."""

    def head(self, model: str) -> AnswerHead:
        """Return the head of a new answer."""
        return AnswerHead(ids.new(self.id_prefix), model)

    def piece(
        self, chunk: Mapping[str, Any], text: str | None, reason: str | None = None, first: bool = False
    ) -> dict[str, Any]:
        """Return one chunk of a stream: its text, and why the completion ended when it is the last."""
        choice = {**chunk["choices"][0], **self.delta(text, first), "finish_reason": reason}
        return {**chunk, "choices": [choice]}


def finish_reason(completion: Completion) -> Literal["length", "stop"]:
    """Return OpenAI's word for why a completion ended."""
    return "length" if completion.finish_reason is FinishReason.LENGTH else "stop"


def usage(results: Sequence[EngineResult]) -> CompletionUsage:
    """Return the token counts of some completions together."""
    from openai.types import CompletionUsage

    prompt = sum(result.completion.prompt_tokens or 0 for result in results)
    completion = sum(result.completion.completion_tokens or 0 for result in results)
    return CompletionUsage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


def _parse_chat(body: object, limits: Limits) -> Generation:
    request = validated(ChatRequest, body, limits)
    newer, older = request.max_completion_tokens, request.max_tokens
    if newer and older and newer != older:
        raise invalid("max_tokens and max_completion_tokens differ: give one of them.", "max_tokens")
    turns = tuple(Message(message.role, message.content) for message in request.messages)
    return request.generation([Prompt("", messages=turns)], newer or older or limits.max_tokens)


def _chat_answer(head: AnswerHead, results: Sequence[EngineResult]) -> ChatCompletion:
    from openai.types.chat import ChatCompletion, ChatCompletionMessage
    from openai.types.chat.chat_completion import Choice

    choices = [
        Choice(
            index=index,
            message=ChatCompletionMessage(role="assistant", content=result.completion.text, refusal=None),
            logprobs=None,
            finish_reason=finish_reason(result.completion),
        )
        for index, result in enumerate(results)
    ]
    return ChatCompletion(
        id=head.id,
        object="chat.completion",
        created=head.created,
        model=head.model,
        system_fingerprint=results[0].fingerprint,
        choices=choices,
        usage=usage(results),
    )


def _chat_chunk(head: AnswerHead) -> dict[str, Any]:
    from openai.types.chat import ChatCompletionChunk
    from openai.types.chat.chat_completion_chunk import Choice, ChoiceDelta

    return ChatCompletionChunk(
        id=head.id,
        object="chat.completion.chunk",
        created=head.created,
        model=head.model,
        system_fingerprint=None,
        choices=[Choice(index=0, delta=ChoiceDelta(), logprobs=None, finish_reason=None)],
    ).model_dump(exclude_unset=True)


def _chat_delta(text: str | None, first: bool) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    return {"delta": {**delta, "role": "assistant"} if first else delta}


def _parse_completion(body: object, limits: Limits) -> Generation:
    request = validated(CompletionRequest, body, limits)
    if request.stream and len(request.prompt) > 1:
        raise invalid("prompt: expected one text when stream is true.", "prompt")
    return request.generation([Prompt("", text=text) for text in request.prompt], request.max_tokens or DEFAULT_TOKENS)


def _completion_answer(head: AnswerHead, results: Sequence[EngineResult]) -> CompletionObject:
    from openai.types import Completion, CompletionChoice

    choices = [
        CompletionChoice(
            index=index,
            text=result.completion.text or "",
            logprobs=None,
            finish_reason=finish_reason(result.completion),
        )
        for index, result in enumerate(results)
    ]
    return Completion(
        id=head.id,
        object="text_completion",
        created=head.created,
        model=head.model,
        system_fingerprint=results[0].fingerprint,
        choices=choices,
        usage=usage(results),
    )


def _completion_chunk(head: AnswerHead) -> dict[str, Any]:
    from openai.types import Completion, CompletionChoice

    # the type has no room for an unfinished choice, whose reason is null
    choice = CompletionChoice.model_construct(index=0, text="", logprobs=None)
    return Completion(
        id=head.id,
        object="text_completion",
        created=head.created,
        model=head.model,
        system_fingerprint=None,
        choices=[choice],
    ).model_dump(exclude_unset=True)


def _completion_delta(text: str | None, _: bool) -> dict[str, Any]:
    return {"text": text or ""}


CHAT = GenerationEndpoint("chatcmpl-", _parse_chat, _chat_answer, _chat_chunk, _chat_delta)
COMPLETIONS = GenerationEndpoint("cmpl-", _parse_completion, _completion_answer, _completion_chunk, _completion_delta)
