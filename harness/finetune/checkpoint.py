"""The checkpoint that a killed fine-tune resumes from: one file, replaced atomically.

Weights and optimiser state are tensors of a safetensors file; everything else is JSON in its header. Nothing is
pickled, and since both are in one file they always belong to the same step. The data order is not saved: it follows
from the seed and the step.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import FineTuneError
from harness.types import CurvePoint

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter
    from torch.optim import Optimizer

CHECKPOINT, BEST = "checkpoint.safetensors", "best.safetensors"
SEPARATOR = "::"
"""Separates a parameter's name from that of its optimiser state; no parameter's name contains it."""


@dataclass
class TrainingState:
    """The progress of a fine-tune; `identity` is the digest of its settings, base model and encoded examples."""

    identity: str
    step: int = 0
    examples: int = 0
    tokens: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    """Training loss since the last evaluation, over `loss_tokens` completion tokens."""
    loss_tokens: int = 0
    best_step: int = 0
    best_loss: float | None = None
    stale: int = 0
    """Evaluations since the best one."""
    curve: list[CurvePoint] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    """Nats of each validation example at the last evaluation."""
    best_losses: list[float] = field(default_factory=list)
    """The same at the best evaluation."""


def save(folder: Path, state: TrainingState, weights: Mapping[str, Parameter], optimizer: Optimizer) -> None:
    """Replace the checkpoint in `folder`."""
    tensors: dict[str, Tensor] = dict(weights)
    for name, weight in weights.items():
        tensors |= {f"{name}{SEPARATOR}{key}": value for key, value in optimizer.state[weight].items()}
    _write(folder / CHECKPOINT, tensors, {"state": json.dumps(dataclasses.asdict(state))})


def resume(folder: Path, identity: str, weights: Mapping[str, Parameter], optimizer: Optimizer) -> TrainingState:
    """Restore weights and optimiser from the checkpoint in `folder` and return its state, or a new one without any.

    FineTuneError when the checkpoint is damaged or belongs to another fine-tune.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return TrainingState(identity)
    metadata, tensors = _read(path)
    try:
        saved: dict[str, Any] = json.loads(metadata["state"])
    except (ValueError, KeyError) as error:
        raise FineTuneError(f"{path}: cannot be read ({error}). Delete it to start again.") from error
    if saved["identity"] != identity:
        raise FineTuneError(f"{path} belongs to a fine-tune with other data or settings. Delete it to start again.")
    _restore(weights, tensors)
    for key, value in tensors.items():
        name, separator, slot = key.partition(SEPARATOR)
        if separator:
            optimizer.state[weights[name]][slot] = value.to(weights[name].device)
    return TrainingState(**{**saved, "curve": [CurvePoint(**point) for point in saved["curve"]]})


def save_best(folder: Path, state: TrainingState, weights: Mapping[str, Parameter]) -> None:
    """Replace the best weights in `folder` by those of the state's best step."""
    _write(folder / BEST, weights, _origin(state))


def load_best(folder: Path, state: TrainingState, weights: Mapping[str, Parameter]) -> None:
    """Restore the weights of the state's best evaluation, where there was one.

    FineTuneError when the file is missing or damaged, or holds other weights.
    """
    if state.best_loss is None:
        return
    path = folder / BEST
    metadata, tensors = _read(path)
    if metadata != _origin(state) or tensors.keys() != weights.keys():
        raise FineTuneError(
            f"{path}: expected the weights of step {state.best_step} of this fine-tune, got those of step "
            f"{metadata.get('step', 'unknown')} of {metadata.get('identity', 'another')}. "
            f"Delete {CHECKPOINT} there to start again."
        )
    _restore(weights, tensors)


def clean(folder: Path) -> None:
    """Delete the files that only an unfinished fine-tune needs."""
    for name in (CHECKPOINT, BEST):
        (folder / name).unlink(missing_ok=True)


def _origin(state: TrainingState) -> dict[str, str]:
    """Return what the file of the best weights says of them."""
    return {"identity": state.identity, "step": str(state.best_step)}


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the header and the tensors of a file; FineTuneError when it is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        start = "it" if path.name == CHECKPOINT else f"{CHECKPOINT} there"
        raise FineTuneError(f"{path}: cannot be read ({error}). Delete {start} to start again.") from error


def _restore(weights: Mapping[str, Parameter], tensors: Mapping[str, Tensor]) -> None:
    for name, weight in weights.items():
        weight.data.copy_(tensors[name])


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    from safetensors.torch import save_file

    partial = path.with_suffix(".partial")
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, partial, dict(metadata))
    os.replace(partial, path)
