"""Statistics over several processes: the same numbers in the same order as in one."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import ConfigError
from harness.metrics.bleu import Bleu
from harness.metrics.exact import ExactMatch
from harness.metrics.rouge import Rouge
from harness.metrics.ter import Ter
from harness.protocols import Metric
from harness.stages import parallel
from harness.types import Completion, Example, FinishReason

METRICS: tuple[Metric, ...] = (Rouge("rougeL"), Bleu(), Ter())


def rows(n: int) -> tuple[list[Completion], list[Example]]:
    examples = [Example(str(i), f"title {i}", f"reference number {i} of {n} is long") for i in range(n)]
    done = [Completion(e.id, f"number {i} of {i % 7} is reference", FinishReason.STOP) for i, e in enumerate(examples)]
    return done, examples


def test_parts_join_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "ROWS", 20)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)
    completions, examples = rows(51)
    arrays = parallel.stats(METRICS, completions, examples)
    for metric, stats in zip(METRICS, arrays, strict=True):
        np.testing.assert_array_equal(stats, metric.stats(completions, examples))


def test_few_rows_stay_in_this_process() -> None:
    completions, examples = rows(3)
    parallel._process.cache_clear()
    arrays = parallel.stats(METRICS, completions, examples)
    assert [len(stats) for stats in arrays] == [3, 3, 3]
    assert parallel._process.cache_info().currsize == 0


def test_an_error_in_a_part_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "ROWS", 20)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)
    completions, examples = rows(51)
    completions[-1] = Completion("50", None, FinishReason.ERROR, error="gone")
    with pytest.raises(ValueError, match="has no text"):
        parallel.stats(METRICS, completions, examples)


@pytest.mark.parametrize("shape", [(3,), (2, 2), (3, 2, 1)])
def test_statistics_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    metric = ExactMatch()
    metric.stats = lambda completions, examples: np.ones(shape)  # type: ignore[method-assign]
    examples = [Example(str(i), "", "x") for i in range(3)]
    completions = [Completion(str(i), "x", FinishReason.STOP) for i in range(3)]
    with pytest.raises(ConfigError, match=r"expected numbers of shape \(n, k\), one row for each of the 3"):
        parallel.checked_stats(metric, completions, examples)
