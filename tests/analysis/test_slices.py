"""Significant differences in slices, adjusted by Benjamini and Hochberg over all slices and runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import statsmodels.stats.multitest

from harness import registry
from harness.analysis.leaderboard import Leaderboard, by_task
from harness.analysis.slices import Mark
from harness.analysis.verdict import Aim
from harness.reports.markdown.slices import slice_section
from harness.reports.plots import PICTURES, heatmap
from tests.support.grids import RunSpec, store

TOPICS = ["arts"] * 40 + ["maths"] * 40 + ["rare"] * 6
RNG = np.random.default_rng(4)
BEST = RNG.beta(5, 5, 86)
WEAK = np.clip(BEST + RNG.normal(0, 0.05, 86) - np.repeat([0.0, 0.2, 0.3], [40, 40, 6]), 0, 1)
EQUAL = np.clip(BEST + RNG.normal(-0.002, 0.05, 86), 0, 1)


@pytest.fixture
def board(tmp_path: Path) -> Leaderboard:
    runs = [RunSpec(n, {"token_f1": v}, TOPICS) for n, v in (("best", BEST), ("equal", EQUAL), ("weak", WEAK))]
    return by_task(store(tmp_path, runs), registry.stored_metric)[0]


def test_only_differences_significant_after_adjustment_are_marked(board: Leaderboard) -> None:
    [table] = board.slices
    assert (table.key, table.reference) == ("topic", 0)
    assert [(row.value, row.n) for row in table.rows] == [("arts", 40), ("maths", 40), ("rare", 6)]
    marks = [[cell.mark for cell in row.cells] for row in table.rows]
    assert marks == [
        [Mark.NONE, Mark.NONE, Mark.NONE],
        [Mark.NONE, Mark.NONE, Mark.WORSE],
        [Mark.NONE, Mark.TOO_FEW, Mark.TOO_FEW],
    ]


def test_p_values_are_those_of_the_paired_test_adjusted_over_all_slices(board: Leaderboard) -> None:
    cells = [cell for row in board.slices[0].rows for cell in row.cells if cell.comparison]
    assert len(cells) == 4
    p = []
    for part in (slice(0, 40), slice(40, 80)):
        for values in (EQUAL, WEAK):
            p.append(scipy.stats.ttest_rel(values[part], BEST[part]).pvalue)
    expected = statsmodels.stats.multitest.multipletests(p, method="fdr_bh")[1]
    assert [cell.p_adjusted for cell in cells] == pytest.approx(expected.tolist(), abs=0.03)
    maths = cells[3].comparison
    assert maths is not None
    assert maths.difference == pytest.approx(np.mean(WEAK[40:80] - BEST[40:80]))


def test_the_incumbent_is_the_reference(tmp_path: Path) -> None:
    runs = [RunSpec(n, {"token_f1": v}, TOPICS) for n, v in (("best", BEST), ("weak", WEAK))]
    board = by_task(store(tmp_path, runs), registry.stored_metric, aim=Aim("weak"))[0]
    assert board.slices[0].reference == 1
    assert [row.cells[0].mark for row in board.slices[0].rows] == [Mark.NONE, Mark.BETTER, Mark.TOO_FEW]


def test_a_single_run_has_scores_and_no_marks(tmp_path: Path) -> None:
    [board] = by_task(store(tmp_path, [RunSpec("one", {"token_f1": BEST}, TOPICS)]), registry.stored_metric)
    assert board.slices[0].reference is None
    assert board.slices[0].rows[0].cells[0].score is not None
    assert "▼" not in "\n".join(slice_section(board))


def test_the_table_explains_its_marks(board: Leaderboard) -> None:
    lines = list(slice_section(board))
    text = "\n".join(lines)
    assert "▼ significantly worse than best, the best overall," in text
    assert "1 of 4 tested cells" in text
    assert "† fewer than 10 examples" in text
    maths = next(line for line in lines if line.startswith("| maths"))
    assert maths.endswith("▼ |")
    rare = next(line for line in lines if line.startswith("| rare"))
    assert "| 6 † |" in rare
    assert "▼" not in rare


def test_the_heatmap_shows_numbers_marks_and_n(board: Leaderboard) -> None:
    axes = heatmap.draw(board).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "all examples  (n = 86)",
        "arts  (n = 40)",
        "maths  (n = 40)",
        "rare  (n = 6)",
    ]
    texts = [text.get_text() for text in axes.texts]
    assert texts[8] == f"{np.mean(WEAK[40:80]):.2f} ▼"
    assert sum("▼" in text for text in texts) == 1
    assert [picture.name for picture in PICTURES if picture.draw is heatmap.draw and picture.applies(board)] == [
        "slices"
    ]
