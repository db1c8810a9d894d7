"""The address of an OpenAI-compatible service and the secrets that are sent to it, which no other module holds.

Secrets are read from the environment when they are used. They are in no config, no record and no log, and `redacted`
removes them from errors in which a server repeats them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlsplit

from harness.config import OpenAIModelConfig
from harness.credentials import from_environment, redacted, referenced
from harness.errors import ConfigError, ModelError

if TYPE_CHECKING:
    import httpx2
    from openai import OpenAI

MESSAGE_LENGTH = 300
"""The most characters of a server's message that are shown."""
_LIKE_A_KEY = re.compile(r"\b(sk|pk|key)-[\w*.-]{6,}")
_SHORTEST_SECRET = 4
"""Shorter values of the environment are not looked for in messages, where they occur by chance."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a service, without a trailing slash, the key to it, and what else is sent with each request."""

    base_url: str
    key: str | None = field(default=None, repr=False)
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = field(default_factory=frozenset, repr=False)
    """The values among them that came from the environment."""

    @classmethod
    def of(cls, config: OpenAIModelConfig) -> Endpoint:
        """Return the endpoint of a model with its secrets from the environment; ModelError where one is not set."""
        check_url(config.base_url)
        base_url, key = config.base_url.rstrip("/"), None
        if config.api_key_env is not None:
            key = from_environment(config.api_key_env)
            if not key:
                raise ModelError(
                    f"{base_url} needs a key: the environment variable {config.api_key_env} is not set. Set it, name "
                    "another one with model.api_key_env=NAME, or use model.api_key_env=null for a server without keys."
                )
        headers, of_headers = _resolved("model.headers", config.headers)
        query, of_query = _resolved("model.query", config.query)
        return cls(base_url, key, headers, query, of_headers | of_query | ({key} if key else set()))

    def headers(self) -> dict[str, str]:
        """Return the headers of every request; those of the config replace the others of the same name."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        for name, variable in (("OpenAI-Organization", "OPENAI_ORG_ID"), ("OpenAI-Project", "OPENAI_PROJECT_ID")):
            if self.key and (value := os.environ.get(variable)):
                headers[name] = value
        replaced = {name.lower() for name in self.extra_headers}
        return {k: v for k, v in headers.items() if k.lower() not in replaced} | dict(self.extra_headers)

    def redacted(self, text: str) -> str:
        """Return a server's message on one line: short, printable, and without anything that is or looks like a key."""
        for secret in sorted(self.secrets | {self.key or ""}, key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                for shown in {secret, quote(secret, safe=""), quote_plus(secret)}:
                    text = text.replace(shown, "***")
        text = "".join(c if c.isprintable() else " " for c in text[: 100 * MESSAGE_LENGTH])
        return _LIKE_A_KEY.sub("***", str(redacted(" ".join(text.split()))))[:MESSAGE_LENGTH]

    def client(self, timeout: float = 60.0, retries: int = 2) -> OpenAI:
        """Return the official client for this endpoint, for everything but completions, which `Pool` requests."""
        from openai import DefaultHttpxClient, OpenAI

        authorized = self.key or "authorization" in {name.lower() for name in self.extra_headers}
        hooks: dict[str, Any] = {"request": [] if authorized else [_without_authorization]}
        return OpenAI(
            api_key=self.key or "none",
            base_url=self.base_url,
            timeout=timeout,
            max_retries=retries,
            default_headers=dict(self.extra_headers),
            default_query=dict(self.query),
            http_client=DefaultHttpxClient(event_hooks=hooks),
        )


def _without_authorization(request: httpx2.Request) -> None:
    """Take out the header that the official client cannot do without, and that some services refuse."""
    request.headers.pop("authorization", None)


def check_url(base_url: str) -> None:
    """Raise a ConfigError unless this is an http address without a secret in it, because it is in every record."""
    try:
        parts = urlsplit(base_url)
        valid = parts.scheme in ("http", "https") and parts.hostname and not parts.query and parts.username is None
    except ValueError:
        valid = False
    if not valid:
        shown = base_url.split("?")[0].rpartition("@")[2]
        raise ConfigError(
            f"model.base_url: expected an address like https://host/v1, without password or query, got {shown!r}. "
            "Query parameters go into model.query."
        )


def _resolved(setting: str, values: Mapping[str, str]) -> tuple[dict[str, str], frozenset[str]]:
    """Return the values with env:NAME read from the environment, and those that were read."""
    resolved: dict[str, str] = {}
    secrets: set[str] = set()
    for name, value in values.items():
        resolved[name] = str(value)
        if variable := referenced(resolved[name]):
            secret = from_environment(variable)
            if not secret or not secret.isprintable():
                problem = "is not set" if not secret else "has control characters"
                raise ModelError(f"{setting}.{name}: the environment variable {variable} {problem}. Set it.")
            resolved[name] = secret
            secrets.add(secret)
    return resolved, frozenset(secrets)
