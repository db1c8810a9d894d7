"""What all pictures have in common: colours, markers, a white ground, and files that do not change without reason.

Colours are Okabe and Ito's (2008), which colour-blind readers tell apart; a marker goes with each, for black and
white print. The ground is white in light and dark mode.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.reports.formatting import shorten, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PICTURES = re.compile("[\u2400-\u2426]")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#808080"
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
NAME = 60
"""Characters of a name that a picture shows."""
WIDE = 8
"""An axis whose ends are so many times apart goes by factors."""


def mark(i: int) -> tuple[str, str]:
    """Return the colour and marker of the `i`-th of several things: 49 pairs before one comes again."""
    return COLOURS[i % len(COLOURS)], MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]


def figure(width: float, height: float) -> Figure:
    """Return an empty figure, sizes in inches, that needs no display."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def label(name: str) -> str:
    """Return a name in one line and not too long; the font has no pictures of control characters."""
    return _PICTURES.sub("\ufffd", shorten(visible(name), NAME))


def ink(colour: Iterable[float]) -> str:
    """Return black or white, whichever has more contrast on an sRGB colour (WCAG 2.1, relative luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"


@contextmanager
def settings() -> Iterator[None]:
    """Let what is drawn within show `$` as text, and have ids in SVG that do not change from time to time."""
    import matplotlib

    with matplotlib.rc_context({"text.parse_math": False, "svg.hashsalt": "harness"}):
        yield


def cost_axis(axes: Axes, values: Sequence[float]) -> None:
    """Scale an axis of what is never negative: by factors where it spreads widely; its labels are plain numbers."""
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
    """Make the layout, which is slow, once and for all: it is not made again when the figure is written."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.execute(figure)
        figure.set_layout_engine("none")


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write the figure as `name`.svg and `name`.png, without a date."""
    folder.mkdir(parents=True, exist_ok=True)
    settle(figure)
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    figure.savefig(folder / f"{name}.png", dpi=150)
