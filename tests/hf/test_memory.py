"""Memory that runs out: the errors of libraries as they are, and work in halves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from harness.errors import ModelError
from harness.hf.memory import OutOfMemory, halving, limited_memory
from tests.support.memory import allocate_in_python, allocate_on_cpu, fail_on_gpu


@pytest.mark.parametrize("allocate", [allocate_on_cpu, allocate_in_python, fail_on_gpu])
def test_all_ways_to_run_out_of_memory_are_one_error(allocate: Callable[[], None]) -> None:
    with pytest.raises(OutOfMemory), limited_memory():
        allocate()


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"), limited_memory():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def test_work_is_halved_until_it_fits() -> None:
    sizes: list[int] = []

    def doubled(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        if len(items) > 3:
            allocate_on_cpu()
        return [2 * item for item in items]

    assert halving(doubled, list(range(10)), "one") == [2 * item for item in range(10)]
    assert sizes == [10, 5, 2, 3, 5, 2, 3]


def test_an_item_that_does_not_fit_alone_is_an_error() -> None:
    with pytest.raises(ModelError, match="Out of memory with a single example"):
        halving(lambda _: allocate_on_cpu(), [1, 2], "a single example")
