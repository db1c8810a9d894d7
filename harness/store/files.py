"""Files of the store and of reports: written so that neither a reader nor a crash ever leaves half of one visible."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def _umask() -> int:
    """Return the user's mask; the only way to read it is to set it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


_UMASK = _umask()
"""Read once, on import: setting it is not safe beside other threads that create files."""


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file so that neither a reader nor a crash ever leaves half of it visible."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o666 & ~_UMASK)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
