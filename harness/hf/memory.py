"""Memory that runs out, on a GPU or on a CPU: one test for all the ways in which libraries report it.

Work in batches then goes on with half of the batch, and a single example that does not fit is an error of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from harness.errors import ModelError

Item = TypeVar("Item")
Value = TypeVar("Value")

_MESSAGES = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|not enough memory|bad_alloc|_ALLOC_FAILED",
    re.IGNORECASE,
)
"""What torch says of a CPU in a RuntimeError of no class of its own, and what cuBLAS and cuDNN say."""


class OutOfMemory(Exception):
    """Raised inside `limited_memory` for whatever a library raises when memory runs out."""


@contextmanager
def limited_memory() -> Iterator[None]:
    """Turn errors about memory that ran out into `OutOfMemory`.

    The memory of the failed work is freed when the handler of that error has been left.
    """
    try:
        yield
    except MemoryError as error:
        raise OutOfMemory(str(error)) from error
    except RuntimeError as error:  # torch.OutOfMemoryError among them
        if not (type(error).__name__ == "OutOfMemoryError" or _MESSAGES.search(str(error))):
            raise
        raise OutOfMemory(str(error)) from error


def release() -> None:
    """Give cached memory of a GPU back, so that smaller batches find room."""
    import torch

    torch.cuda.empty_cache()


def halving(compute: Callable[[Sequence[Item]], list[Value]], items: Sequence[Item], largest: str) -> list[Value]:
    """Return the values of all items, computed in halves where they do not fit memory together.

    ModelError says that one item, which `largest` describes, does not fit alone.
    """
    try:
        with limited_memory():
            return compute(items)
    except OutOfMemory as error:
        if len(items) == 1:
            raise ModelError(f"Out of memory with {largest}: use a smaller dtype, or a shorter text.") from error
    release()
    half = len(items) // 2
    return halving(compute, items[:half], largest) + halving(compute, items[half:], largest)
