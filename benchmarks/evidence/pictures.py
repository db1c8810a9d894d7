"""Three pictures of what was found: coverage, power, and looks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.evidence import coverage, peeking, power
from benchmarks.evidence.found import Found
from harness.reports.plots.style import COLOURS, figure, mark, save, settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(found: Found, folder: Path) -> None:
    """Write all pictures to `folder`."""
    with settings():
        save(_coverage(found), folder, "coverage")
        save(_power(found), folder, "power")
        save(_looks(found), folder, "peeking")


def _coverage(found: Found) -> Figure:
    made = figure(9, 4.2)
    panels = made.subplots(1, 2, sharey=True)
    metrics = list(dict.fromkeys(case.metric for case in found.of(coverage.SCORE)))
    for axes, what in zip(panels, (coverage.SCORE, coverage.DIFFERENCE), strict=True):
        rates = found.of(what)
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
    made.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=7)
    return made


def _power(found: Found) -> Figure:
    made = figure(6, 3.6)
    axes = made.subplots()
    rates = found.of(power.CAUGHT)
    sizes = [case.n for case in rates]
    low, high = zip(*(rate.bounds for rate in rates.values()), strict=True)
    axes.fill_between(sizes, low, high, color=COLOURS[0], alpha=0.2)
    axes.plot(sizes, [rate.share for rate in rates.values()], "o-", color=COLOURS[0])
    axes.axhline(power.PLAN.power, color="black", linewidth=0.8)
    axes.axvline(found.planned, color=COLOURS[1], linestyle="--", label=f"planned for 90%: {found.planned:,}")
    axes.set_xlabel("examples")
    axes.set_ylabel(f"loss of {power.LOSS} ROUGE-L caught")
    axes.legend(frameon=False, loc="lower right")
    _percent(axes)
    return made


def _looks(found: Found) -> Figure:
    made = figure(6, 3.6)
    axes = made.subplots()
    for i, what in enumerate((peeking.GATE, peeking.EDGE, peeking.FIXED)):
        rates = found.of(what)
        axes.plot([case.n for case in rates], [rate.share for rate in rates.values()], color=COLOURS[i], label=what)
    axes.axhline(0.05, color="black", linewidth=0.8)
    axes.set_xlabel(f"examples, looked at after every {peeking.CHUNK}")
    axes.set_ylabel("truth ever excluded")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    _percent(axes)
    return made


def _percent(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(axis="y", alpha=0.3)
