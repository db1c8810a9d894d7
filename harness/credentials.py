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
_IN_BRACES = re.compile(r"(?<=[{,])(\s*)([\w.-]+)(\s*:\s*)([^\s,}\]'\"]+|'[^']*'|\"[^\"]*\")")
"""A key and its value in a mapping of Hydra's command line, such as `{api-key: abc}`."""
_LONG = 8
"""Shorter values of the environment, such as `1`, are not redacted: they occur everywhere and are not secrets."""
_REFERENCE = re.compile(r"env:([A-Za-z_]\w*)")
_SECRET_WORD = re.compile(r"key\b|token\b|secret|passw|auth\b|authori[sz]|cookie|credential|signature|\bsig\b|\bcode\b")
_LIKE_A_SECRET = re.compile(
    r"^(?:bearer|basic|token)\s|\b(?:sk|pk|rk|gsk|hf|xai|ghp|gho|glpat|xox[abp]|key)[-_][\w-]{6,}|\bAIza|\bAKIA|\beyJ"
    r"|(?=[^\s]*\d)(?=[^\s]*[A-Za-z])[A-Za-z0-9+/=_]{32,}",
    re.IGNORECASE,
)
_READ: set[str] = set()
"""Values that were read from the environment for a service; they are redacted wherever they turn up."""


def from_environment(variable: str) -> str | None:
    """Return the value of an environment variable, which is redacted from now on; None where it is not set."""
    value = os.environ.get(variable, "").strip()
    if len(value) >= _LONG:
        _READ.add(value)
    return value or None


def referenced(value: str) -> str | None:
    """Return the environment variable that `env:NAME` names; None for a value that stands for itself."""
    match = _REFERENCE.fullmatch(value)
    return match[1] if match else None


def looks_secret(name: str, value: str) -> bool:
    """Return whether a header or query parameter is a secret, by its name or by its value."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z0-9]", " ", name).lower()
    return bool(_SECRET_WORD.search(words) or _LIKE_A_SECRET.search(value))


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
    or `{KEY: VALUE}` with such a key, the user part of a URL, and the value of an environment variable with such a
    name, or that was read for a service.
    """
    named = [v for k, v in os.environ.items() if len(v) >= _LONG and _names_secret(k)]
    return _redacted(value, sorted({*named, *_READ}, key=len, reverse=True))


def _redacted(value: Any, known: list[str], key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _redacted(part, known, str(name)) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted(part, known, key) for part in value]
    if not isinstance(value, str):
        return value
    if value and _names_secret(key) and not referenced(value):
        return REDACTED
    for secret in known:
        value = value.replace(secret, REDACTED)
    value = _USER.sub(f"{REDACTED}@", value)
    value = _ASSIGNED.sub(
        lambda m: f"{m[1]}={REDACTED}" if _names_secret(m[1]) and not referenced(m[2]) else m[0], value
    )
    return _IN_BRACES.sub(
        lambda m: f"{m[1]}{m[2]}{m[3]}{REDACTED}" if _names_secret(m[2]) and not referenced(m[4]) else m[0], value
    )


def _names_secret(name: str) -> bool:
    last = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.rsplit(".", 1)[-1])
    return bool(_SECRET.search(last.replace("-", "_").lower()))
