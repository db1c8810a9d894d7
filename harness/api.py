"""The harness from Python: `run`, `score`, `compare` and `load_run`, with tables as pandas where that is installed.

    import harness

    scores = harness.score(["Paris."], ["Paris"], metrics=["exact_match_normalized", "chrf"]).scores
    first = harness.run(["task=jsonl", "task.path=data.jsonl", "model=replay", "model.path=a.jsonl"])
    second = harness.load_run("b-chat")
    print(harness.compare(first, second).to_pandas())

Each does what the command of its name does and writes nothing but the store: no report, and nothing to W&B.
"""

from __future__ import annotations

import shlex
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from harness.errors import ConfigError, DataError, MissingExtra
from harness.types import Completion, Example, FinishReason, MetricResult, Prediction, RunResult, Score

if TYPE_CHECKING:
    import pandas

    from harness.store.runs import StoredRun

DEFAULT_METRICS = ("exact_match", "token_f1", "rougeL", "bleu", "chrf")
"""What `score` computes where nothing is asked for: fast, without weights."""


class Scores(Mapping[str, Score]):
    """The scores of one run by metric: `scores["rougeL"].value`, with `low` and `high`."""

    def __init__(self, results: Sequence[MetricResult]) -> None:
        self.results = {result.name: result for result in results}

    def __getitem__(self, metric: str) -> Score:
        return self.results[metric].score

    def __iter__(self) -> Iterator[str]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def to_pandas(self) -> pandas.DataFrame:
        """Return one row per metric: score, interval, examples, signature."""
        return _frame(
            {
                "metric": name,
                "value": result.score.value,
                "low": result.score.low,
                "high": result.score.high,
                "n": result.score.n,
                "errors": result.score.errors,
                "higher_is_better": result.higher_is_better,
                "unreadable": result.unreadable,
                "signature": result.signature,
            }
            for name, result in self.results.items()
        )


class Predictions(Sequence[Prediction]):
    """The examples of one run with their completions and their scores, in order."""

    def __init__(self, predictions: Sequence[Prediction]) -> None:
        self._predictions = tuple(predictions)

    @overload
    def __getitem__(self, index: int) -> Prediction: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Prediction, ...]: ...

    def __getitem__(self, index: int | slice) -> Prediction | tuple[Prediction, ...]:
        return self._predictions[index]

    def __len__(self) -> int:
        return len(self._predictions)

    def to_pandas(self) -> pandas.DataFrame:
        """Return one row per example: prompt, reference, completion, error, its slices and its score on each metric."""
        return _frame(
            {
                "id": row.example.id,
                "prompt": row.example.prompt,
                "reference": row.example.reference,
                "completion": row.completion.text,
                "finish_reason": row.completion.finish_reason.value,
                "error": row.completion.error,
                **{f"slice.{key}": value for key, value in row.example.slices.items()},
                **row.scores,
            }
            for row in self._predictions
        )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `score` returns: the scores of given predictions, and each example's own."""

    scores: Scores
    predictions: Predictions
    warnings: tuple[str, ...] = ()
    """What a reader of the scores has to know, such as references that a metric cannot read."""


class Run:
    """A stored run: its record, its scores and its predictions, which are read when they are asked for."""

    def __init__(self, stored: StoredRun) -> None:
        self.stored = stored
        self.scores = Scores(stored.result.metrics)

    @property
    def id(self) -> str:
        """The run id, which names its folder in the store."""
        return self.stored.result.run_id

    @property
    def name(self) -> str:
        """What the run is called on the leaderboard."""
        return self.stored.result.name

    @property
    def folder(self) -> Path:
        """Where the run is stored."""
        return self.stored.folder

    @property
    def result(self) -> RunResult:
        """The content of its results.json."""
        return self.stored.result

    @cached_property
    def predictions(self) -> Predictions:
        """Every example with its completion and its scores; StoreError where the file is damaged."""
        return Predictions(self.stored.predictions())

    def __repr__(self) -> str:
        return f"Run({self.id!r}, task={self.result.task!r})"


@dataclass(frozen=True, slots=True)
class MetricDifference:
    """The first run's score minus the second's on one metric, over the examples that both answered."""

    metric: str
    first: str
    second: str
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    p_adjusted: float | None
    """Holm's, over all pairs of the runs."""
    standard_error: float | None
    n: int
    test: str


class RunComparison(Sequence[MetricDifference]):
    """What `compare` returns: paired differences of every pair of runs on every metric that they share."""

    def __init__(self, differences: Sequence[MetricDifference]) -> None:
        self._differences = tuple(differences)

    @overload
    def __getitem__(self, index: int) -> MetricDifference: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[MetricDifference, ...]: ...

    def __getitem__(self, index: int | slice) -> MetricDifference | tuple[MetricDifference, ...]:
        return self._differences[index]

    def __len__(self) -> int:
        return len(self._differences)

    def to_pandas(self) -> pandas.DataFrame:
        """Return one row per metric and pair of runs."""
        return _frame(asdict(row) for row in self._differences)


