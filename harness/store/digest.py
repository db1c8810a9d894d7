"""Content digests, from which stage keys and run ids are made.

Equal values give equal digests on every machine; a changed input gives a new digest, never a stale hit.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from enum import Enum
from typing import Any

KEY_LENGTH = 16
"""Hex digits of a stage key: 64 bits, enough for the stages of one store."""

NOT_DIGESTED = ("display", "nothing")
"""Metadata `decides` of the dataclass fields that are not part of a digest; see `harness.config.fields`."""


def canonical(value: Any) -> str:
    """Return the canonical JSON text of a value made of dataclasses, enums, mappings, sequences and scalars."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain)


def digest(value: Any) -> str:
    """Return the key of a value, `KEY_LENGTH` hex digits of the SHA-256 of its canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:KEY_LENGTH]


def digest_lines(lines: Iterable[str]) -> str:
    """Return the key of an ordered sequence of texts without joining them in memory; each is framed by its length."""
    state = hashlib.sha256()
    for line in lines:
        data = line.encode("utf-8", "surrogatepass")
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()[:KEY_LENGTH]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        deciding = (f for f in dataclasses.fields(value) if f.metadata.get("decides") not in NOT_DIGESTED)
        labels = getattr(value, "not_digested", ())
        return {f.name: getattr(value, f.name) for f in deciding if f.name not in labels}
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} has no canonical form")
