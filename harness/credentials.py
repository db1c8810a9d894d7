"""Whether the credentials of external services are set, and the redaction of secrets from what is stored.

The values of credentials are never printed or stored.
"""

from __future__ import annotations

import netrc
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

REDACTED = "[redacted]"
_KINDS = "api_?key|access_?key|secret_?key|private_?key|secret|password|passwd|passphrase|credentials?|authorization"
_TOKENS = "access|auth|api|bearer|refresh|session|hf|hub"
_SECRET = re.compile(rf"(?:^|_)(?:{_KINDS}|(?:{_TOKENS})_?token)$|^token$")
_USER = re.compile(r"(?<=://)[^/@\s]+@")
_ASSIGNED = re.compile(r"(?<![\w.-])([\w.-]+)=([^\s,&}\]'\"]+)")
_LONG = 8
"""Shorter values of the environment, such as `1`, are not redacted: they occur everywhere and are not secrets."""


def has_openai_key() -> bool:
    """Return whether the environment has a key for OpenAI-compatible models."""
    return bool(os.environ.get("OPENAI_API_KEY"))


def has_wandb_login() -> bool:
    """Return whether W&B would find a login: in the environment, or in the file that `wandb login` writes."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "")).hostname or "api.wandb.ai"
    try:
        return host in netrc.netrc(Path(os.environ.get("NETRC", "~/.netrc")).expanduser()).hosts
    except (OSError, netrc.NetrcParseError):
        return False


def redacted(value: Any) -> Any:
    """Return plain JSON values with secrets replaced by `[redacted]`.

    A secret is the text under a key that names one (`api_key`, `HF_TOKEN`, `db.password`), the value of a `KEY=VALUE`
    with such a key, the user part of a URL, and the value of an environment variable with such a name.
    """
    return _redacted(value, [v for k, v in os.environ.items() if len(v) >= _LONG and _names_secret(k)])


def _redacted(value: Any, known: list[str], key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _redacted(part, known, str(name)) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted(part, known, key) for part in value]
    if not isinstance(value, str):
        return value
    if value and _names_secret(key):
        return REDACTED
    for secret in known:
        value = value.replace(secret, REDACTED)
    value = _USER.sub(f"{REDACTED}@", value)
    return _ASSIGNED.sub(lambda m: f"{m[1]}={REDACTED}" if _names_secret(m[1]) else m[0], value)


def _names_secret(name: str) -> bool:
    last = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.rsplit(".", 1)[-1])
    return bool(_SECRET.search(last.replace("-", "_").lower()))
