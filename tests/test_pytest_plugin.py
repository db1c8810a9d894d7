"""The plugin in a project of a user: five lines, and every result that a gate can have."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness import pipeline
from harness.config import compose
from tests.support.fakes import config

pytest_plugins = ["pytester"]

N = 60
TEST = """
import pytest

@pytest.mark.regression(metric="rougeL", margin=0.05)
def test_not_worse(harness_gate):
    harness_gate("task=jsonl", "task.path=data.jsonl", "task.name=things", "task.train_path=train.jsonl",
                 "task.n_validation=60", "metrics.names=[rougeL,exact_match]",
                 "model=replay", "model.path=candidate.jsonl")
"""


@pytest.fixture(scope="module", autouse=True)
def _imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import what gates import: a session inside a session discards its imports, and would repeat them each time."""
    import harness.gate.testing  # noqa: F401

    pipeline.run(config(tmp_path_factory.mktemp("warm")), "command")
    compose.run_config(["model=echo"])


def reference(i: int) -> str:
    return f"Thing {i} is {'very ' * (i % 7)}fine, and it is known to {i % 5} people."


def accepted(i: int) -> str:
    return reference(i) if i % 4 == 0 else f"Thing {i} is said to be fine, and known to people."


def write(folder: Path, name: str, say: Callable[[int], str]) -> None:
    rows = [{"prompt": f"Thing {i} of all", "completion": say(i), "topic": ("a", "b")[i % 2]} for i in range(N)]
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with data, an accepted baseline, and one test; each test sets the completions of the candidate."""
    for name in ("HARNESS_STORE", "GITHUB_STEP_SUMMARY", "CI", "BUILD_NUMBER"):  # of the last two pytest says more
        monkeypatch.delenv(name, raising=False)
    write(pytester.path, "data", reference)
    write(pytester.path, "candidate", accepted)
    (pytester.path / "train.jsonl").write_text('{"prompt": "Other", "completion": "No.", "topic": "a"}\n')
    pytester.makeini("[pytest]\naddopts = -p no:hypothesispytest -p no:anyio")  # each would be imported in every run
    pytester.makepyfile(test_model=TEST)
    result = pytester.runpytest_inprocess("--harness-update-baseline")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["*test_model.py::test_not_worse: UPDATED *benchmarks*things from run candidate-chat-*"]
    )
    return pytester


def test_an_unchanged_model_passes_and_one_line_says_so(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("--strict-markers", "-W", "error::pytest.PytestUnknownMarkWarning")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*= regression gates =*",
            "test_model.py::test_not_worse: PASS things: rougeL 0.*, +0.000 [[]+0.000, +0.000[]], margin 0.05, n 60*",
        ]
    )


def test_a_worse_model_fails_with_the_evidence(project: pytest.Pytester) -> None:
    write(project.path, "candidate", lambda i: "Who knows." if i % 2 else accepted(i))
    result = project.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "things: candidate-chat-* is WORSE than the baseline candidate-chat-*",
            "  FAIL         rougeL 0.* -> 0.*, -0.* [[]-0.*, -0.*[]], margin 0.05, n 60",
            "  worst slices by rougeL: topic=b -0.* (n *), topic=a *",
            "  largest losses by rougeL:",
            "    Thing * of all  0.* -> 0",
            "      baseline  | Thing * is said to be fine, and known to people.",
            "      candidate | Who knows.",
        ]
    )
    assert "Traceback" not in result.stdout.str()


def test_too_few_examples_fail_or_warn(project: pytest.Pytester) -> None:
    write(project.path, "candidate", lambda i: "Thing is it." if i % 9 == 0 else accepted(i))
    failed = project.runpytest_inprocess()
    assert failed.ret == pytest.ExitCode.TESTS_FAILED
    failed.stdout.fnmatch_lines(["*is NOT ENOUGH DATA against*", "  UNDERPOWERED rougeL*; * decide it"])
    warned = project.runpytest_inprocess("--harness-underpowered=warn")
    warned.assert_outcomes(passed=1, warnings=1)
    warned.stdout.fnmatch_lines(["*UnderpoweredWarning: UNDERPOWERED things: rougeL*"])


def test_a_missing_or_damaged_baseline_fails(project: pytest.Pytester) -> None:
    missing = project.runpytest_inprocess("--harness-baseline=elsewhere")
    missing.assert_outcomes(failed=1)
    missing.stdout.fnmatch_lines(
        ["*elsewhere/things: there is no baseline. Accept a run and commit*baseline accept RUN"]
    )
    (project.path / "benchmarks" / "things" / "examples.jsonl").write_text("")
    damaged = project.runpytest_inprocess()
    damaged.assert_outcomes(failed=1)
    damaged.stdout.fnmatch_lines(["*the baseline cannot be read*"])


def test_changed_data_fails_until_a_run_on_it_is_accepted(project: pytest.Pytester) -> None:
    write(project.path, "data", lambda i: f"Not {reference(i)}")
    failed = project.runpytest_inprocess()
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(["*the candidate's examples differ from the baseline's (60 changed*"])
    refused = project.runpytest_inprocess("--harness-update-baseline")
    refused.assert_outcomes(failed=1)
    refused.stdout.fnmatch_lines(["*expected a baseline of the same data*pytest --harness-replace-baseline*"])
    project.runpytest_inprocess("--harness-replace-baseline").assert_outcomes(passed=1)
    project.runpytest_inprocess().assert_outcomes(passed=1)


def test_a_misspelt_argument_or_setting_fails_with_the_right_one(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_model="""
        import pytest

        @pytest.mark.regression(metrics="rougeL")
        def test_argument(harness_gate):
            harness_gate()

        @pytest.mark.regression("modle=echo", task="jsonl")
        def test_setting(harness_gate):
            harness_gate()

        @pytest.mark.regression(underpowered="pass")
        def test_choice(harness_gate):
            harness_gate()
        """
    )
    result = project.runpytest_inprocess()
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["*Unknown argument 'metrics'. Did you mean 'metric'?*", "*Did you mean model*"])
    result.stdout.fnmatch_lines(["*Unknown choice 'pass'. *Valid: fail, warn*"])


WRONG = """
import pytest

