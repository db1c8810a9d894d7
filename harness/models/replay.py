"""Completions from a file, scored like any model's, so that whatever generated them need not be available.

A line of the file is {"id" or "prompt", "completion"}, with an optional finish_reason, or {"id" or "prompt", "error"}
where there is no completion; other keys are ignored. The text is used as it is: no stop rule truncates it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from harness import paths as resources
from harness.config import ReplayModelConfig
from harness.errors import DataError
from harness.types import Completion, FinishReason, ModelIdentity, Prompt, SamplingParams

KEYS = ("id", "prompt", "completion", "finish_reason", "error")
FINISH_REASONS = [reason.value for reason in FinishReason if reason is not FinishReason.ERROR]


@dataclass(frozen=True, slots=True)
class _Line:
    where: str
    id: str | None
    prompt: str | None
    completion: Completion


class ReplayModel:
    """A file of completions, looked up by example id, else by the example's own prompt."""

    parameters = None

    def __init__(self, config: ReplayModelConfig) -> None:
        self._path = resources.resolve(config.path)

    @cached_property
    def identity(self) -> ModelIdentity:
        """Identify the file by its content."""
        return ModelIdentity(backend="replay", base=self._path.name, weights=hashlib.sha256(self._content).hexdigest())

    def generate(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> Iterator[Completion]:  # noqa: ARG002
        """Yield the file's completion for each prompt, in order; a missing one is a completion with an error."""
        by_id, by_prompt = self._index("id"), self._index("prompt")
        for prompt in prompts:
            line = by_id.get(prompt.example_id) or by_prompt.get(prompt.source)
            if line is None:
                error = f"no completion in {self._path} for id {prompt.example_id!r} or prompt {prompt.source!r}"
                yield _failure(prompt.example_id, error)
                continue
            if line.prompt is not None and line.prompt != prompt.source:
                raise DataError(
                    f"{line.where}: id {line.id!r} has the prompt {line.prompt!r} here and {prompt.source!r} in the "
                    "task. Leave the ids out where they are not the task's."
                )
            yield replace(line.completion, example_id=prompt.example_id)

    @cached_property
    def _content(self) -> bytes:
        try:
            return self._path.read_bytes()
        except OSError as error:
            raise DataError(f"{self._path}: cannot be read ({error}). Set model.path to a JSONL file.") from error

    @cached_property
    def _lines(self) -> list[_Line]:
        try:
            text = self._content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{self._path}: not UTF-8 ({error}). Save it as UTF-8.") from error
        numbered = enumerate(text.split("\n"), 1)
        return [_parse(line, f"{self._path}:{number}") for number, line in numbered if line.strip()]

    def _index(self, name: Literal["id", "prompt"]) -> dict[str, _Line]:
        index: dict[str, _Line] = {}
        for line in self._lines:
            key = getattr(line, name)
            if key in index:
                raise DataError(f"{line.where}: {name} {key!r} is also at {index[key].where}. Keep one of them.")
            if key is not None:
                index[key] = line
        return index


def _parse(text: str, where: str) -> _Line:
    try:
        row: Any = json.loads(text)
    except ValueError as error:
        raise DataError(f"{where}: not JSON ({error}). Write one JSON object per line.") from error
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected a JSON object, got {text.strip()[:80]}. Write one JSON object per line.")
    for name in KEYS:
        if not isinstance(row.get(name), str | None):
            raise DataError(f"{where}: expected text as {name!r}, got {row[name]!r}. Put it in quotes.")
    key, prompt = row.get("id"), row.get("prompt")
    if key is None and prompt is None:
        raise DataError(f'{where}: has neither "id" nor "prompt". Add one, so that its example can be found.')
    return _Line(where, key, prompt, _completion(row, where))


def _completion(row: Mapping[str, str | None], where: str) -> Completion:
    if error := row.get("error"):
        return _failure("", error)
    text = row.get("completion")
    if text is None:
        raise DataError(
            f'{where}: has neither "completion" nor "error". Add the text, or the reason why there is none.'
        )
    reason = row.get("finish_reason") or FinishReason.UNKNOWN.value
    if reason not in FINISH_REASONS:
        raise DataError(f"{where}: expected a finish_reason of {', '.join(FINISH_REASONS)}, got {reason!r}.")
    return Completion("", text, FinishReason(reason))


def _failure(example_id: str, error: str) -> Completion:
    return Completion(example_id, None, FinishReason.ERROR, error=error)
