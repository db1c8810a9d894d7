"""The store of stages: each product under the digest of everything that decides it, written atomically.

This one mechanism gives resume after a crash, sharing of work between the runs of a sweep, caching and provenance.
`inputs.json` beside each product records the inputs of its key, so that a cache hit can be explained.

    <root>/runs/<run id>/                 config.yaml results.json predictions.jsonl stats.npz
    <root>/stages/completions/<key>/      completions.jsonl, appended as they come
    <root>/stages/likelihoods/<key>/      likelihoods.jsonl, appended as they come
    <root>/stages/scores/<key>/           stats.npy of one metric on one set of completions
    <root>/stages/finetune/<key>/         adapter or weights, and finetune.json, the record of the training
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from harness.store.digest import canonical, digest
from harness.store.files import write_atomic
from harness.store.locks import locked
from harness.store.logs import Log
from harness.types import Completion, FinishReason, Likelihood


def store_root(option: str | None) -> Path:
    """Return the folder of the store: the value of --store, else $HARNESS_STORE, else .harness."""
    return Path(option or os.environ.get("HARNESS_STORE", ".harness"))


class Store:
    """A folder of content-addressed stages and of runs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def runs(self) -> Path:
        """The folder that holds one folder per run."""
        return self.root / "runs"

    def folder(self, stage: str, inputs: Mapping[str, Any]) -> Path:
        """Return the folder that belongs to these inputs, whether or not it exists."""
        return self.root / "stages" / stage / digest(inputs)

    def build(
        self, stage: str, inputs: Mapping[str, Any], make: Callable[[Path], None], resume: bool = False
    ) -> tuple[Path, bool]:
        """Return the stage's folder and whether it already existed; `make` fills it when it did not.

        `make` works in a temporary folder that is renamed to its key only when it is complete. With `resume` that
        folder still holds what a killed `make` left. A second process that needs the same stage waits for the first.
        """
        folder = self.folder(stage, inputs)
        if folder.exists():
            return folder, True
        with locked(folder):
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
        """Open the log of the completions of one model under one set of decoding options."""
        return Log(self._log("completions", inputs), _row, _completion)

    def likelihoods(self, inputs: Mapping[str, Any]) -> Log[Likelihood]:
        """Open the log of the likelihoods of given completions under one model."""
        return Log(self._log("likelihoods", inputs), dataclasses.asdict, _likelihood_adapter().validate_python)

    def _log(self, stage: str, inputs: Mapping[str, Any]) -> Path:
        folder = self.folder(stage, inputs)
        if not (folder / "inputs.json").exists():
            write_atomic(folder / "inputs.json", canonical(inputs))
        return folder / f"{stage}.jsonl"


def _row(completion: Completion) -> dict[str, Any]:
    optional = ("served", "cached_tokens", "reasoning")
    reported = {key: value for key in optional if (value := getattr(completion, key)) is not None}
    if completion.notes:
        reported["notes"] = list(completion.notes)
    return {
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "error": completion.error,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "seconds": completion.seconds,
        "wall_seconds": completion.wall_seconds,
        **reported,
    }


def _completion(row: dict[str, Any]) -> Completion:
    fixed = {"finish_reason": FinishReason(row["finish_reason"]), "notes": tuple(row.get("notes", ()))}
    return Completion(example_id="", **{**row, **fixed})


@cache
def _likelihood_adapter() -> TypeAdapter[Likelihood]:
    return TypeAdapter(Likelihood)
