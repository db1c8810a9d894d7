"""The pytest plugin: the marker, fixture and options of the gate, and the summary of all gates of a session.

    @pytest.mark.regression(metric="rougeL", margin=0.02)
    def test_not_worse(harness_gate):
        harness_gate("task=jsonl", "task.path=data.jsonl", "model=local", "model.path=my/model")

pytest imports this file in every session of every project that has the harness installed, so nothing heavy is
imported before a test uses the fixture. The results of gates travel on the test report, which pytest-xdist transfers
from its workers.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.paths import BASELINES

if TYPE_CHECKING:
    from harness.gate.testing import Gate

MARKERS = (
    "slow: takes more than ten seconds",
    "gpu: needs a CUDA device",
    "network: needs the network",
    "openai: needs an OpenAI-compatible account",
    "regression(*overrides, task, model, metric, margin, slice, baseline, underpowered, failures, sequential): "
    "compares a run with its accepted baseline, through the fixture harness_gate; overrides are those of "
    "`python -m harness run`, task and model are choices of its groups, metric and slice are names or lists of them, "
    "margin is a number or {metric: number}; each mark of a test, its class and its module is a gate of its own",
)
GATES = pytest.StashKey[list[dict[str, str]]]()
"""The results of one test's gates: `line`, and `markdown`."""


class NotGatedWarning(pytest.PytestWarning):
    """A test is marked as a gate and passed without one."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the gate."""
    group = parser.getgroup("harness", "regression gate of finetune-harness")
    group.addoption(
        "--harness-baseline", metavar="DIR", help=f"folder of baselines (default: {BASELINES} in the rootdir)"
    )
    group.addoption(
        "--harness-config-dir", metavar="DIR", help="folder with your own config groups, such as DIR/task/mine.yaml"
    )
    group.addoption(
        "--harness-update-baseline", action="store_true", help="accept the runs of the tests as baselines; gate nothing"
    )
    group.addoption(
        "--harness-replace-baseline",
        action="store_true",
        help="as --harness-update-baseline, and replace the baselines of other data too",
    )
    group.addoption(
        "--harness-underpowered",
        choices=("fail", "warn"),
        default="fail",
        help="the result if the examples cannot decide, unless the marker sets it (default: fail)",
    )
    budget = "of each gate, which then reads examples in chunks and stops as soon as the decision is certain"
    group.addoption("--harness-max-examples", type=int, metavar="N", help=f"maximum number of examples {budget}")
    group.addoption("--harness-max-seconds", type=float, metavar="S", help=f"maximum number of seconds {budget}")
    group.addoption("--harness-max-cost", type=float, metavar="USD", help=f"maximum cost {budget}")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers; in the process that reports, collect the results of the gates."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    for option in ("update", "replace"):
        if config.getoption(f"harness_{option}_baseline") and getattr(config.option, "numprocesses", None):
            raise pytest.UsageError(f"--harness-{option}-baseline cannot run in parallel: remove -n.")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Summary(), "harness-summary")


@pytest.fixture
def harness_gate(request: pytest.FixtureRequest) -> Gate:
    """Gate a run against its baseline: call it with Hydra overrides, or with run=ID for a stored run.

    It returns the result if the candidate passes, and fails the test otherwise.
    """
    from harness.gate.testing import Gate

    results = request.node.stash.setdefault(GATES, [])
    return Gate(request.node, results)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Attach the results of a test's gates to its report."""
    report = yield
    if report.when == "call" and item.stash.get(GATES, None):
        report.harness_gates = item.stash[GATES]
    elif report.when == "call" and report.passed and item.get_closest_marker("regression"):
        item.warn(NotGatedWarning(f"{item.nodeid}: is marked as regression, but never calls harness_gate"))
    return report


class _Summary:
    """Shows the results of all gates at the end: in the terminal, and in GitHub's step summary."""

    def __init__(self) -> None:
        self._results: list[tuple[str, dict[str, str]]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the results of one test's gates."""
        self._results += [(report.nodeid, gate) for gate in getattr(report, "harness_gates", [])]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Write one line per gate."""
        if self._results:
            terminalreporter.section("regression gates")
            for nodeid, gate in self._results:
                terminalreporter.write_line(f"{nodeid}: {gate['line']}")

    def pytest_sessionfinish(self) -> None:
        """Append to the file that GitHub Actions shows beside the job."""
        path = os.environ.get("GITHUB_STEP_SUMMARY")
        if path and self._results:
            with Path(path).open("a", encoding="utf-8") as stream:
                stream.write("".join(f"{gate['markdown']}\n" for _, gate in self._results))
