"""Which fine-tuned language model to ship, how sure that is, and whether it got worse.

`run`, `score`, `compare` and `load_run` are the commands as functions (`harness.api`); the types and protocols are
those that a metric, a model or a dataset of your own works with. All are imported on use, so that the command line
starts at once.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.api import Evaluation, MetricDifference, Predictions, Run, RunComparison, Scores
    from harness.api import compare as compare
    from harness.api import load_run as load_run
    from harness.api import run as run
    from harness.api import score as score
    from harness.errors import HarnessError
    from harness.metrics.base import BaseMetric
    from harness.protocols import Dataset, FineTuner, Metric, Model
    from harness.types import (
        Completion,
        Corpus,
        Example,
        FinishReason,
        Message,
        ModelIdentity,
        Prediction,
        Prompt,
        RunResult,
        SamplingParams,
        Score,
    )

_EXPORTS = {
    "harness.api": "run score compare load_run Run RunComparison MetricDifference Evaluation Scores Predictions",
    "harness.errors": "HarnessError",
    "harness.metrics.base": "BaseMetric",
    "harness.protocols": "Dataset FineTuner Metric Model",
    "harness.types": "Completion Corpus Example FinishReason Message ModelIdentity Prediction Prompt RunResult "
    "SamplingParams Score",
}
_MODULES = {name: module for module, names in _EXPORTS.items() for name in names.split()}

__all__ = [
    "BaseMetric",
    "Completion",
    "Corpus",
    "Dataset",
    "Evaluation",
    "Example",
    "FineTuner",
    "FinishReason",
    "HarnessError",
    "Message",
    "Metric",
    "MetricDifference",
    "Model",
    "ModelIdentity",
    "Prediction",
    "Predictions",
    "Prompt",
    "Run",
    "RunComparison",
    "RunResult",
    "SamplingParams",
    "Score",
    "Scores",
    "__version__",
    "compare",
    "load_run",
    "run",
    "score",
]


def __getattr__(name: str) -> Any:
    """Import a public name on its first use; importlib.metadata alone would be half of the start-up time."""
    if name == "__version__":
        from importlib.metadata import version

        return version("finetune-harness")
    if name not in _MODULES:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """List the public names, which are imported on use."""
    return __all__
