"""Work that runs out of memory, with the errors that libraries raise."""

from __future__ import annotations

from typing import Any


def allocate_on_cpu() -> Any:
    import torch

    return torch.empty(1 << 60)


def allocate_in_python() -> None:
    bytearray(1 << 62)


def fail_on_gpu() -> None:
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
