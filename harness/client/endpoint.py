"""Where an OpenAI-compatible service is and how one is let in: the only place that ever holds a key.

The key comes from the environment at the moment of use. It is in no config, no record, no log and, by `redacted`, in
no error, whatever a server repeats of it.
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
"""Characters that are kept of what a server says."""
_LIKE_A_KEY = re.compile(r"\b(sk|pk|key)-[\w*.-]{6,}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a service, without a trailing slash, and the key to it."""

    base_url: str
    key: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, base_url: str, api_key_env: str | None) -> Endpoint:
        """Return the endpoint with the key that this environment variable holds; ModelError where it holds none."""
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
        found = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            found["Authorization"] = f"Bearer {self.key}"
        for name, variable in (("OpenAI-Organization", "OPENAI_ORG_ID"), ("OpenAI-Project", "OPENAI_PROJECT_ID")):
            if self.key and (value := os.environ.get(variable)):
                found[name] = value
        return found

    def redacted(self, text: str) -> str:
        """Return what a server said on one line: short, and without anything that is or looks like a key."""
        if self.key:
            text = text.replace(self.key, "***")
        return _LIKE_A_KEY.sub("***", " ".join(text.split()))[:MESSAGE_LENGTH]

    def client(self, timeout: float = 60.0, retries: int = 2) -> OpenAI:
        """Return the official client of this endpoint, for everything but completions by the thousand."""
        from openai import OpenAI

        return OpenAI(api_key=self.key or "none", base_url=self.base_url, timeout=timeout, max_retries=retries)


def check_url(base_url: str) -> None:
    """Raise a ConfigError unless this is an http address that holds no secret, for it stands in every record."""
    try:
        parts = urlsplit(base_url)
        fine = parts.scheme in ("http", "https") and parts.hostname and not parts.query and parts.username is None
    except ValueError:
        fine = False
    if not fine:
        shown = base_url.split("?")[0].rpartition("@")[2]
        raise ConfigError(
            f"model.base_url: expected an address like https://host/v1, without password or query, got {shown!r}"
        )
