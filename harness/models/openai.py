"""Models behind an OpenAI-compatible service, through its chat or its completions endpoint.

A completion ends by the same rule on text as every other backend's, so stop sequences that are sent only save tokens.
A service can change the weights behind a name, so the model and fingerprint that each answer reports are stored with
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from harness.client.dialect import Dialect
from harness.client.endpoint import Endpoint, check_url
from harness.client.pool import Pool
from harness.client.requests import Policy
from harness.config import OpenAIModelConfig
from harness.config.model import EndpointKind
from harness.errors import ModelError
from harness.store.digest import canonical
from harness.types import Completion, ModelIdentity, Prompt, SamplingParams

PATHS = {EndpointKind.chat: "/chat/completions", EndpointKind.completions: "/completions"}


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
        """Identify the model by the service's address, its name there and the extra settings that are sent."""
        extra = f" {canonical(self.config.extra)}" if self.config.extra else ""
        url = f"{self.config.base_url.rstrip('/')}{PATHS[self.config.endpoint]}"
        return ModelIdentity(backend="openai", base=self.config.id, revision=f"{url}{extra}")

    def generate(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> Iterator[Completion]:
        """Yield one completion per prompt as they arrive; ModelError where the service refuses every request."""
        if not prompts:
            return
        dialect = Dialect(self.config, decoding)
        endpoint = Endpoint.of(self.config.base_url, self.config.api_key_env)
        pool = Pool(endpoint, PATHS[self.config.endpoint], dialect, self._policy(decoding))
        for outcome in pool.run(map(dialect.request, prompts)):
            yield dialect.completion(outcome)

    def shutdown_date(self) -> str | None:
        """Return the date on which the service retires this model or its base model; None if unknown."""
        from openai import OpenAIError

        tuned_from = self.config.id.split(":")[1:2] if self.config.id.startswith("ft:") else []
        dates = []
        for name in (self.config.id, *tuned_from):
            try:
                client = Endpoint.of(self.config.base_url, self.config.api_key_env).client(timeout=10.0, retries=0)
                date = client.models.retrieve(name).shutdown_date
            except (OpenAIError, ModelError):  # there is no key any more, or the service lists no models
                continue
            dates += [date] if date else []
        return min(dates, default=None)

    def _policy(self, decoding: SamplingParams) -> Policy:
        config = self.config
        return Policy(config.concurrency, config.timeout, config.retries, self.pause, seed=decoding.seed)
