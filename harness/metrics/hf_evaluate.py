"""Any metric of Hugging Face's `evaluate`, by name or by the path of its script: `evaluate:NAME_OR_PATH`.

How such a metric aggregates is unknown, so its statistics are its values on single examples, and its score here is
their mean. For a corpus metric such as BLEU that is not what `evaluate` returns for the whole corpus: the signature
says `aggregation:mean-of-examples`, and the metrics of this package aggregate properly.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import ConfigError, ModelError, require, unknown
from harness.metrics.base import BaseMetric, mean_stats
from harness.metrics.inputs import Texts, pairs
from harness.progress import track
from harness.types import Completion, Example, FloatArray


class HubMetric(BaseMetric):
    """The mean over examples of an `evaluate` metric.

    `path` is a name on the hub, or a script or its folder. `key` selects one of several results, `options` are passed
    to the metric's `compute`, and `higher_is_better` comes from the user, as `evaluate` does not know it.
    """

    def __init__(
        self,
        path: str,
        key: str | None = None,
        options: Mapping[str, Any] | None = None,
        higher_is_better: bool | None = None,
    ) -> None:
        self.name = f"evaluate:{path}"
        self.higher_is_better = higher_is_better
        self._path = path
        self._key = key
        self._options = dict(options or {})

    @property
    def signature(self) -> str:
        """Name, a digest of the script, result, options, how examples are aggregated, and the version of evaluate."""
        script = hashlib.sha256(Path(inspect.getfile(type(self._metric))).read_bytes()).hexdigest()[:16]
        options = "".join(f"|{key}:{value}" for key, value in sorted(self._options.items()))
        result = f"|key:{self._key}" if self._key else ""
        library = f"aggregation:mean-of-examples|evaluate:{version('evaluate')}"
        return f"evaluate:{self._metric.name}|script:{script}{result}{options}|{library}"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return the metric's value for each example, and a weight of 1, shape (n, 2); nan does not count."""
        hypotheses, references = pairs(completions, examples)
        if not hypotheses:
            return mean_stats([])
        batched = self._compute(hypotheses, references)
        if np.ndim(batched) == 1 and len(batched) == len(hypotheses):
            return mean_stats(np.asarray(batched, dtype=np.float64))
        values = []
        with track(self.name, total=len(hypotheses), unit="examples") as bar:
            for hypothesis, reference in zip(hypotheses, references, strict=True):
                value = self._compute((hypothesis,), (reference,))
                values.append(float(value[0] if np.ndim(value) else value))
                bar.advance()
        return mean_stats(values)

    def _compute(self, hypotheses: Texts, references: Texts) -> Any:
        try:
            results = self._metric.compute(predictions=list(hypotheses), references=list(references), **self._options)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"{self.name} does not take texts and options {self._options}: {error} "
                "See its card for what it takes; set metrics.options, or write a metric of your own."
            ) from error
        key = self._key or (next(iter(results)) if len(results) == 1 else self._metric.name)
        if key not in results:
            raise ConfigError(f"{self.name}: {unknown('result', key, results)} Set its option `key` to one of them.")
        return results[key]

    @cached_property
    def _metric(self) -> Any:
        if self._path.endswith(".py") and not Path(self._path).exists():
            raise ConfigError(f"{self.name}: no such file. Give the path of a metric's script.")
        require("evaluate", "evaluate", instead="metrics.names without it")
        with track("import evaluate"):
            import evaluate
        try:
            return evaluate.load(self._path, keep_in_memory=True)
        except ImportError as error:
            raise ModelError(f"{self.name} cannot be imported: {error}") from error
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{self.name} is not a local script and could not be loaded from the hub ({type(error).__name__}). "
                "Check the name and the network, unset HF_HUB_OFFLINE, or give the path of the metric's .py file."
            ) from error
