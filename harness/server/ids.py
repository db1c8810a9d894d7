"""The ids that the server gives: random, in one form per kind, and the only names that ever become a path.

An id from a request is checked against the form of its kind before it is looked up, so that none leads out of the
server's folder.
"""

from __future__ import annotations

import re
import secrets
from enum import StrEnum

from harness.server.errors import missing

OWNER = "harness"
"""The organisation that everything belongs to: there is one."""
_LENGTH = 24


class IdKind(StrEnum):
    """What an id is of; the value is the prefix of the id."""

    FILE = "file-"
    JOB = "ftjob-"
    BATCH = "batch_"

    @property
    def word(self) -> str:
        """What such a thing is called in a message."""
        return {IdKind.FILE: "file", IdKind.JOB: "fine-tuning job", IdKind.BATCH: "batch"}[self]


def new(prefix: str) -> str:
    """Return a fresh id with this prefix."""
    return prefix + secrets.token_hex(_LENGTH // 2)


def is_id(kind: IdKind, name: str) -> bool:
    """Return whether a name has the form of an id of this kind."""
    return re.fullmatch(f"{kind.value}[0-9a-f]{{{_LENGTH}}}", name) is not None


def check(kind: IdKind, name: str, param: str = "id") -> str:
    """Return `name` when it has the form of an id of this kind; otherwise a 404 error, as for any unknown id."""
    if not is_id(kind, name):
        raise missing(kind.word, name, param)
    return name


def tuned_model(base: str, suffix: str, job_id: str) -> str:
    """Return the name of a job's model, in OpenAI's form: ft:<base>:<organisation>:<suffix>:<id>."""
    return f"ft:{base}:{OWNER}:{suffix}:{job_id.removeprefix(IdKind.JOB)[:8]}"