def run(overrides: Sequence[str] = (), *, config_dir: str | None = None) -> Run:
    """Carry one config through to a stored run, as `python -m harness run` does; what is stored is not done again.

    `overrides` are Hydra's, such as "model.path=my/model"; `config_dir` is a folder with config groups of your own.
    Raises a HarnessError, whose message says what to change.
    """
    from harness import pipeline
    from harness.config import compose

    words = [*compose.search_path(config_dir), *overrides]
    config = compose.run_config(words)
    for name in ("dry_run", "show_prompts"):
        if getattr(config, name):
            raise ConfigError(f"{name}: a run has no scores then. Leave {name} out.")
    return Run(pipeline.run(config, shlex.join(["python", "-m", "harness", "run", *words])))


def load_run(selector: str | Path, *, store: str | Path | None = None) -> Run:
    """Return a stored run by its id, the start of it, its name, or its folder; StoreError where there is none."""
    from harness.store.runs import find_run
    from harness.store.stages import store_root

    return Run(find_run(store_root(None if store is None else str(store)) / "runs", str(selector)))


def score(
    predictions: Sequence[str | None],
    references: Sequence[str],
    *,
    metrics: Sequence[str] = DEFAULT_METRICS,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    prompts: Sequence[str] | None = None,
    labels: Sequence[str] = (),
) -> Evaluation:
    """Score predictions against references of the same length, with intervals; None is a prediction that failed.

    `metrics` and `options` are those of the config, your own "module:Class" included. Metrics that read
    log-probabilities need a model and are refused. What a reader of the scores has to know is a Python warning, and in
    the result. Raises a ConfigError or a DataError.
    """
    from harness import registry
    from harness.config import MetricsConfig, StatsConfig
    from harness.protocols import LikelihoodMetric
    from harness.stages.score import score as score_completions
    from harness.store.stages import Store

    examples = _examples(predictions, references, prompts)
    config = MetricsConfig(list(metrics), {name: dict(values) for name, values in (options or {}).items()})
    built = registry.metrics(config, labels)
    if readers := [metric.name for metric in built if isinstance(metric, LikelihoodMetric)]:
        raise ConfigError(f"metrics: {', '.join(readers)} need log-probabilities of a model. Use run with model=local.")
    completions = [
        Completion(example.id, text, FinishReason.UNKNOWN)
        if text is not None
        else Completion(example.id, None, FinishReason.ERROR, error="no prediction")
        for example, text in zip(examples, predictions, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        scored = score_completions(built, examples, completions, StatsConfig(), Store(Path(folder)))
    for warning in scored.warnings:
        warnings.warn(warning, stacklevel=2)
    return Evaluation(Scores(scored.metrics), Predictions(scored.predictions), scored.warnings)


def compare(*runs: Run, metrics: Sequence[str] | None = None) -> RunComparison:
    """Compare stored runs on the examples that all of them answered, by paired tests, as `python -m harness compare`.

    `metrics` defaults to those that all runs were scored with under one signature. Raises a ConfigError for fewer
    than two runs and a StoreError for runs that share no examples.
    """
    from harness import registry
    from harness.analysis.comparisons import Aligned, shared_metrics
    from harness.analysis.leaderboard import stats_config

    if len(runs) < 2:
        raise ConfigError(f"compare: expected two runs or more, got {len(runs)}.")
    stored = [run.stored for run in runs]
    aligned = Aligned(stored, stats_config(stored[0].result))
    names = list(metrics) if metrics is not None else shared_metrics(stored)
    compared = aligned.compare_metrics([registry.stored_metric(stored[0], name) for name in names])
    return RunComparison(
        [
            MetricDifference(
                metric=name,
                first=runs[i].id,
                second=runs[j].id,
                difference=pair.comparison.difference,
                low=pair.comparison.low,
                high=pair.comparison.high,
                p_value=pair.comparison.p,
                p_adjusted=pair.p_adjusted,
                standard_error=pair.comparison.standard_error,
                n=pair.comparison.sample.n,
                test=pair.comparison.test,
            )
            for name, comparison in zip(names, compared, strict=True)
            for i, j in combinations(range(len(runs)), 2)
            for pair in [comparison.between(i, j)]
        ]
    )


def _examples(
    predictions: Sequence[str | None], references: Sequence[str], prompts: Sequence[str] | None
) -> list[Example]:
    if not references:
        raise DataError("references: expected one or more, got none.")
    for name, values in (("predictions", predictions), ("prompts", prompts)):
        if values is not None and len(values) != len(references):
            raise DataError(f"{name}: expected one per reference, {len(references)}, got {len(values)}.")
    asked = prompts if prompts is not None else [""] * len(references)
    rows = zip(asked, references, strict=True)
    return [Example(str(i), prompt, reference) for i, (prompt, reference) in enumerate(rows)]


def _frame(rows: Iterator[dict[str, Any]]) -> pandas.DataFrame:
    try:
        import pandas
    except ImportError as error:
        raise MissingExtra("pandas", "pip install 'finetune-harness[pandas]'") from error
    return pandas.DataFrame(list(rows))
