"""The gate's decisions against independent tools, and every case that must not pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats

from harness import registry
from harness.cli.gate import margin
from harness.client.pricing import LocalPrice, Price
from harness.errors import ConfigError, ModelError, StoreError
from harness.gate import candidate, exact
from harness.gate.baseline import Baseline, accept, load
from harness.gate.budget import BudgetTracker, GateBudget
from harness.gate.candidate import GateRequest
from harness.gate.decision import CheckResult, GateResult
from harness.gate.report import as_json, one_line, step_summary, text, worse_examples, worst_slices
from harness.gate.rules import FAILURES, OnUnderpowered, resolve_margins
from harness.gate.sequential import EARLY, gate_in_chunks
from harness.metrics.exact import ExactMatch
from harness.metrics.rouge import Rouge
from harness.stats.noninferiority import GateOutcome
from harness.stats.proportions import Tango
from harness.store.runs import StoredRun
from harness.types import Completion, FinishReason
from tests.support.replays import ReplayedCompletion, examples, replayed, settings

N = 80


def good(folder: Path, n: int = N) -> list[ReplayedCompletion]:
    """The completions of the accepted model: every fourth is right, the others have most words right."""
    return [e.reference if i % 4 == 0 else f"{e.reference} Or so." for i, e in enumerate(examples(folder, n))]


def slightly_other(folder: Path, n: int = N) -> list[ReplayedCompletion]:
    """The same texts with a word more or less in every tenth."""
    return [
        f"{said} It is said." if i % 20 == 3 else str(said).removesuffix(" Or so.") if i % 20 == 13 else said
        for i, said in enumerate(good(folder, n))
    ]


def far_worse(folder: Path, n: int = N) -> list[ReplayedCompletion]:
    return ["Something else entirely." if i % 2 else said for i, said in enumerate(good(folder, n))]


@pytest.fixture
def baseline(tmp_path: Path) -> Baseline:
    return load(accept(replayed(tmp_path, "accepted", good(tmp_path)), tmp_path / "benchmarks"))


def gate(
    baseline: Baseline, folder: Path, said: Sequence[ReplayedCompletion], gate_request: GateRequest | None = None
) -> GateResult:
    return candidate.gate_run(replayed(folder, "candidate", said), baseline, gate_request or GateRequest())


def check_of(gated: GateResult, name: str) -> CheckResult:
    return next(result for result in gated.checks if result.check.name == name)


def rouge(run: StoredRun) -> list[float]:
    return [p.scores["rougeL"] or 0.0 for p in sorted(run.predictions(), key=lambda p: p.example.id)]


def test_a_candidate_that_says_the_same_is_not_worse(baseline: Baseline, tmp_path: Path) -> None:
    gate_request = GateRequest(("rougeL", "exact_match"), margin=0.0, slices=("topic",))
    gated = gate(baseline, tmp_path, good(tmp_path), gate_request)
    assert gated.outcome is GateOutcome.PASS
    for name in ("rougeL", "exact_match", "rougeL [topic=maths]"):
        comparison = check_of(gated, name).comparison
        assert (comparison.low, comparison.high) == (0.0, 0.0)
        assert "baseline's own" in comparison.method


@pytest.mark.parametrize(
    ("margin", "outcome", "n_needed"),
    [(0.2, GateOutcome.PASS, None), (0.02, GateOutcome.UNDERPOWERED, 183)],
)
def test_equal_scores_of_other_texts_have_an_interval_as_any_others_do(
    baseline: Baseline, tmp_path: Path, margin: float, outcome: GateOutcome, n_needed: int | None
) -> None:
    said = [f"{text} !" if i < 70 else text for i, text in enumerate(good(tmp_path))]
    gated = gate(baseline, tmp_path, said, GateRequest(("rougeL",), margin))
    result = check_of(gated, "rougeL")
    assert result.comparison.method == "exact, 80 examples that all score as the baseline's"
    assert (result.outcome, result.decision.n_needed) == (outcome, n_needed)
    assert "all 80 examples score as the baseline's, but 70 texts changed" in one_line(gated)
    expected = scipy_stats.binomtest(80, 80).proportion_ci(0.95, method="exact")
    assert result.comparison.low == pytest.approx(expected.low - 1)


def test_the_examples_that_decide_equal_losses_are_just_enough() -> None:
    for lost, limit in ((0.0, 0.02), (0.01, 0.02), (-0.5, 0.1), (0.2, 0.02)):
        n = exact.examples_if_equal(lost, limit, 1.0, 0.95)
        assert n is not None
        for enough, size in ((True, n), (False, n - 1)):
            low, high = exact.EqualValues(-lost, size, -1.0, 1.0).interval(0.95)
            assert (low > -limit if lost < limit else high < -limit) is enough
    assert exact.examples_if_equal(0.02, 0.02, 1.0, 0.95) is None


@pytest.mark.parametrize("metric", ["rougeL", "exact_match"])
def test_a_baseline_at_the_bottom_shows_nothing_however_many_examples_there_are(tmp_path: Path, metric: str) -> None:
    n = 300
    accepted = load(accept(replayed(tmp_path, "accepted", ["Zero"] * n), tmp_path / "b"))
    for said in (["Zilch"] * n, ["Zero"] * (n - 3) + ["a", "b", "c"]):
        gated = gate(accepted, tmp_path, said, GateRequest((metric,)))
        assert gated.outcome is GateOutcome.UNDERPOWERED
        assert "no candidate could fail" in text(gated)
        assert "would decide it" not in one_line(gated)
        assert "No number of examples decides it" in text(gated)
    assert gate(accepted, tmp_path, ["Zero"] * n, GateRequest((metric,))).outcome is GateOutcome.PASS
    right: list[ReplayedCompletion] = [e.reference for e in examples(tmp_path, n)]
    assert gate(accepted, tmp_path, right, GateRequest((metric,))).outcome is GateOutcome.PASS


def test_a_corpus_score_that_stays_the_same_is_not_shown_to_be_the_same(baseline: Baseline, tmp_path: Path) -> None:
    said = [str(text).replace(" ", "  ") for text in good(tmp_path)]
    gated = gate(baseline, tmp_path, said, GateRequest(("bleu",), 2.0))
    assert gated.outcome is GateOutcome.UNDERPOWERED
    assert check_of(gated, "bleu").texts_changed == N
    assert as_json(gated)["checks"][0]["note"].startswith("all 80 examples score")  # type: ignore[index]


def test_the_interval_is_that_of_the_paired_differences(baseline: Baseline, tmp_path: Path) -> None:
    run = replayed(tmp_path, "candidate", slightly_other(tmp_path))
    gated = candidate.gate_run(run, baseline, GateRequest(("rougeL",), 0.02))
    differences = np.array(rouge(run)) - rouge(replayed(tmp_path, "accepted", good(tmp_path)))
    comparison = check_of(gated, "rougeL").comparison
    low, high = scipy_stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert comparison.difference == pytest.approx(differences.mean())
    assert comparison.low == pytest.approx(low, abs=0.003)
    assert comparison.high == pytest.approx(high, abs=0.003)
    assert gated.outcome is GateOutcome.PASS


def test_a_clear_loss_fails_and_the_message_shows_it(baseline: Baseline, tmp_path: Path) -> None:
    gated = gate(baseline, tmp_path, far_worse(tmp_path), GateRequest(("rougeL",), 0.02))
    assert gated.outcome is GateOutcome.FAIL
    assert not gated.passed
    shown = text(gated)
    assert "is WORSE than the baseline" in shown
    assert "worst slices by rougeL: topic=" in shown
    assert shown.count("candidate | Something else entirely.") == 5
    assert "margin 0.02, n 80" in one_line(gated)
    assert "| baseline | candidate |" in step_summary(gated, "a test")


def test_too_few_examples_are_an_outcome_of_their_own(tmp_path: Path) -> None:
    few = load(accept(replayed(tmp_path, "accepted", good(tmp_path, 20)), tmp_path / "benchmarks"))
    said = [*slightly_other(tmp_path, 20)[:-3], "Thing", "Thing", "Thing"]
    gated = gate(few, tmp_path, said, GateRequest(("rougeL",), 0.05))
    result = check_of(gated, "rougeL")
    assert gated.outcome is GateOutcome.UNDERPOWERED
    assert not gated.passed
    assert result.decision.n_needed is not None
    assert result.decision.n_needed > 20
    assert f"about {result.decision.n_needed:,} examples would decide it" in one_line(gated)
    warned = gate(few, tmp_path, said, GateRequest(("rougeL",), 0.05, underpowered=OnUnderpowered.warn))
    assert warned.outcome is GateOutcome.UNDERPOWERED
    assert warned.passed


def test_failed_completions_count_as_the_worst(baseline: Baseline, tmp_path: Path) -> None:
    said: list[ReplayedCompletion] = [None if i % 5 == 0 else text for i, text in enumerate(good(tmp_path))]
    run = replayed(tmp_path, "candidate", said)
    gated = candidate.gate_run(run, baseline, GateRequest(("rougeL",), 0.02, failures=False))
    accepted = np.array(rouge(replayed(tmp_path, "accepted", good(tmp_path))))
    expected = np.where(np.arange(N) % 5 == 0, 0.0, accepted).mean() - accepted.mean()
    assert check_of(gated, "rougeL").comparison.difference == pytest.approx(expected)
    assert gated.outcome is GateOutcome.FAIL
    assert run.result.metric("rougeL") != baseline.result.metric("rougeL")


def truncated(folder: Path, share: int) -> list[ReplayedCompletion]:
    """The good texts, of which one in `share` was truncated by the token limit."""
    return [
        {"completion": str(said), "finish_reason": "length"} if i % share == 0 else said
        for i, said in enumerate(good(folder))
    ]


@pytest.mark.parametrize(("share", "outcome"), [(8, GateOutcome.FAIL), (40, GateOutcome.PASS)])
def test_surely_more_truncated_completions_fail_whatever_the_scores_say(
    baseline: Baseline, tmp_path: Path, share: int, outcome: GateOutcome
) -> None:
    gated = gate(baseline, tmp_path, truncated(tmp_path, share))
    result, more = check_of(gated, FAILURES), N // share
    assert gated.outcome is outcome
    assert result.comparison.p_above == pytest.approx(scipy_stats.binomtest(more, more, alternative="greater").pvalue)
    assert check_of(gated, "rougeL").outcome is GateOutcome.PASS
    assert gate(baseline, tmp_path, truncated(tmp_path, share), GateRequest(failures=False)).outcome is GateOutcome.PASS


def test_what_the_baseline_failed_on_is_left_out(tmp_path: Path) -> None:
    said: list[ReplayedCompletion] = [None, None, *good(tmp_path)[2:]]
    accepted = load(accept(replayed(tmp_path, "accepted", said), tmp_path / "b", allow_errors=True))
    gated = gate(accepted, tmp_path, ["Nonsense", "Nonsense", *good(tmp_path)[2:]])
    assert gated.outcome is GateOutcome.PASS
    assert check_of(gated, "rougeL").comparison.sample.n == N - 2
    assert check_of(gated, FAILURES).comparison.sample.n == N


def test_proportions_have_their_exact_interval_and_say_what_n_would_do(baseline: Baseline, tmp_path: Path) -> None:
    said = [text if i % 4 == 0 else f"{text} Yes." for i, text in enumerate(good(tmp_path))]
    result = check_of(gate(baseline, tmp_path, said, GateRequest(("exact_match",), 0.02)), "exact_match")
    assert result.comparison.method == "tango, 80 examples"
    assert result.outcome is GateOutcome.UNDERPOWERED
    n = result.decision.n_needed
    assert n is not None
    assert Tango(0, 0, n).interval(0.95)[0] >= -0.02 > Tango(0, 0, n - 1).interval(0.95)[0]


def test_a_loss_that_is_the_same_everywhere_is_decided_without_a_bootstrap(tmp_path: Path) -> None:
    perfect: list[ReplayedCompletion] = [e.reference for e in examples(tmp_path, N)]
    accepted = load(accept(replayed(tmp_path, "accepted", perfect), tmp_path / "b"))
    gated = gate(accepted, tmp_path, ["Zero" for _ in perfect], GateRequest(("rougeL",), 0.02))
    result = check_of(gated, "rougeL")
    assert result.comparison.method == "exact, 80 examples that all differ equally"
    assert gated.outcome is GateOutcome.FAIL


def test_equal_values_have_the_interval_of_clopper_and_pearson() -> None:
    expected = scipy_stats.binomtest(30, 30).proportion_ci(0.95, method="exact")
    low, high = exact.EqualValues(1.0, 30, 0.0, 1.0).interval(0.95)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    for value in (-0.5, 0.0, 0.3):
        confidence = exact.EqualValues(value, 30, -1.0, 1.0)
        bounds = confidence.interval(0.95)
        assert confidence.p_value(bounds[0]) == pytest.approx(0.025)
        assert 1 - confidence.p_value(bounds[1]) == pytest.approx(0.025)


def test_slices_are_a_family_and_a_loss_in_one_is_found(baseline: Baseline, tmp_path: Path) -> None:
    topics = [e.slices["topic"] for e in examples(tmp_path, N)]
    said = ["Nothing." if topic == "maths" else text for topic, text in zip(topics, good(tmp_path), strict=True)]
    gated = gate(baseline, tmp_path, said, GateRequest(("rougeL",), 0.5, ("topic",)))
    outcomes = {result.check.name: result.outcome for result in gated.checks}
    assert outcomes["rougeL [topic=maths]"] is GateOutcome.FAIL
    assert outcomes["rougeL [topic=people]"] is GateOutcome.PASS
    assert gated.main.check.part == ("topic", "maths")
    assert worst_slices(gated.paired, metric_of(gated))[0][0] == "topic=maths"
    one = gate(baseline, tmp_path, said, GateRequest(("rougeL",), 0.5, ("topic=people",)))
    assert [result.check.name for result in one.checks] == ["rougeL", "rougeL [topic=people]", FAILURES]
    with pytest.raises(ConfigError, match=r"Unknown slice 'topik'\. Did you mean 'topic'"):
        gate(baseline, tmp_path, said, GateRequest(("rougeL",), 0.5, ("topik",)))


def metric_of(gated: GateResult):  # type: ignore[no-untyped-def]
    return gated.checks[0].check.metric


def test_lower_may_be_better(baseline: Baseline, tmp_path: Path) -> None:
    worse = gate(baseline, tmp_path, far_worse(tmp_path), GateRequest(("ter",), 2.0))
    assert worse.outcome is GateOutcome.FAIL
    assert (check_of(worse, "ter").comparison.difference or 0) > 2
    worst = worse_examples(worse.paired, metric_of(worse))[0]
    assert worst.candidate > worst.baseline
    right: list[ReplayedCompletion] = [e.reference for e in examples(tmp_path, N)]
    both = GateRequest(("ter", "bleu"), {"ter": 2.0, "bleu": 2.0})
    assert gate(baseline, tmp_path, right, both).outcome is GateOutcome.PASS


def test_one_changed_answer_passes_where_its_interval_does_and_else_more_examples_are_asked_for(
    baseline: Baseline, tmp_path: Path
) -> None:
    said = [*good(tmp_path)[:-1], "Thing"]
    passed = gate(baseline, tmp_path, said, GateRequest(("rougeL",), 0.1))
    assert passed.outcome is GateOutcome.PASS
    unclear = check_of(gate(baseline, tmp_path, said, GateRequest(("rougeL",), 0.02)), "rougeL")
    assert unclear.outcome is GateOutcome.UNDERPOWERED
    assert unclear.decision.n_needed is not None
    assert unclear.decision.n_needed > N


@pytest.mark.parametrize(
    ("gate_request", "message"),
    [
        (GateRequest(("bleu",)), "bleu: expected a margin in its units"),
        (GateRequest(("length_ratio",), 0.1), "expected a metric with a direction, .* Gate one of: rougeL"),
        (GateRequest(("rougeL",), -0.1), "expected a number of 0 or more, got -0.1"),
        (GateRequest(("rougeL",), {"rouge": 0.1}), "Unknown gated metric 'rouge'. Did you mean 'rougeL'"),
        (GateRequest(("bleu",)), r"such as bleu=\d+\.?\d*, which is 2% of the baseline's"),
        (GateRequest(("bleu",), 100.0), "bleu: expected less than its whole scale from 0 to 100, got 100.* bleu=2"),
        (GateRequest(("rougeL",), 1.0), "rougeL: expected less than its whole scale from 0 to 1, got 1.* rougeL=0.02"),
        (GateRequest(("exact_match",), 3.0), "whole scale from 0 to 1, got 3"),
        (GateRequest(("rougeL",), float("nan")), "expected a number of 0 or more, got nan"),
        (GateRequest(("rougel",)), "Unknown metric of the baseline 'rougel'. Did you mean 'rougeL'"),
    ],
)
def test_what_cannot_be_gated_is_refused(
    baseline: Baseline, tmp_path: Path, gate_request: GateRequest, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        gate(baseline, tmp_path, good(tmp_path), gate_request)


def test_what_does_not_match_never_passes(baseline: Baseline, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="was not scored with chrf, only with: rougeL"):
        gate(baseline, tmp_path, good(tmp_path), GateRequest(("chrf",), 1.0))
    fewer = replayed(tmp_path, "fewer", good(tmp_path)[:40])
    with pytest.raises(StoreError, match="the candidate's examples differ from the baseline's"):
        candidate.gate_run(fewer, baseline, GateRequest())
    run = replayed(tmp_path, "candidate", good(tmp_path))
    other = [replace(m, signature=m.signature + "|stem:none") for m in run.result.metrics]
    changed = replace(run, result=replace(run.result, metrics=tuple(other)))
    with pytest.raises(StoreError, match="rougeL is not comparable between these runs"):
        candidate.gate_run(changed, baseline, GateRequest())


def test_bounded_metrics_have_the_same_default_margin(baseline: Baseline) -> None:
    labels = ("yes", "no")
    names = ["accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc", "prefix_match", "token_f1", "fact_f1"]
    names += ["rouge2", "sequence_accuracy", "token_accuracy", "bertscore_f1", "exact_match_normalized"]
    metrics = [registry.metric(name, {}, labels) for name in names]
    assert resolve_margins([*metrics, OwnProportion()], None, baseline) == dict.fromkeys([*names, "own"], 0.02)
    for metric in metrics:
        width = 2.0 if metric.name.startswith("bert") else 1.0
        assert resolve_margins([metric], width - 0.01, baseline) == {metric.name: width - 0.01}
        with pytest.raises(ConfigError, match="whole scale"):
            resolve_margins([metric], width, baseline)


class OwnProportion(ExactMatch):
    """A metric of a user's, which is a proportion and says nothing about bounds."""

    name = "own"
    bounds = property()  # raises an AttributeError, as if it were not there