@pytest.mark.regression({arguments})
def test_it(harness_gate):
    harness_gate()
"""


def test_arguments_of_another_kind_fail_with_what_was_expected(project: pytest.Pytester) -> None:
    table = {
        'margin="0.1"': "*expected a number or {metric: number} as margin, got '0.1'*",
        'margin={"rougeL": None}': "*expected a number or {metric: number} as margin*",
        "metric=3": "*expected a name or a list of names as metric, got 3*",
        "slice=[1]": "*expected a name or a list of names as slice*",
        'failures="no"': "*expected True or False as failures, got 'no'*",
        "sequential=1": "*expected True or False as sequential, got 1*",
        "3": "*expected overrides as texts, got 3*",
        "baseline=4": "*expected a text as baseline, got 4*",
    }
    files = {f"test_{i}": WRONG.format(arguments=arguments) for i, arguments in enumerate(table)}
    project.makepyfile(test_model="", **files)
    result = project.runpytest_inprocess()
    result.assert_outcomes(failed=len(table))
    for message in table.values():
        result.stdout.fnmatch_lines([message])
    assert "Traceback" not in result.stdout.str()


MARKED = """
import pytest

RUN = ("task=jsonl", "task.path=data.jsonl", "task.name=things", "task.train_path=train.jsonl", "task.n_validation=60",
       "metrics.names=[rougeL,exact_match]", "model=replay", "model.path=candidate.jsonl")
pytestmark = pytest.mark.regression(metric="exact_match", margin={module})

@pytest.mark.regression(metric="rougeL", margin=0.5)
class TestModel:
    @pytest.mark.parametrize(
        "way", ["plain", pytest.param("marked", marks=pytest.mark.regression(metric="rougeL", margin=0.0))]
    )
    def test_it(self, harness_gate, way):
        result = harness_gate(*RUN)
        assert result is None or result.rules.margins == {{"rougeL": 0.5 if way == "plain" else 0.0}}
