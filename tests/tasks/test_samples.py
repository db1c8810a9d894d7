"""Several samples of each prompt, and the clusters that examples are in."""

from __future__ import annotations

import pytest

from harness.errors import ConfigError, DataError
from harness.tasks.samples import cluster_labels, drawn, sample_warnings
from harness.types import Completion, Example, FinishReason, Prompt

EXAMPLES = [Example(name, f"What is {name}?", "it", {"topic": name.upper()}) for name in "ab"]
PROMPTS = [Prompt(example.id, example.prompt) for example in EXAMPLES]


def test_one_sample_changes_nothing() -> None:
    assert drawn(EXAMPLES, PROMPTS, 1) == (tuple(EXAMPLES), tuple(PROMPTS))
    assert cluster_labels(EXAMPLES, None) is None


def test_each_example_stands_there_once_a_sample() -> None:
    examples, prompts = drawn(EXAMPLES, PROMPTS, 3)
    assert [example.id for example in examples] == ["a", "b", "a#2", "b#2", "a#3", "b#3"]
    assert [prompt.example_id for prompt in prompts] == [example.id for example in examples]
    assert [prompt.sample for prompt in prompts] == [0, 0, 1, 1, 2, 2]
    assert {(e.sample_of, e.prompt, e.reference, e.slices["topic"]) for e in examples} == {
        ("a", "What is a?", "it", "A"),
        ("b", "What is b?", "it", "B"),
    }


@pytest.mark.parametrize("taken", ["a#2", "a#3"])
def test_an_id_that_a_sample_would_have_is_refused(taken: str) -> None:
    rows = [*EXAMPLES, Example(taken, "another", "it")]
    prompts = [Prompt(example.id, example.prompt) for example in rows]
    with pytest.raises(DataError, match=rf"id '{taken}': expected no example with the id of a sample of 'a'"):
        drawn(rows, prompts, 3)
    assert len(drawn(rows, prompts, 1)[0]) == 3


def test_clusters_are_the_slice_that_is_asked_for_else_the_prompt() -> None:
    examples, _ = drawn(EXAMPLES, PROMPTS, 2)
    for key, labels in ((None, ["a", "b", "a", "b"]), ("topic", ["A", "B", "A", "B"])):
        clusters = cluster_labels(examples, key)
        assert clusters is not None
        assert clusters.tolist() == labels
    assert cluster_labels(examples[:2], None) is None, "the first sample of each prompt is one example of its own"
    with pytest.raises(ConfigError, match=r"stats\.cluster: Unknown slice key of every example 'topik'.*'topic'"):
        cluster_labels(examples, "topik")


@pytest.mark.parametrize(
    ("texts", "warned"),
    [
        (["x", "y", "x", "y"], True),
        (["x", "y", "x", "z"], False),
        (["x", "y", "x", None], True),
        (["x", "y", None, None], False),
    ],
)
def test_samples_that_are_all_one_text_are_reported(texts: list[str | None], warned: bool) -> None:
    examples, _ = drawn(EXAMPLES, PROMPTS, 2)
    completions = [
        Completion(e.id, text, FinishReason.ERROR if text is None else FinishReason.STOP)
        for e, text in zip(examples, texts, strict=True)
    ]
    assert bool(sample_warnings(examples, completions)) is warned
    assert sample_warnings(EXAMPLES, completions[:2]) == ()
