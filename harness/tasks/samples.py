"""Several samples of each prompt, and the clusters that examples are in.

With `generation.n` above 1 each example stands n times among the scored ones, once for each text that is drawn for it.
The samples of one prompt are not independent, so whatever resamples examples resamples prompts with all their samples.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError, DataError, unknown
from harness.types import Completion, Example, Prompt
from harness.wording import counted


def sample_id(example_id: str, sample: int) -> str:
    """Return the id of the n-th sample of an example, counted from 0; the first one has the example's own."""
    return f"{example_id}#{sample + 1}" if sample else example_id


def drawn(
    examples: Sequence[Example], prompts: Sequence[Prompt], n: int
) -> tuple[tuple[Example, ...], tuple[Prompt, ...]]:
    """Return the aligned examples and prompts n times: all first samples, then all second ones, and so on.

    So the start of a run, which is all that a judge or a spent budget may see, has as many prompts as can be. DataError
    where an example already has the id of another one's sample.
    """
    if n == 1:
        return tuple(examples), tuple(prompts)
    ids = {example.id for example in examples}
    for example in examples:
        if taken := [name for k in range(1, n) if (name := sample_id(example.id, k)) in ids]:
            raise DataError(
                f"id {taken[0]!r}: expected no example with the id of a sample of {example.id!r}. Give it another id, "
                "or leave generation.n out."
            )
    samples = [
        (replace(example, id=name, sample_of=example.id), replace(prompt, example_id=name, sample=k))
        for k in range(n)
        for example, prompt in zip(examples, prompts, strict=True)
        for name in [sample_id(example.id, k)]
    ]
    return tuple(example for example, _ in samples), tuple(prompt for _, prompt in samples)


def cluster_labels(examples: Sequence[Example], key: str | None) -> NDArray[np.str_] | None:
    """Return the cluster of each example: its value of the slice `key`, else its prompt; None for independent examples.

    The samples of one prompt have the same slices, so they are in one cluster either way. ConfigError where an example
    lacks the key.
    """
    if key is not None:
        keys = {k for e in examples for k in e.slices}
        if any(key not in e.slices for e in examples):
            raise ConfigError(f"stats.cluster: {unknown('slice key of every example', key, keys)}")
        return np.array([e.slices[key] for e in examples])
    prompts = [e.sample_of or e.id for e in examples]
    several = any(e.sample_of for e in examples) and len(set(prompts)) < len(prompts)
    return np.array(prompts) if several else None


def sample_warnings(examples: Sequence[Example], completions: Sequence[Completion]) -> tuple[str, ...]:
    """Return a warning where prompts were sampled several times, and the samples of each are one and the same text."""
    texts: dict[str, list[str]] = defaultdict(list)
    for example, completion in zip(examples, completions, strict=True):
        if example.sample_of and completion.text is not None:
            texts[example.sample_of].append(completion.text)
    several = [samples for samples in texts.values() if len(samples) > 1]
    if not several or any(len(set(samples)) > 1 for samples in several):
        return ()
    return (
        f"generation.n: for all of {counted(len(several), 'prompt')}, the samples are one and the same text, so that "
        "more of them add nothing: the model does not draw each by itself, or generation.temperature is too low",
    )
