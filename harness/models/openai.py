"""Models behind an OpenAI-compatible service, through its chat or its completions endpoint.

A completion ends by the same rule on text as every other backend's, so stop sequences that are sent only save tokens.
A service can change the weights behind a name, so the model and fingerprint that each answer reports are stored with
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property
from urllib.parse import quote

from harness.client import http
from harness.client.dialect import Dialect
from harness.client.endpoint import Endpoint, check_url
from harness.client.pool import Pool
from harness.client.replies import parsed
from harness.client.requests import Policy
from harness.config import OpenAIModelConfig
from harness.config.model import EndpointKind
from harness.credentials import referenced
from harness.store.digest import canonical
from harness.types import Completion, ModelIdentity, Prompt, SamplingParams

PATHS = {EndpointKind.chat: "/chat/completions", EndpointKind.completions: "/completions"}
LONGEST_REPLY, BYTES_PER_TOKEN = 1 << 22, 1 << 12
"""Bytes that a reply may have, and those for each token: log-probabilities of a token take about 2 KiB."""
LOOK_UP_SECONDS = 10.0
"""For what is only nice to know about a model."""


class OpenAIModel:
    """A model behind `base_url`; its API key is read from the environment when completions are requested."""

    parameters = None
    pause = 1.0
    """The most seconds before the second try, where the service names none; tests use less."""

    def __init__(self, config: OpenAIModelConfig) -> None:
        check_url(config.base_url)
        self.config = config

    @cached_property
    def identity(self) -> ModelIdentity:
        """Identify the model by the service's address, its name there and what else is sent, secrets left out."""
        config = self.config
        parts = [f"{config.base_url.rstrip('/')}{PATHS[config.endpoint]}"]
        parts += [canonical(config.extra)] if config.extra else []
        for kind, values in (("headers", config.headers), ("query", config.query)):
            open_values: Mapping[str, str] = {k: v for k, v in values.items() if not referenced(v)}
            parts += [f"{kind} {canonical(open_values)}"] if open_values else []
        return ModelIdentity(backend="openai", base=config.id, revision=" ".join(parts))

    def generate(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> Iterator[Completion]:
        """Yield one completion per prompt as they arrive; ModelError where the service refuses every request."""
        if not prompts:
            return
        dialect = Dialect(self.config, decoding)
        pool = Pool(Endpoint.of(self.config), PATHS[self.config.endpoint], dialect, self._policy(dialect, decoding))
        for outcome in pool.run(map(dialect.request, prompts)):
            yield dialect.completion(outcome)

    def shutdown_date(self) -> str | None:
        """Return the date on which the service retires this model or its base model; None if unknown.

        Whatever the service answers, if it does at all, never is an error.
        """
        tuned_from = self.config.id.split(":")[1:2] if self.config.id.startswith("ft:") else []
        return min(filter(None, map(self._shutdown_date, (self.config.id, *tuned_from))), default=None)

    def _shutdown_date(self, name: str) -> str | None:
        try:
            endpoint = Endpoint.of(self.config)
            reply = http.get(endpoint, f"/models/{quote(name, safe=':')}", LOOK_UP_SECONDS)
            value = parsed(reply).get("shutdown_date") if reply else None
            return date.fromisoformat(value[:10]).isoformat() if isinstance(value, str) else None
        except Exception:  # there is no key any more, or the reply is something else
            return None

    def _policy(self, dialect: Dialect, decoding: SamplingParams) -> Policy:
        config, most = self.config, LONGEST_REPLY + BYTES_PER_TOKEN * dialect.max_tokens
        return Policy(
            config.concurrency, config.timeout, config.retries, self.pause, seed=decoding.seed, most_bytes=most
        )
