"""Reports: how long it takes to make one of 12 runs x 10,000 completions, and to open its page in a browser.

The runs are real ones, scored and stored as `python -m harness run` does it, from first sentences of Wikipedia and
systems with more and more errors; making them is not timed. `report` is the whole command in a process of its
own, imports included. A page is open when its table is painted and the browser has read the whole file, measured
from the start of the navigation by the page's own clock; the median of five. No other harness writes such a page, so
there is no peer in the same run: the targets are 30 s and 2 s.

    python -m benchmarks.speed.report [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.speed.pairs import FULL, QUICK, WIKI, Size, texts
from harness import pipeline
from harness.config import (
    FineTuneConfig,
    GenerationConfig,
    HarnessConfig,
    JsonlTaskConfig,
    MetricsConfig,
    PromptConfig,
    PromptStyle,
    ReplayModelConfig,
    ReportConfig,
    StatsConfig,
    TrackingConfig,
    TrackingMode,
)
from harness.paths import resolve
from tests.support.browser import Browser, missing

METRICS = ["exact_match", "exact_match_normalized", "prefix_match", "token_f1", "rouge1", "rouge2", "rougeL"]
METRICS += ["rougeLsum", "bleu", "chrf", "ter", "length_ratio", "repetition"]
OPENINGS = 5
TRUNCATED, FAILED = 31, 301
"""One completion in so many is truncated at the limit, or failed."""
_READY = "return performance.getEntriesByName('painted').length && document.readyState === 'complete'"
_OPENED = """const n = performance.getEntriesByType('navigation')[0];
return [performance.getEntriesByName('painted')[0].startTime, Math.max(n.domContentLoadedEventEnd, n.loadEventEnd)]"""
_BROWSE = """const start = performance.now(); document.getElementById('tab-completions').click();
const found = () => performance.getEntriesByName('completions')[0];
return new Promise((done) => {
  const look = () => (found() ? done(found().startTime - start) : setTimeout(look, 5));
  look();
})"""


@dataclass(frozen=True, slots=True)
class Opening:
    """Seconds until the table is painted, until the whole page is read, and to show the first completions."""

    painted: float
    whole: float
    browsing: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer runs of fewer completions")
    options = parser.parse_args()
    if absent := missing():
        sys.exit(absent)
    size = QUICK if options.quick else FULL
    with tempfile.TemporaryDirectory() as folder:
        make_runs(Path(folder), size)
        seconds, page = report(Path(folder))
        openings = opened(page)
        megabytes = page.stat().st_size / 1e6
    typical = Opening(*(statistics.median(getattr(o, name) for o in openings) for name in Opening.__slots__))
    table = Table(title=f"{size.systems} runs x {size.pairs:,} completions, {len(METRICS)} metrics")
    for column, kind in (("what", "left"), ("figure", "right"), ("target", "right")):
        table.add_column(column, justify="right" if kind == "right" else "left")
    table.add_row("python -m harness report", f"{seconds:.1f} s", "< 30 s")
    table.add_row("page: table painted", f"{typical.painted:.2f} s", "")
    table.add_row("page: painted and wholly read", f"{max(typical.painted, typical.whole):.2f} s", "< 2 s")
    table.add_row("page: first completions after a click", f"{typical.browsing:.2f} s", "")
    table.add_row("page: size", f"{megabytes:.1f} MB", "")
    Console().print(table)
    figures = {
        "report_seconds": round(seconds, 2),
        "page_open_seconds": round(max(typical.painted, typical.whole), 3),
        "page_browse_seconds": round(typical.browsing, 3),
        "page_megabytes": round(megabytes, 2),
    }
    print(json.dumps(figures))


def make_runs(folder: Path, size: Size) -> None:
    """Score and store one run for each system."""
    examples, systems = texts(size)
    articles = list(json.loads(resolve(WIKI).read_text("utf-8")).values())
    rows = [{"id": e.prompt, "prompt": e.prompt, "completion": e.reference} for e in examples]
    _write(folder / "data.jsonl", [{**row, "topic": a["topic"]} for row, a in zip(rows, articles, strict=False)])
    _write(folder / "train.jsonl", [{"prompt": "what is learnt", "completion": "nothing"}])
    for i, answers in enumerate(systems):
        path = folder / f"system-{i}.jsonl"
        _write(path, [_answer(row["id"], text, i + k) for k, (row, text) in enumerate(zip(rows, answers, strict=True))])
        pipeline.run(_config(folder, path), "python -m benchmarks.speed.report")  # which reports its progress on stderr


def report(folder: Path) -> tuple[float, Path]:
    """Return the seconds of the whole command, and the page that it wrote."""
    command = [sys.executable, "-m", "harness", "report", "--store", str(folder / "store"), "--out", str(folder)]
    start = time.perf_counter()
    subprocess.run([*command, "--name", "speed"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start, folder / "first_sentences" / "speed" / "index.html"


def opened(page: Path) -> list[Opening]:
    """Open the page a few times in a browser that is already running."""
    openings = []
    with Browser() as browser:
        for _ in range(OPENINGS):
            browser.open(page)
            browser.wait(_READY)
            painted, whole = browser.run(_OPENED)
            openings.append(Opening(painted / 1000, whole / 1000, browser.run(_BROWSE) / 1000))
    return openings


def _config(folder: Path, path: Path) -> HarnessConfig:
    return HarnessConfig(
        name=path.stem,
        store=str(folder / "store"),
        task=JsonlTaskConfig(
            name="first_sentences",
            dataset="jsonl",
            n_validation=None,
            path=str(folder / "data.jsonl"),
            train_path=str(folder / "train.jsonl"),
        ),
        model=ReplayModelConfig("replay", path.stem, str(path)),
        finetune=FineTuneConfig(),
        prompt=PromptConfig("plain", PromptStyle.plain),
        generation=GenerationConfig(),
        metrics=MetricsConfig(METRICS),
        stats=StatsConfig(),
        tracking=TrackingConfig(TrackingMode.disabled),
        report=ReportConfig(str(folder), "speed"),
    )


def _answer(example_id: str, text: str, k: int) -> dict[str, str]:
    if k % FAILED == 0:
        return {"id": example_id, "error": "the connection was closed"}
    return {"id": example_id, "completion": text, "finish_reason": "length" if k % TRUNCATED == 0 else "stop"}


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
