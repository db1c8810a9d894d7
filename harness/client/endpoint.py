"""The address of an OpenAI-compatible service and its API key, which no other module holds.

The key is read from the environment when it is used. It is in no config, no record and no log, and `redacted` removes
it from errors in which a server repeats it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from harness.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from openai import OpenAI

MESSAGE_LENGTH = 300
"""The most characters of a server's message that are shown."""
_LIKE_A_KEY = re.compile(r"\b(sk|pk|key)-[\w*.-]{6,}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a service, without a trailing slash, and the key to it."""

    base_url: str
    key: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, base_url: str, api_key_env: str | None) -> Endpoint:
        """Return the endpoint with the key in this environment variable; ModelError where it is not set."""
        check_url(base_url)
        if api_key_env is None:
            return cls(base_url.rstrip("/"))
        key = os.environ.get(api_key_env)
        if not key:
            raise ModelError(
                f"{base_url} needs a key: the environment variable {api_key_env} is not set. Set it, name another one "
                "with model.api_key_env=NAME, or use model.api_key_env=null for a server that needs none."
            )
        return cls(base_url.rstrip("/"), key.strip())

    def headers(self) -> dict[str, str]:
        """Return the headers of every request."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        for name, variable in (("OpenAI-Organization", "OPENAI_ORG_ID"), ("OpenAI-Project", "OPENAI_PROJECT_ID")):
            if self.key and (value := os.environ.get(variable)):
                headers[name] = value
        return headers

    def redacted(self, text: str) -> str:
        """Return a server's message on one line: short, and without anything that is or looks like a key."""
        if self.key:
            text = text.replace(self.key, "***")
        return _LIKE_A_KEY.sub("***", " ".join(text.split()))[:MESSAGE_LENGTH]

    def client(self, timeout: float = 60.0, retries: int = 2) -> OpenAI:
        """Return the official client for this endpoint, for everything but completions, which `Pool` requests."""
        from openai import OpenAI

        return OpenAI(api_key=self.key or "none", base_url=self.base_url, timeout=timeout, max_retries=retries)


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
            f"model.base_url: expected an address like https://host/v1, without password or query, got {shown!r}"
        )
