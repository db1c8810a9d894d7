"""Whether this machine has the credentials that leave it; their values are never read out."""

from __future__ import annotations

import netrc
import os
from pathlib import Path
from urllib.parse import urlparse


def has_openai_key() -> bool:
    """Say whether the environment has a key for OpenAI-compatible models."""
    return bool(os.environ.get("OPENAI_API_KEY"))


def has_wandb_login() -> bool:
    """Say whether W&B would find a login: in the environment, or where `wandb login` leaves it."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "")).hostname or "api.wandb.ai"
    try:
        return host in netrc.netrc(Path(os.environ.get("NETRC", "~/.netrc")).expanduser()).hosts
    except (OSError, netrc.NetrcParseError):
        return False
