"""Three pictures of the results: coverage, power, and sequential looks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.evidence import coverage, peeking, power
from benchmarks.evidence.results import Evidence
from harness.reports.plots.style import COLOURS, figure, mark, save, settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(evidence: Evidence, folder: Path) -> None:
    """Write all pictures to `folder`."""
    with settings():
        save(_coverage(evidence), folder, "coverage")
        save(_power(evidence), folder, "power")
        save(_looks(evidence), folder, "peeking")


def _coverage(evidence: Evidence) -> Figure:
    canvas = figure(9, 4.2)
    panels = canvas.subplots(1, 2, sharey=True)
    metrics = list(dict.fromkeys(case.metric for case in evidence.of(coverage.SCORE)))
    for axes, what in zip(panels, (coverage.SCORE, coverage.DIFFERENCE), strict=True):
        rates = evidence.of(what)
        sizes = sorted({case.n for case in rates})
        for i, metric in enumerate(metrics):
            own = {case.n: rate.share for case, rate in rates.items() if case.metric == metric}
            colour, marker = mark(i)
            where = [sizes.index(n) + 0.02 * (i - 8) for n in own]
            axes.plot(where, list(own.values()), marker, color=colour, markersize=5, label=metric)
        axes.set_xticks(range(len(sizes)), [str(n) for n in sizes])
        axes.set_title(f"interval of a {what}", fontsize=10)
        axes.set_xlabel("examples")
        axes.axhspan(0.94, 0.96, color=COLOURS[2], alpha=0.12)
        axes.axhline(0.95, color="black", linewidth=0.8)
        _percent(axes)
    panels[0].set_ylabel("holds the truth")
    canvas.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=7)
    return canvas


def _power(evidence: Evidence) -> Figure:
    canvas = figure(6, 3.6)
    axes = canvas.subplots()
    rates = evidence.of(power.CAUGHT)
    sizes = [case.n for case in rates]
    low, high = zip(*(rate.bounds for rate in rates.values()), strict=True)
    axes.fill_between(sizes, low, high, color=COLOURS[0], alpha=0.2)
    axes.plot(sizes, [rate.share for rate in rates.values()], "o-", color=COLOURS[0])
    axes.axhline(power.PLAN.power, color="black", linewidth=0.8)
    axes.axvline(evidence.planned, color=COLOURS[1], linestyle="--", label=f"planned for 90%: {evidence.planned:,}")
    axes.set_xlabel("examples")
    axes.set_ylabel(f"loss of {power.LOSS} ROUGE-L caught")
    axes.legend(frameon=False, loc="lower right")
    _percent(axes)
    return canvas


def _looks(evidence: Evidence) -> Figure:
    canvas = figure(6, 3.6)
    axes = canvas.subplots()
    for i, what in enumerate((peeking.GATE, peeking.EDGE, peeking.FIXED)):
        rates = evidence.of(what)
        axes.plot([case.n for case in rates], [rate.share for rate in rates.values()], color=COLOURS[i], label=what)
    axes.axhline(0.05, color="black", linewidth=0.8)
    axes.set_xlabel(f"examples, looked at after every {peeking.CHUNK}")
    axes.set_ylabel("truth ever excluded")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    _percent(axes)
    return canvas


def _percent(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(axis="y", alpha=0.3)
