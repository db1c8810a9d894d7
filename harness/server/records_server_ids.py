"""Names that the server gives: random, of one form a kind, and the only names that ever become a path.

An id from a request is matched against its form before anything is looked up, so that none leads out of the folder.
"""

from __future__ import annotations

import re
import secrets
from enum import StrEnum

from harness.server.errors import missing

OWNER = "harness"
"""The organisation that everything belongs to: there is one."""
SUFFIX = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LENGTH = 24


class Kind(StrEnum):
    """What an id is of; the value is what it starts with."""

    FILE = "file-"
    JOB = "ftjob-"
    BATCH = "batch_"

    @property
    def word(self) -> str:
        """Say in words what it is."""
        return {Kind.FILE: "file", Kind.JOB: "fine-tuning job", Kind.BATCH: "batch"}[self]


def new(kind: str) -> str:
    """Return a fresh id that starts with `kind`."""
    return kind + secrets.token_hex(_LENGTH // 2)


def check(kind: Kind, name: str, param: str = "id") -> str:
    """Return `name` where it has the form of an id of this kind; else it is not there, as any unknown id."""
    if not is_id(kind, name):
        raise missing(kind.word, name, param)
    return name


def is_id(kind: Kind, name: str) -> bool:
    """Say whether a name has the form of an id of this kind."""
    return re.fullmatch(f"{kind.value}[0-9a-f]{{{_LENGTH}}}", name) is not None


def tuned_model(base: str, suffix: str, job_id: str) -> str:
    """Return the name of a job's model, in OpenAI's form: ft:<base>:<organisation>:<suffix>:<id>."""
    return f"ft:{base}:{OWNER}:{suffix}:{job_id.removeprefix(Kind.JOB)[:8]}"
