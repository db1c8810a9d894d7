"""The style of all plots: colours, markers, a white background, and reproducible files.

Colours are those of Okabe and Ito (2008), which are safe for colour-blind readers; each comes with a marker, for black
and white print. The background is white in light and dark mode.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.reports.formatting import shorten
from harness.wording import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PICTURES = re.compile("[\u2400-\u2426]")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#808080"
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
NAME = 60
"""Characters of a name that a plot shows."""
WIDE = 8
"""An axis whose ends differ by this factor or more is logarithmic."""


def mark(i: int) -> tuple[str, str]:
    """Return the colour and marker of the `i`-th series; the first 49 are distinct."""
    return COLOURS[i % len(COLOURS)], MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]


def figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches; it needs no display."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def label(name: str) -> str:
    """Return a name on one line, truncated; the font lacks the symbols for control characters."""
    return _PICTURES.sub("\ufffd", shorten(visible(name), NAME))


def ink(colour: Iterable[float]) -> str:
    """Return black or white, whichever has more contrast on an sRGB colour (WCAG 2.1, relative luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"


@contextmanager
def settings() -> Iterator[None]:
    """Draw `$` as text instead of a formula, and give SVG elements reproducible ids."""
    import matplotlib

    with matplotlib.rc_context({"text.parse_math": False, "svg.hashsalt": "harness"}):
        yield


def cost_axis(axes: Axes, values: Sequence[float]) -> None:
    """Scale an axis of non-negative values, logarithmically if their range is wide, with plain numbers as labels."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = min(values), max(values)
    if low > 0 and high >= WIDE * low:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high <= 100 * low else (1.0,)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 100 else f"{value:.3g}"))


def settle(figure: Figure) -> None:
    """Compute the layout once: it is slow, and would be computed again whenever the figure is written."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.execute(figure)
        figure.set_layout_engine("none")


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write the figure as `name`.svg and `name`.png, without a date so that equal figures are equal files."""
    folder.mkdir(parents=True, exist_ok=True)
    settle(figure)
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    figure.savefig(folder / f"{name}.png", dpi=150)
