"""The gate of this project: SmolLM2 on the wiki task is the baseline, and deliberately damaged models must fail.

On another machine a few completions differ by rounding. The interval over all examples takes care of that; the margin
is the one that a user would choose.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.gate.baseline import Baseline, load
from harness.gate.budget import GateBudget
from harness.gate.candidate import GateRequest, gate_config
from harness.gate.report import one_line
from harness.gate.testing import Gate
from harness.stats.noninferiority import GateOutcome

BASELINE = Path(__file__).parents[2] / "benchmarks" / "wiki_first_sentence"
REQUEST = GateRequest(("rougeL",), 0.02, budget=GateBudget(examples=16))
"""A quarter of the examples: the deliberate damage is large."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("smollm2"),
    pytest.mark.filterwarnings("ignore:.*never calls harness_gate"),  # damaged models are gated without the fixture
]


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return load(BASELINE)


@pytest.mark.regression(task="wiki_first_sentence", model="smollm2", metric="rougeL", margin=0.03)
def test_smollm2_is_not_worse_than_accepted(harness_gate: Gate) -> None:
    harness_gate()


def gated(baseline: Baseline, *overrides: str) -> GateOutcome:
    result = gate_config(["task=wiki_first_sentence", "model=smollm2", *overrides], baseline, REQUEST)
    print(one_line(result))
    return result.outcome


@pytest.mark.regression
def test_noise_in_the_weights_is_caught(baseline: Baseline, noisy: Path) -> None:
    assert gated(baseline, f"model.path={noisy}") is GateOutcome.FAIL


@pytest.mark.regression
def test_a_wrong_template_is_caught(baseline: Baseline, without_template: Path) -> None:
    assert gated(baseline, f"model.path={without_template}") is GateOutcome.FAIL


@pytest.mark.regression
@pytest.mark.parametrize(
    "overrides", [["generation.max_tokens=6"], ["generation.temperature=1.5"]], ids=["truncated", "temperature"]
)
def test_wrong_decoding_is_caught(baseline: Baseline, overrides: Sequence[str]) -> None:
    assert gated(baseline, *overrides) is GateOutcome.FAIL
