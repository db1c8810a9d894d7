"""Metrics of `evaluate`, by the path of a script: as in a hub repository, but offline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import ConfigError, ModelError
from harness.metrics.hf_evaluate import HubMetric
from tests.support.text_pairs import stats

SCRIPT = """
import datasets
import evaluate


class Agreement(evaluate.Metric):
    def _info(self):
        features = datasets.Features({"predictions": datasets.Value("string"), "references": datasets.Value("string")})
        return evaluate.MetricInfo(description="", citation="", inputs_description="", features=features)

    def _compute(self, predictions, references, per_example=False, weight=1.0):
        equal = [weight * (a == b) for a, b in zip(predictions, references)]
        longer = [len(a) > len(b) for a, b in zip(predictions, references)]
        return {"agreement": equal if per_example else sum(equal) / len(equal), "longer": sum(longer) / len(longer)}
"""
TEXTS, REFERENCES = ["a", "b", "ccc", ""], ["a", "x", "c", ""]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("datasets.config.HF_MODULES_CACHE", str(tmp_path / "modules"))
    path = tmp_path / "agreement" / "agreement.py"
    path.parent.mkdir()
    path.write_text(SCRIPT, "utf-8")
    return str(path)


@pytest.mark.parametrize("per_example", [False, True])
def test_values_of_single_examples(script: str, per_example: bool) -> None:
    metric = HubMetric(script, options={"per_example": per_example, "weight": 2.0})
    rows = stats(metric, TEXTS, REFERENCES)
    np.testing.assert_array_equal(rows, [[2, 1], [0, 1], [0, 1], [2, 1]])
    assert float(metric.aggregate(rows.sum(axis=0))) == 1.0


def test_another_result_and_the_folder(script: str) -> None:
    metric = HubMetric(str(Path(script).parent), key="longer", higher_is_better=False)
    np.testing.assert_array_equal(stats(metric, TEXTS, REFERENCES)[:, 0], [0, 0, 1, 0])
    assert metric.higher_is_better is False
    assert stats(metric, [], []).shape == (0, 2)


def test_signature(script: str) -> None:
    signature = HubMetric(script, key="longer", options={"weight": 2}).signature
    assert signature.startswith("evaluate:agreement|script:")
    assert signature.endswith("|key:longer|weight:2|aggregation:mean-of-examples|evaluate:0.4.6")


def test_unknown_result(script: str) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'longer'"):
        stats(HubMetric(script, key="long"), TEXTS, REFERENCES)


def test_unknown_option(script: str) -> None:
    with pytest.raises(ConfigError, match=r"metrics\.options"):
        stats(HubMetric(script, options={"wait": 2}), TEXTS, REFERENCES)


def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        stats(HubMetric(str(tmp_path / "none.py")), ["a"], ["a"])


def test_a_name_that_the_hub_does_not_give() -> None:
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE"):
        stats(HubMetric("rouge"), ["a"], ["a"])