def test_what_cannot_be_gated_is_refused_before_it_is_run(baseline: Baseline, tmp_path: Path) -> None:
    overrides = ["task=jsonl", f"task.path={tmp_path / 'data.jsonl'}", "task.name=things", "model=echo"]
    overrides += ["tracking=none", f"store={tmp_path / 'other'}"]
    table = [
        ([*overrides, "task.n_validation=10"], GateRequest(("rougeL",)), StoreError, "examples differ"),
        ([*overrides, f"task.n_validation={N}"], GateRequest(("bleu",)), ConfigError, "expected a margin"),
    ]
    for words, gate_request, error, message in table:
        with pytest.raises(error, match=message):
            candidate.gate_config(words, baseline, gate_request)
    assert not (tmp_path / "other" / "stages" / "completions").exists()


def test_a_metric_that_cannot_read_the_references_is_not_gated(
    baseline: Baseline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = replayed(tmp_path, "candidate", good(tmp_path))
    monkeypatch.setattr(Rouge, "stats", lambda _, completions, __: np.tile([0.0, 1.0], (len(completions), 1)))
    monkeypatch.setattr("harness.stages.readability._READINGS", {})
    with pytest.raises(ConfigError, match=r"metric rougeL: rougeL cannot read 80 of 80 references.*chrf"):
        candidate.gate_run(run, baseline, GateRequest())


def in_chunks(
    baseline: Baseline, folder: Path, said: Sequence[ReplayedCompletion], gate_request: GateRequest
) -> GateResult:
    config = settings(folder, "chunked", said)
    config = replace(config, metrics=replace(config.metrics, names=list(gate_request.metrics)))
    config.task.primary_metric = gate_request.metrics[0]
    return gate_in_chunks(
        config, baseline, gate_request.budget or GateBudget(chunk=16), lambda m: gate_request.rules(baseline, m)
    )


def test_chunks_stop_early_where_the_loss_is_clear(baseline: Baseline, tmp_path: Path) -> None:
    said: list[ReplayedCompletion] = ["Nothing." for _ in range(N)]
    gated = in_chunks(baseline, tmp_path, said, GateRequest(("rougeL",), 0.05))
    assert gated.outcome is GateOutcome.FAIL
    assert len(gated.paired.accepted) < N
    assert gated.stopped == f"decided after {len(gated.paired.accepted)} of 80 examples"
    low, high = check_of(gated, "rougeL").comparison.low, check_of(gated, "rougeL").comparison.high
    assert low is not None
    assert high is not None
    assert low <= -0.8 <= high < -0.05


def test_chunks_that_do_not_decide_end_with_the_gate_on_all(baseline: Baseline, tmp_path: Path) -> None:
    gated = in_chunks(baseline, tmp_path, slightly_other(tmp_path), GateRequest(("rougeL",), 0.02))
    assert gated.outcome is GateOutcome.PASS
    assert "on all 80 planned of 80 examples, at 96%" in gated.stopped
    assert check_of(gated, "rougeL").comparison.question.confidence == pytest.approx(1 - 0.05 * (1 - EARLY))


def test_more_truncated_ones_end_the_chunks(baseline: Baseline, tmp_path: Path) -> None:
    gated = in_chunks(baseline, tmp_path, truncated(tmp_path, 1), GateRequest(("rougeL",), 0.02))
    assert gated.outcome is GateOutcome.FAIL
    assert gated.main.check.name == FAILURES


def test_a_spent_budget_is_underpowered(baseline: Baseline, tmp_path: Path) -> None:
    gate_request = GateRequest(("rougeL",), 0.05, budget=GateBudget(seconds=1e-9, chunk=8))
    gated = in_chunks(baseline, tmp_path, slightly_other(tmp_path), gate_request)
    assert gated.outcome is GateOutcome.UNDERPOWERED
    assert gated.stopped == "undecided after 8 of 80 examples: the budget of 1e-09 s is spent"
    of_24 = replace(gate_request, budget=GateBudget(examples=24, chunk=8))
    fewer = in_chunks(baseline, tmp_path, slightly_other(tmp_path), of_24)
    assert len(fewer.paired.accepted) == 24
    assert "all 24 planned of 80" in fewer.stopped


def test_costs_are_counted_for_what_is_made() -> None:
    said = [Completion("", "a", FinishReason.STOP, prompt_tokens=100, completion_tokens=50) for _ in range(5)]
    price = Price("host", ("model",), input=1.0, output=2.0, as_of=date(2026, 11, 1), source="made up")
    tracker = BudgetTracker(GateBudget(cost=0.001), price)
    tracker.pay([])
    assert tracker.exceeded() == ""
    tracker.pay(said)
    assert tracker.usd == pytest.approx(5 * (100 * 1.0 + 50 * 2.0) / 1e6)
    assert tracker.exceeded() == "the budget of 0.001 USD is spent"
    with pytest.raises(ModelError, match="does not report how many tokens"):
        tracker.pay([replace(said[0], completion_tokens=None)])
    hour = BudgetTracker(GateBudget(cost=0.5), LocalPrice(1.0, date(2026, 11, 1), "made up"))
    hour.pay([replace(said[0], wall_seconds=1800.0)])
    assert hour.exceeded() == "the budget of 0.5 USD is spent"
    with pytest.raises(ConfigError, match="needs a model whose price is known"):
        BudgetTracker(GateBudget(cost=1.0))
    with pytest.raises(ConfigError, match="expected a number of examples above 0"):
        GateBudget(examples=0)


def test_only_bounded_means_are_gated_in_chunks(baseline: Baseline, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="bleu: a sequential gate needs a mean of bounded values, such as rougeL"):
        in_chunks(baseline, tmp_path, good(tmp_path), GateRequest(("bleu",), 1.0))


def test_the_json_summary_has_every_check(baseline: Baseline, tmp_path: Path) -> None:
    gated = gate(baseline, tmp_path, far_worse(tmp_path), GateRequest(("rougeL", "exact_match"), 0.02))
    shown = as_json(gated)
    assert shown["outcome"] == "fail"
    assert isinstance(shown["checks"], list)
    assert [check["check"] for check in shown["checks"]] == ["rougeL", "exact_match", FAILURES]


@pytest.mark.parametrize(
    ("words", "expected"), [([], None), (["0.1"], 0.1), (["rougeL=0.1", "bleu=2"], {"rougeL": 0.1, "bleu": 2.0})]
)
def test_margins_are_read_from_words(words: list[str], expected: object) -> None:
    assert margin(words) == expected
    for wrong in (["x"], ["0.1", "bleu=1"], ["0.1", "0.2"], ["bleu=1", "bleu=2"]):
        with pytest.raises(ConfigError, match="--margin: expected"):
            margin(wrong)
