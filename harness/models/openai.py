"""Any model behind an OpenAI-compatible service, reused as it is: chat or plain completions.

A completion ends by the same rule on text as every other backend's, so stop sequences that are sent only save tokens.
What a service makes of its own accord, such as the weights behind a name, cannot be seen from here: which model and
fingerprint each answer says that it is from is kept with it.
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
    """A model behind `base_url`; the key is read from the environment when the first completion is asked for."""

    parameters = None
    pause = 1.0
    """The most seconds before a second try, where the service does not say; tests are less patient."""

    def __init__(self, config: OpenAIModelConfig) -> None:
        check_url(config.base_url)
        self.config = config

    @cached_property
    def identity(self) -> ModelIdentity:
        """Identify the model by where it is, what it is called there and what else is sent."""
        extra = f" {canonical(self.config.extra)}" if self.config.extra else ""
        where = f"{self.config.base_url.rstrip('/')}{PATHS[self.config.endpoint]}"
        return ModelIdentity(backend="openai", base=self.config.id, revision=f"{where}{extra}")

    def generate(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> Iterator[Completion]:
        """Yield one completion a prompt as they come; ModelError where the service refuses every request."""
        if not prompts:
            return
        dialect = Dialect(self.config, decoding)
        endpoint = Endpoint.of(self.config.base_url, self.config.api_key_env)
        pool = Pool(endpoint, PATHS[self.config.endpoint], dialect, self._policy(decoding))
        for outcome in pool.run(map(dialect.job, prompts)):
            yield dialect.completion(outcome)

    def shutdown_date(self) -> str | None:
        """Return the date on which the service ends this model, or the one that it was tuned from; None if unknown."""
        from openai import OpenAIError

        tuned_from = self.config.id.split(":")[1:2] if self.config.id.startswith("ft:") else []
        dates = []
        for name in (self.config.id, *tuned_from):
            try:
                client = Endpoint.of(self.config.base_url, self.config.api_key_env).client(timeout=10.0, retries=0)
                date = client.models.retrieve(name).shutdown_date
            except (OpenAIError, ModelError):  # no key is here any more, or the service lists no models: it is unknown
                continue
            dates += [date] if date else []
        return min(dates, default=None)

    def _policy(self, decoding: SamplingParams) -> Policy:
        config = self.config
        return Policy(config.concurrency, config.timeout, config.retries, self.pause, seed=decoding.seed)
