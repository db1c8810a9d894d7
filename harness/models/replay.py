"""Completions from a file, scored like any model's, so that whatever generated them need not be available.

A row of the file is {"id" or "prompt", "completion"}, with an optional finish_reason and reasoning, or {"id" or
"prompt", "error"} where there is no completion; other keys are ignored. Ids are text or whole numbers, as in a task's
file. No stop rule truncates the text, but what a reasoning model thought is separated from its answer.

Without a path, the answers are in the task's own file, each in the row of its example.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from harness.config import ReplayModelConfig
from harness.errors import ConfigError, DataError, unknown
from harness.tasks.files import located, read_bytes, rows_of
from harness.tasks.rows import (
    PREDICTION_KEY,
    BadRow,
    Columns,
    Row,
    id_text,
    json_type,
    parse_rows,
    scalar_text,
)
from harness.tasks.stopping import settle
from harness.tasks.tables import Cells
from harness.types import Completion, FinishReason, ModelIdentity, Prompt, SamplingParams, StopAt

COMPLETION_KEY = "completion"
FINISH_REASONS = [reason.value for reason in FinishReason if reason is not FinishReason.ERROR]


@dataclass(frozen=True, slots=True)
class _Answer:
    where: str
    id: str | None
    prompt: str | None
    completion: Completion


class ReplayModel:
    """A file of completions, looked up by example id, else by the example's own prompt."""

    parameters = None
    by_example = True

    def __init__(self, config: ReplayModelConfig) -> None:
        path = config.path or config.task_path
        if path is None:
            raise ConfigError("model.path has no value. Add model.path=FILE, a file of completions.")
        self._config, self._path = config, path
        self._is_tasks_own = config.task_path is not None and _absolute(path) == _absolute(config.task_path)
        if self._is_tasks_own and config.completion_key and config.completion_key == config.reference_key:
            raise ConfigError(
                f"task.prediction_key and task.completion_key are both {config.completion_key!r}: references would be "
                "scored against themselves. Set one to the key of the answer, the other to that of the reference."
            )

    @cached_property
    def identity(self) -> ModelIdentity:
        """Identify the file by its content, and by the keys that are read where they are not the usual ones.

        The whole file is checked, so that a damaged one is refused before any work.
        """
        config, file = self._config, located(self._path, "model.path")
        _ = self._by_id
        weights = hashlib.sha256(self._content).hexdigest()
        keys = {"prompt": config.prompt_key, "completion": config.completion_key, "sep": config.sep}
        usual = {"prompt": "prompt", "completion": None, "sep": None}
        revision = ", ".join(f"{name}={key}" for name, key in keys.items() if key != usual[name])
        own = {"reference": config.reference_key or "", "own": "true"} if self._is_tasks_own else {}
        revision = ", ".join(part for part in (revision, *(f"{k}={v}" for k, v in own.items() if v)) if part)
        return ModelIdentity(backend="replay", base=file.name, revision=revision, weights=weights)

    def generate(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> Iterator[Completion]:
        """Yield the file's completion for each prompt, in order; a missing one is a completion with an error."""
        whole = replace(decoding, stop=(), stop_at=StopAt.none)
        self._require_samples(prompts)
        for prompt in prompts:
            answer = self._by_id.get(prompt.example_id) or (None if prompt.sample else self._of_prompt(prompt.source))
            if answer is None:
                error = f"no completion in {self._path} for id {prompt.example_id!r} or prompt {prompt.source!r}"
                yield _failure(prompt.example_id, error)
                continue
            if answer.prompt is not None and answer.prompt != prompt.source:
                raise DataError(
                    f"{answer.where}: id {answer.id!r} has the prompt {answer.prompt!r} here and {prompt.source!r} in "
                    "the task. Leave the ids out where they are not the task's."
                )
            completion = replace(answer.completion, example_id=prompt.example_id)
            yield completion if completion.text is None else settle(completion.text, whole, completion, prompt)

    def _require_samples(self, prompts: Sequence[Prompt]) -> None:
        """Raise a DataError where prompts have further samples, and the file has the ids of none of them."""
        ids = [prompt.example_id for prompt in prompts if prompt.sample]
        if ids and not any(id in self._by_id for id in ids):
            raise DataError(
                f"{self._path}: expected a row for each sample of a prompt (generation.n), with ids such as "
                f"{ids[0]!r}, got none. Add them, or leave generation.n out."
            )

    @cached_property
    def _content(self) -> bytes:
        return read_bytes(located(self._path, "model.path"), self._path)

    @cached_property
    def _answers(self) -> list[_Answer]:
        config = self._config
        keys = ("id", config.prompt_key, "prompt", config.completion_key or COMPLETION_KEY, PREDICTION_KEY)
        rows = rows_of(self._content, self._path, Cells(config.sep, config.quote, keys), defaultdict(list))
        return [*(self._own(rows) if self._is_tasks_own else map(self._answer, rows))]

    def _own(self, rows: Iterable[Row]) -> Iterator[_Answer]:
        """Yield the answer of each example of the task's own file, under the id that the task gives it."""
        config = self._config
        columns = Columns(config.prompt_key, config.reference_key, (), config.completion_key)
        parsed, key = parse_rows(self._path, rows, columns)[0], config.completion_key or PREDICTION_KEY
        if not any(key in _values(row) or "error" in _values(row) for row, _ in parsed):
            raise ConfigError(
                f"model.path has no value, and no row of the task's own file has {key!r}. Add model.path=FILE, a file "
                "of completions, or set task.prediction_key to the key of the model's answer."
            )
        for row, example in parsed:
            yield _Answer(row.origin, example.id, None, self._completion(_values(row), row.origin))

    def _answer(self, row: Row) -> _Answer:
        values = _values(row)
        key = self._config.prompt_key if self._config.prompt_key in values else "prompt"
        prompt = _text(values, key, row.origin)
        try:
            example_id = None if values.get("id") is None else id_text(values["id"])
        except BadRow as problem:
            raise DataError(f"{row.origin}: {problem}") from problem
        if example_id is None and prompt is None:
            raise DataError(
                f'{row.origin}: has neither "id" nor "prompt". Add one, so that its example can be found, or set '
                f"model.prompt_key. {unknown('key', key, map(str, values))}"
            )
        return _Answer(row.origin, example_id, prompt, self._completion(values, row.origin))

    def _completion(self, values: Mapping[str, object], where: str) -> Completion:
        if error := _text(values, "error", where):
            return _failure("", error)
        key = self._completion_key(values, where)
        text = _text(values, key, where)
        if text is None:
            raise DataError(
                f'{where}: has neither {key!r} nor "error". Add the text, or the reason why there is none; or set '
                f"{'task.prediction_key' if self._is_tasks_own else 'model.completion_key'} to the key of the model's "
                f"answer. {unknown('key', key, map(str, values))}"
            )
        reason = _text(values, "finish_reason", where) or FinishReason.UNKNOWN.value
        if reason not in FINISH_REASONS:
            raise DataError(f"{where}: expected a finish_reason of {', '.join(FINISH_REASONS)}, got {reason!r}.")
        return Completion("", text, FinishReason(reason), reasoning=_text(values, "reasoning", where) or None)

    def _completion_key(self, values: Mapping[str, object], where: str) -> str:
        if self._config.completion_key:
            return self._config.completion_key
        if self._is_tasks_own:
            return PREDICTION_KEY
        if values.get(PREDICTION_KEY) is not None and values.get(COMPLETION_KEY) is not None:
            raise DataError(
                f"{where}: has both {PREDICTION_KEY!r} and {COMPLETION_KEY!r}. Set model.completion_key to the key of "
                "the model's answer."
            )
        return PREDICTION_KEY if PREDICTION_KEY in values else COMPLETION_KEY

    @cached_property
    def _by_id(self) -> dict[str, _Answer]:
        index: dict[str, _Answer] = {}
        for answer in self._answers:
            if answer.id in index:
                raise DataError(
                    f"{answer.where}: id {answer.id!r} is also at {index[answer.id].where}. Keep one of them."
                )
            if answer.id is not None:
                index[answer.id] = answer
        return index

    @cached_property
    def _by_prompt(self) -> dict[str, list[_Answer]]:
        index = defaultdict(list)
        for answer in self._answers:
            if answer.prompt is not None:
                index[answer.prompt].append(answer)
        return index

    def _of_prompt(self, prompt: str) -> _Answer | None:
        """Return the answer to a prompt; DataError where the file has several that differ."""
        answers = self._by_prompt.get(prompt, [])
        other = next((answer for answer in answers if answer.completion != answers[0].completion), None)
        if other:
            raise DataError(
                f"{other.where}: prompt {prompt!r} is also at {answers[0].where}, with another completion. Keep one of "
                "them, or give the rows the ids of the task's examples."
            )
        return answers[0] if answers else None


def _absolute(path: str) -> Path:
    return Path(path).expanduser().resolve()


def _values(row: Row) -> Mapping[str, object]:
    if isinstance(row.values, BadRow):
        raise DataError(f"{row.origin}: {row.values}")
    if not isinstance(row.values, Mapping):
        raise DataError(
            f'{row.origin}: expected an object such as {{"id": 1, "completion": "…"}}, got {json_type(row.values)}'
        )
    return row.values


def _text(values: Mapping[str, object], key: str, where: str) -> str | None:
    """Return a text, or a number or a boolean as it stands in the file; None where there is none."""
    value = values.get(key)
    text = scalar_text(value)
    if text is None and value is not None and value == value:
        raise DataError(f"{where}: expected text as {key!r}, got {json_type(value)}. Write it as text.")
    return text


def _failure(example_id: str, error: str) -> Completion:
    return Completion(example_id, None, FinishReason.ERROR, error=error)
