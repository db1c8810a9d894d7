"""The store: every stage's product under the digest of all that decides it, written atomically.

From this one mechanism come resume after a crash, sharing of work between the runs of a sweep, caching and
provenance. Beside each product lies `inputs.json`, so that a hit can be explained: these inputs were the same.

    <root>/runs/<run id>/                 config.yaml results.json predictions.jsonl stats.npz
    <root>/stages/completions/<key>/      completions.jsonl, appended as they come
    <root>/stages/likelihoods/<key>/      likelihoods.jsonl, appended as they come
    <root>/stages/scores/<key>/           stats.npy of one metric on one set of completions
    <root>/stages/finetune/<key>/         adapter or weights, and how they came about
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from filelock import FileLock
from pydantic import TypeAdapter

from harness.errors import StoreError
from harness.store.digest import canonical, digest
from harness.types import Completion, FinishReason, Likelihood

T = TypeVar("T")


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader, or a crash, never meets half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def store_root(given: str | None) -> Path:
    """Return the folder of the store: the given one, that of the environment, or the usual one."""
    return Path(given or os.environ.get("HARNESS_STORE", ".harness"))


class Store:
    """A folder of content-addressed stages and of runs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def runs(self) -> Path:
        """The folder that holds one folder a run."""
        return self.root / "runs"

    def folder(self, stage: str, inputs: Mapping[str, Any]) -> Path:
        """Return the folder that belongs to these inputs, whether or not it is there."""
        return self.root / "stages" / stage / digest(inputs)

    def build(
        self, stage: str, inputs: Mapping[str, Any], make: Callable[[Path], None], resume: bool = False
    ) -> tuple[Path, bool]:
        """Return the stage's folder and whether it was already there; `make` fills it when it was not.

        `make` works in a folder of its own that appears under its key only when it is complete. With `resume` it
        finds there what a killed one left. A second process that wants the same stage waits for the first.
        """
        folder = self.folder(stage, inputs)
        if folder.exists():
            return folder, True
        with self.lock(folder):
            if folder.exists():
                return folder, True
            unfinished = folder.with_name(f".{folder.name}.part")
            if not resume:
                shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True, exist_ok=True)
            make(unfinished)
            (unfinished / "inputs.json").write_text(canonical(inputs), encoding="utf-8")
            os.replace(unfinished, folder)
        return folder, False

    def completions(self, inputs: Mapping[str, Any]) -> Log[Completion]:
        """Open the log of the completions that one model gave under one set of decoding options."""
        return Log(self._log("completions", inputs), _row, _completion)

    def likelihoods(self, inputs: Mapping[str, Any]) -> Log[Likelihood]:
        """Open the log of how likely one model finds given completions."""
        return Log(self._log("likelihoods", inputs), dataclasses.asdict, _likelihood_adapter().validate_python)

    def _log(self, stage: str, inputs: Mapping[str, Any]) -> Path:
        folder = self.folder(stage, inputs)
        if not (folder / "inputs.json").exists():
            write_atomic(folder / "inputs.json", canonical(inputs))
        return folder / f"{stage}.jsonl"

    @contextmanager
    def lock(self, folder: Path) -> Iterator[None]:
        """Hold the one lock of a stage; the operating system frees it when a process dies."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            yield


class Log(Generic[T]):
    """What a model gave, by key, appended as it comes: what is written is never asked for again."""

    def __init__(self, path: Path, row: Callable[[T], dict[str, Any]], value: Callable[[dict[str, Any]], T]) -> None:
        self.path, self._row, self._value = path, row, value

    def read(self) -> dict[str, T]:
        """Return what was given, by key; failures are left out, to be tried again.

        A last line that a crash cut short is passed over. Any other damage is a StoreError.
        """
        found: dict[str, T] = {}
        if not self.path.exists():
            return found
        lines = self.path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                key, value = row.pop("key"), self._value(row)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                if number == len(lines):
                    continue
                raise StoreError(
                    f"{self.path}:{number}: expected one of the {self.path.stem}, got {line[:80]!r} ({error}). "
                    "Delete the line: what it held is made again."
                ) from error
            if row.get("error") is None:
                found[key] = value
        return found

    def append(self, key: str, value: T) -> None:
        """Add one line in a single write, which a kill leaves whole or cut; a cut line is taken away first."""
        line = canonical({"key": key, **self._row(value)}).encode("utf-8", "surrogatepass") + b"\n"
        with self.path.open("ab") as stream:
            if stream.tell() and not self._ends_with_newline():
                whole = self.path.read_bytes().rfind(b"\n") + 1
                stream.truncate(whole)
            stream.write(line)

    def _ends_with_newline(self) -> bool:
        with self.path.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) == b"\n"


def _row(completion: Completion) -> dict[str, Any]:
    told = {key: value for key in ("served", "cached_tokens") if (value := getattr(completion, key)) is not None}
    return {
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "error": completion.error,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "seconds": completion.seconds,
        "wall_seconds": completion.wall_seconds,
        **told,
    }


@cache
def _likelihood_adapter() -> TypeAdapter[Likelihood]:
    return TypeAdapter(Likelihood)


def _completion(row: dict[str, Any]) -> Completion:
    return Completion(example_id="", **{**row, "finish_reason": FinishReason(row["finish_reason"])})
