"""Digests are the same on every machine, and different for different things."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.store.digest import digest, digest_lines
from harness.types import ModelIdentity, SamplingParams, StopAt


def test_the_digest_is_the_same_everywhere() -> None:
    assert digest({"b": [1, 2.5, None, "é"], "a": SamplingParams()}) == "a29cc262e5424e62"


@pytest.mark.parametrize(
    "other",
    [
        SamplingParams(max_tokens=65),
        SamplingParams(stop=("x",)),
        SamplingParams(stop_at=StopAt.line),
        SamplingParams(temperature=0.1),
    ],
)
def test_every_option_decides(other: SamplingParams) -> None:
    assert digest(other) != digest(SamplingParams())


def test_the_order_of_keys_decides_nothing() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_lines_are_framed() -> None:
    assert digest_lines(["ab", "c"]) != digest_lines(["a", "bc"])


def test_what_has_no_canonical_form_is_refused() -> None:
    with pytest.raises(TypeError, match="set has no canonical form"):
        digest({1, 2})


def test_where_local_weights_lie_decides_nothing() -> None:
    here, there = (ModelIdentity("local", path, revision, weights="w") for path, revision in (("/a", ""), ("b/c", "1")))
    assert digest(here) == digest(there)
    assert digest(here) != digest(replace(here, weights="x"))
    assert digest(ModelIdentity("openai", "a", weights="w")) != digest(ModelIdentity("openai", "b", weights="w"))
    assert digest(ModelIdentity("local", "a")) != digest(ModelIdentity("local", "b"))
