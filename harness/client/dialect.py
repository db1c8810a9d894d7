"""The chat and completions requests of OpenAI-compatible services, and how their replies become completions.

Requests that are sent one by one and in batches are built here alike, so that the model sees no difference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from harness.client.answers import choice_of, reason_of, served_by, tokens_of, whole_characters
from harness.client.endings import Ending
from harness.client.endpoint import Endpoint
from harness.client.refusals import ReportedError
from harness.client.replies import Problem, Refused, Unusable, in_reply, parsed, problem
from harness.client.requests import RequestOutcome, ServiceAnswer, ServiceRequest, prompt_tokens
from harness.client.settings import RequestSettings
from harness.config import OpenAIModelConfig
from harness.config.model import EndpointKind
from harness.errors import ConfigError
from harness.tasks.stopping import end_of, settle, split_reasoning
from harness.types import Completion, FinishReason, Prompt, SamplingParams

_NO_REASON = "the finish_reason is {reason}, which does not say whether the answer is whole"
_HALF_CHARACTER = "half a character (a lone surrogate) in the answer is written as U+FFFD"


class Dialect:
    """Builds requests from prompts and reads replies, for the chat and the completions endpoint."""

    def __init__(self, config: OpenAIModelConfig, decoding: SamplingParams) -> None:
        self._chat = config.endpoint is EndpointKind.chat
        self._decoding = decoding
        self._settings = RequestSettings(config, decoding)

    @property
    def version(self) -> int:
        """Count the changes of the settings; a request that was refused before one is to be sent again."""
        return self._settings.version

    @property
    def max_tokens(self) -> int:
        """The most tokens of an answer."""
        sent = self._settings.sent
        value = sent.get("max_completion_tokens", sent.get("max_tokens"))
        return value if isinstance(value, int) else self._decoding.max_tokens

    def request(self, prompt: Prompt) -> ServiceRequest:
        """Return the request for a prompt; ConfigError for a conversation where plain text is completed."""
        tokens = prompt_tokens(prompt) + self._decoding.max_tokens
        return ServiceRequest(prompt.example_id, self._content(prompt), tokens, prompt)

    def fields(self, request: ServiceRequest) -> dict[str, Any]:
        """Return the request as the service's fields."""
        sample = request.prompt.sample if request.prompt else 0
        return {**self._settings.of_sample(sample), **request.content}

    def body(self, request: ServiceRequest) -> bytes:
        """Return the body of the POST."""
        return json.dumps(self.fields(request)).encode()

    def adapt(self, refusal: ReportedError | None) -> bool:
        """Rename or leave out the settings that the service refused; False where that does not help."""
        return refusal is not None and self._settings.adapt(refusal)

    def hint(self, refusal: ReportedError | None) -> str:
        """Return how the user leaves out what was refused, as the end of a message."""
        return self._settings.hint(refusal) if refusal is not None else ""

    def answer(self, content: bytes, content_type: str, endpoint: Endpoint) -> ServiceAnswer | Problem:
        """Return the answer in a body with status 200, or why there is none; nothing in a body raises an error."""
        try:
            reply = parsed(content, content_type)
            return in_reply(reply, endpoint) or self._read(reply)
        except Unusable as error:
            return Problem(endpoint.redacted(str(error)), again=True, paid=True)
        except Refused as error:
            return Problem(endpoint.redacted(str(error)), paid=True)
        except Exception as error:
            return Problem(endpoint.redacted(f"unexpected reply ({type(error).__name__}: {error})"), paid=True)

    def in_batch(self, status: int, body: Any, endpoint: Endpoint) -> ServiceAnswer | Problem:
        """Return the answer in a line of a batch's results, or why there is none."""
        try:
            content = json.dumps(body).encode()
        except (ValueError, RecursionError) as error:
            return Problem(f"unexpected reply ({type(error).__name__})", paid=True)
        if status != 200:
            return problem(status, {}, content, endpoint)
        return self.answer(content, "", endpoint)

    def completion(self, outcome: RequestOutcome) -> Completion:
        """Return the completion of a finished request."""
        answer, id = outcome.answer, outcome.request.id
        if answer is None:
            error = outcome.error or "no reason given"
            return Completion(id, None, FinishReason.ERROR, error=error, seconds=outcome.seconds)
        completion = Completion(
            id,
            None,
            answer.reason,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            cached_tokens=answer.cached_tokens,
            seconds=outcome.seconds,
            served=answer.served,
            reasoning=answer.reasoning,
            partial=answer.partial,
            notes=(*self._settings.notices, *answer.notes),
        )
        return settle(answer.text, self._decoding, completion, outcome.request.prompt)

    def _read(self, reply: Mapping[str, Any]) -> ServiceAnswer:
        choice, tokens = choice_of(reply, self._chat), tokens_of(reply)
        reason = reason_of(choice, tokens, self.max_tokens)
        raw = choice.text or ""
        if choice.ending is Ending.WITHHELD:
            split = split_reasoning(raw, self._decoding)
            if split.answer is None or end_of(split.answer, self._decoding) is None:
                raise Refused(f"{choice.reason}: the service withheld the answer")
        self._settings.answered = True
        text = whole_characters(raw)
        notes = (_NO_REASON.format(reason=choice.reason),) if reason is FinishReason.UNKNOWN else ()
        return ServiceAnswer(
            text,
            reason,
            choice.reasoning,
            reason is not FinishReason.LENGTH and "stop" in self._settings.sent and choice.at_stop is not False,
            tokens.prompt,
            tokens.completion,
            tokens.cached,
            whole_characters(served_by(reply) or "") or None,
            notes if text == raw else (*notes, _HALF_CHARACTER),
        )

    def _content(self, prompt: Prompt) -> Mapping[str, Any]:
        if self._chat:
            messages = [{"role": m.role, "content": m.content} for m in prompt.messages]
            return {"messages": messages or [{"role": "user", "content": prompt.text}]}
        if prompt.messages:
            raise ConfigError("model.endpoint=completions completes plain text: add prompt=plain or prompt=few_shot")
        return {"prompt": prompt.text}
