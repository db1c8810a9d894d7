"""One shape for every refusal of a value: the key, what was expected, what was got."""

from __future__ import annotations

from harness.errors import ConfigError


def check(ok: bool, key: str, expected: str, got: object) -> None:
    """Raise a ConfigError unless `ok`."""
    if not ok:
        raise ConfigError(f"{key}: expected {expected}, got {got}")
