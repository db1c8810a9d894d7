"""Collections are as often as before once the work is done, even where it fails."""

from __future__ import annotations

import gc

import pytest

from harness.progress import COLLECT_AFTER, few_collections


@few_collections()
def fail() -> None:
    raise RuntimeError(gc.get_threshold()[0])


def test_the_threshold_is_put_back() -> None:
    before = gc.get_threshold()
    with pytest.raises(RuntimeError, match=str(COLLECT_AFTER)):
        fail()
    assert gc.get_threshold() == before