"""


def test_every_mark_is_a_gate(project: pytest.Pytester) -> None:
    """A loss that one mark of three does not tolerate fails the test, whichever that is, and all are shown."""
    project.makepyfile(test_model=MARKED.format(module=0.24))
    project.runpytest_inprocess().assert_outcomes(passed=2)
    write(project.path, "candidate", lambda i: "Who knows." if i % 12 == 0 else accepted(i))
    one = project.runpytest_inprocess("--junit-xml=junit.xml")
    one.assert_outcomes(passed=1, failed=1)
    one.stdout.fnmatch_lines(["  FAIL         rougeL * margin 0, n 60*", "*= regression gates =*"])
    one.stdout.fnmatch_lines_random(
        ["*[[]plain[]]: PASS things: rougeL *margin 0.5*", "*[[]plain[]]: PASS things: exact_match *margin 0.24*"]
    )
    assert one.stdout.str().count("[marked]: ") == 3
    names = [row.get("name") for row in ElementTree.parse(project.path / "junit.xml").iter("property")]
    assert {"harness_margin", "harness_2_margin", "harness_3_margin"} <= set(names)
    project.makepyfile(test_model=MARKED.format(module=0.0))
    write(project.path, "candidate", lambda i: "Who knows." if i % 4 == 0 else accepted(i))
    both = project.runpytest_inprocess()
    both.assert_outcomes(failed=2)
    assert both.stdout.str().count("  FAIL         exact_match") == 2
    project.runpytest_inprocess("--harness-update-baseline").assert_outcomes(passed=2)
    project.runpytest_inprocess().assert_outcomes(passed=2)


def test_equal_marks_are_one_gate_and_an_error_of_one_hides_no_other(project: pytest.Pytester) -> None:
    mark = '@pytest.mark.regression(metric="rougeL", margin=0.05)\n'
    project.makepyfile(test_model=TEST.replace(mark, mark + mark))
    assert project.runpytest_inprocess().stdout.str().count("PASS things") == 1
    broken = '@pytest.mark.regression(metric="rougel")\n'
    write(project.path, "candidate", lambda _: "Who knows.")
    project.makepyfile(test_model=TEST.replace(mark, broken + mark))
    result = project.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines_random(["*Did you mean 'rougeL'*", "*is WORSE than the baseline*"])


def test_a_marked_test_without_a_gate_warns(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_model="""
        import pytest

        @pytest.mark.regression(metric="rougeL")
        def test_it():
            pass
        """
    )
    result = project.runpytest_inprocess()
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*is marked as regression, but never calls harness_gate*"])


def test_a_stored_run_is_gated_by_its_id_and_several_baselines_by_name(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_model="""
        import pytest

        @pytest.mark.regression(metric=["rougeL", "exact_match"], margin={"rougeL": 0.05, "exact_match": 0.1},
                                slice="topic", baseline="other")
        def test_stored(harness_gate):
            result = harness_gate(run="candidate-chat")
            assert result is None or len(result.checks) == 7
        """
    )
    missing = project.runpytest_inprocess()
    missing.assert_outcomes(failed=1)
    missing.stdout.fnmatch_lines(["*benchmarks/things/other: there is no baseline*"])
    project.runpytest_inprocess("--harness-update-baseline").assert_outcomes(passed=1)
    project.runpytest_inprocess().assert_outcomes(passed=1)


def test_two_tests_do_not_overwrite_each_others_baseline(project: pytest.Pytester) -> None:
    write(project.path, "second", reference)
    second = TEST.replace("test_not_worse", "test_second").replace("candidate.jsonl", "second.jsonl")
    project.makepyfile(test_second=second)
    result = project.runpytest_inprocess("--harness-update-baseline")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*two tests of this session write it*"])
    refused = project.runpytest_subprocess("--harness-update-baseline", "-n", "2")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR


def test_budgets_make_it_sequential(project: pytest.Pytester) -> None:
    write(project.path, "candidate", lambda _: "Who knows.")
    result = project.runpytest_inprocess("--harness-max-seconds=600")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*decided after 32 of 60 examples*", "*regression gates*", "*FAIL things: rougeL*"])


def test_junit_and_githubs_summary_have_the_numbers(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "summary.md"))
    write(project.path, "candidate", lambda i: "Who | knows." if i % 2 else accepted(i))
    project.runpytest_inprocess("--junit-xml=junit.xml")
    properties = {
        row.get("name"): row.get("value") for row in ElementTree.parse(project.path / "junit.xml").iter("property")
    }
    assert properties["harness_outcome"] == "fail"
    assert properties["harness_check"] == "rougeL"
    assert float(properties["harness_high"] or 0) < -0.05
    shown = (project.path / "summary.md").read_text("utf-8")
    assert "### ❌ test&#95;not&#95;worse" in shown
    assert "| check | baseline | candidate | difference | margin | n |" in shown
    assert "Who &#124; knows." in shown


def test_tests_are_sharded_with_xdist(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "summary.md"))
    project.makepyfile(test_again=TEST.replace("test_not_worse", "test_again"))
    result = project.runpytest_subprocess("-n", "2")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines_random(["test_model.py::test_not_worse: PASS *", "test_again.py::test_again: PASS *"])
    assert (project.path / "summary.md").read_text("utf-8").count("### ✅") == 2


def test_markers_are_documented(pytester: pytest.Pytester) -> None:
    shown = pytester.runpytest_inprocess("--markers").stdout
    for name in ("slow", "gpu", "network", "openai"):
        shown.fnmatch_lines([f"@pytest.mark.{name}: *"])
    shown.fnmatch_lines(["@pytest.mark.regression(*): compares a run with its accepted baseline*"])


def test_it_costs_a_session_without_gates_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_nothing(): pass")
    code = (
        "import sys, pytest; code = pytest.main(['-q']);"
        "print('heavy:', sorted({'numpy', 'pydantic', 'torch', 'harness.gate.testing'} & set(sys.modules)), int(code))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=pytester.path)
    assert "heavy: [] 0" in done.stdout
