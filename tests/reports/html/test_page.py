"""The page in a real browser: what it shows, how it is used, and that untrusted text stays text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from harness import pipeline, registry
from harness.analysis.leaderboard import Leaderboard, by_task
from harness.analysis.verdict import Aim
from harness.config import ReportConfig
from harness.reports.html.page import PageSink, embedded
from harness.types import CurvePoint, FineTuneRecord
from tests.support.browser import Browser, missing, required
from tests.support.fakes import config
from tests.support.grids import RunSpec, store
from tests.support.replays import replayed

NASTY = "<img src=x onerror=alert(1)>|=1+1 </script><!-- & \u2028 \x1b[31m \u202e `$"
SHOWN = "<img src=x onerror=alert(1)>|=1+1 </script><!-- & \u2028 ␛[31m ⟨U+202E⟩ `$"
"""The same, as the page shows it."""
N = 45


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Leaderboard:
    folder = tmp_path_factory.mktemp("page")
    rows = [
        {"id": f"e{i}", "prompt": f"{NASTY} {i}", "completion": f"secret {i} {NASTY}", "topic": f"{NASTY}{i % 3}"}
        for i in range(2 * N)
    ]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = [config(folder, "fine", N), config(folder, "failing", N, error_rate=0.2)]
    for run in settings:
        run.task.validation_pool = N
    return by_task([pipeline.run(run, "python -m harness run") for run in settings], registry.stored_metric)[0]


@pytest.fixture(scope="module")
def page(board: Leaderboard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(board, tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if absent := missing():
        if required():
            pytest.fail(absent)
        pytest.skip(absent)
    with Browser() as started:
        yield started


@pytest.fixture
def opened(browser: Browser, page: Path) -> Iterator[Browser]:
    """The page, just opened; it must neither ask for anything nor complain, whatever the test does with it."""
    browser.log("browser")
    browser.requests()
    browser.open(page)
    browser.wait("return performance.getEntriesByName('painted').length")
    yield browser
    assert [entry["message"] for entry in browser.log("browser")] == []
    assert {url.split("#")[0] for url in browser.requests()} <= {page.resolve().as_uri()}


def written(board: Leaderboard, out: Path, references: bool = True) -> Path:
    [path] = PageSink(ReportConfig(str(out), "r", references)).write(board)
    return Path(path)


def browse(browser: Browser) -> None:
    browser.click("#tab-completions")
    settled(browser)


def settled(browser: Browser) -> None:
    browser.wait(
        "return document.querySelector('#cards article, #cards .none') && !document.querySelector('[aria-busy]')"
    )


def column(browser: Browser, css: str) -> list[str]:
    texts: list[str] = browser.run("return [...document.querySelectorAll(arguments[0])].map((n) => n.textContent)", css)
    return texts


def test_the_verdict_comes_first_and_the_table_has_every_run(opened: Browser, board: Leaderboard) -> None:
    assert opened.text("#verdict .why") == board.verdict.text
    names = [entry.run.result.name for entry in board.entries]
    assert column(opened, "#leaderboard-table tbody th .name") == names
    heads = column(opened, "#leaderboard-table thead th")
    assert heads[:3] == ["run", "tie group", f"{board.primary}\u00a0↑"]
    assert {"errors", "truncated"} <= set(heads)


def test_a_heading_sorts_and_says_so(opened: Browser, board: Leaderboard) -> None:
    names = column(opened, "#leaderboard-table tbody th .name")
    assert opened.run("return document.querySelector('th[aria-sort]').textContent") == f"{board.primary}\u00a0↑"
    opened.click("[data-sort=run]")
    assert column(opened, "#leaderboard-table tbody th .name") == sorted(names)
    opened.click("[data-sort=run]")
    assert column(opened, "#leaderboard-table tbody th .name") == sorted(names, reverse=True)
    assert opened.run("return document.querySelector('th[aria-sort]').getAttribute('aria-sort')") == "descending"
    assert opened.run("return document.activeElement.dataset.sort") == "run"
    opened.click("[data-sort=errors]")
    assert column(opened, "#leaderboard-table tbody th .name") == ["fine", "failing"]


def test_foreign_text_is_shown_and_does_nothing(opened: Browser) -> None:
    browse(opened)
    assert opened.run("return document.querySelector('#cards h3').textContent").startswith(SHOWN)
    assert opened.run("return document.querySelector('#cards .reference .text').textContent").endswith(SHOWN)
    answer = opened.run("return document.querySelector('#cards .answer .text').textContent")
    assert answer.startswith(" ".join(SHOWN.split()))  # the echo keeps words and not the space between them
    assert opened.run("return document.querySelectorAll('main img, main script').length") == 0
    opened.click("#tab-slices")
    assert column(opened, ".slices tbody th") == [f"{SHOWN}{i}" for i in range(3)]


def test_no_script_but_its_own_can_run(opened: Browser) -> None:
    attempts = {
        "TrustedHTML": "document.body.innerHTML = '<img src=x onerror=\"window.ran = true\">'",
        "TrustedScript": "document.createElement('script').text = 'window.ran = true'",
        "img-src": "new Image().src = 'https://example.org/x.png'",
        "connect-src": "fetch('https://example.org').catch(() => 0)",
        "style-src": "document.body.setAttribute('style', 'color: red')",
    }
    for refusal, attempt in attempts.items():
        opened.run(f"try {{ {attempt} }} catch (error) {{ if (error.name !== 'TypeError') throw error; }}")
        messages = " ".join(entry["message"] for entry in opened.log("browser"))
        assert refusal in messages or f"{refusal}' was not explicitly set" in messages, messages
    assert not opened.run("return window.ran")
    assert "https://example.org/x.png" in opened.requests()  # that of this test alone, and refused


def test_completions_are_searched_filtered_and_paged(opened: Browser) -> None:
    browse(opened)
    assert len(column(opened, "#cards article")) == 20
    assert opened.text(".pager .shown") == f"1 to 20 of {N}"
    opened.click("[aria-label='Last page']")
    settled(opened)
    assert opened.text(".pager .shown") == f"41 to {N} of {N}"
    example = opened.run("return document.querySelector('#cards article').dataset.example")
    opened.type("#search", f"{example}\n")
    opened.wait("return document.querySelectorAll('#cards article').length === 1")
    assert opened.run("return document.querySelector('#cards article').dataset.example") == example
    opened.type("#search", "no such title")
    opened.wait("return document.querySelector('#cards .none')")


def test_what_is_behind_a_completion_is_shown_on_demand(browser: Browser, tmp_path: Path) -> None:
    texts = [f"<think>{NASTY} why</think>\n\nThing"] * 3
    board = by_task([replayed(tmp_path, "thinks", texts)], registry.stored_metric)[0]
    browser.open(written(board, tmp_path / "out"))
    browse(browser)
    summary = "article:first-child details.behind summary"
    assert column(browser, summary) == ["prompt, reasoning, text as it came"]
    browser.click(summary)
    browser.wait("return document.querySelector('details.behind dl')")
    prompt, reasoning, raw = column(browser, "article:first-child details.behind .text")
    assert prompt.startswith("user: ")
    assert reasoning == f"{SHOWN} why"
    assert raw.startswith("<think>")
    assert raw.endswith("Thing")


def test_completions_are_sorted_by_a_difference(opened: Browser, board: Leaderboard) -> None:
    fine, failing = sorted(board.entries, key=lambda entry: entry.run.result.usage.errors)
    scores = [
        {p.example.id: p.scores[board.primary] for p in entry.run.predictions() if p.completion.text is not None}
        for entry in (fine, failing)
    ]
    ids = (fine.run.result.run_id, failing.run.result.run_id)
    open_with(opened, f"#tab=completions&order=difference&a={ids[0]}&b={ids[1]}&size=100")
    shown = opened.run("return [...document.querySelectorAll('#cards article')].map((n) => n.dataset.example)")
    both = [i for i in shown if i in scores[0] and i in scores[1]]
    gaps = [(scores[0][i] or 0.0) - (scores[1][i] or 0.0) for i in both]
    assert len(shown) == N
    assert shown[: len(both)] == both  # what has no difference comes last
    assert gaps == sorted(gaps, reverse=True)
    open_with(opened, "#tab=completions&finish=e&size=100")
    assert len(column(opened, "#cards article")) == failing.run.result.usage.errors
    assert all("error: chosen to fail" in text for text in column(opened, "#cards article"))


def open_with(browser: Browser, fragment: str) -> None:
    browser.run("location.hash = arguments[0]", fragment)
    browser.wait("return location.hash === arguments[0]", fragment)
    browser.run("return new Promise((done) => setTimeout(done, 0))")
    settled(browser)


def test_a_link_opens_the_same_view(opened: Browser, page: Path) -> None:
    browse(opened)
    opened.click("[aria-label='Next page']")
    settled(opened)
    fragment = opened.run("return location.hash")
    shown = column(opened, "#cards h3")
    opened.open(page, fragment)
    settled(opened)
    assert column(opened, "#cards h3") == shown
    example = opened.run("return document.querySelectorAll('#cards article')[3].dataset.example")
    opened.open(page, f"#tab=completions&ex={example}")
    settled(opened)
    assert opened.run("return document.activeElement.dataset.example") == example


def test_it_is_worked_by_keyboard(opened: Browser) -> None:
    opened.click("#tab-leaderboard")
    opened.press("\ue014")  # right arrow
    assert opened.run("return document.activeElement.id") == "tab-scores"
    assert opened.run("return document.activeElement.getAttribute('aria-selected')") == "true"
    opened.press("/")
    settled(opened)
    assert opened.run("return document.activeElement.id") == "search"
    opened.press("\ue00c", "j", "j")  # escape, next, next
    cards = "return [...document.querySelectorAll('#cards article')].indexOf(document.activeElement)"
    assert opened.run(cards) == 1
    opened.press("n")
    settled(opened)
    assert opened.text(".pager .shown").startswith("21 to 40")
    opened.press("?")
    assert opened.run("return document.getElementById('help').open") is True


def test_the_theme_follows_the_system_until_it_is_chosen(opened: Browser) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    opened.prefer("light")
    light = opened.run(ground)
    opened.prefer("dark")
    dark = opened.run(ground)
    assert light != dark
    opened.click("#theme")
    assert opened.text("#theme") == "Theme: light"
    assert opened.run(ground) == light
    opened.click("#theme")
    opened.prefer("light")
    assert opened.run(ground) == dark
    opened.click("#theme")
    assert opened.text("#theme") == "Theme: auto"


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete grid of fine-tunes with learning curves, an incumbent and slices: everything that a page can hold."""
    folder = tmp_path_factory.mktemp("grid")
    rng = np.random.default_rng(0)
    curve = (CurvePoint(1, 8, 1e-3, 3.0, 2.5, 0.1, 0.4, 0.0), CurvePoint(2, 16, 1e-4, 2.0, 2.1, 0.1, 0.5, 0.1))
    runs = []
    for n, lr in product((20, 200), (0.1, 1.0)):
        scores = np.clip(0.2 + 0.2 * (n == 200) + 0.1 * lr + rng.normal(0, 0.1, 40), 0, 1)
        settings = {"finetune": {"n_train": n, "learning_rate_multiplier": lr}}
        record = FineTuneRecord("lora", n, 3.0, 1000, 10, 2, curve)
        topics = ["arts" if i % 2 else "people" for i in range(40)]
        by_metric = {"rougeL": scores, "rouge1": scores**2}
        runs.append(RunSpec(f"n{n}-lr{lr}", by_metric, topics, settings, n, finetune=record))
    [board] = by_task(store(folder, runs), registry.stored_metric, aim=Aim("n20-lr0.1"))
    return written(board, folder)


def test_every_tab_has_what_it_is_for(browser: Browser, grid: Path) -> None:
    expected = {
        "leaderboard": "incumbent",
        "scores": "Differences of rougeL",
        "slices": "people",
        "factors": "Interactions",
        "cost": "parameters, millions",
        "curves": "best checkpoint kept",
        "metrics": "are redundant here",
        "completions": "all scores",
        "provenance": "Signatures",
    }
    browser.open(grid)
    browser.wait("return performance.getEntriesByName('painted').length")
    assert column(browser, "[role=tab]") == [tab.capitalize() for tab in expected]
    assert column(browser, "#verdict h1") == ["Ship n200-lr1.0"]
    for tab, words in expected.items():
        browser.click(f"#tab-{tab}")
        settled(browser) if tab == "completions" else None
        text = browser.run("return document.getElementById(arguments[0]).textContent", f"panel-{tab}")
        assert words in text
        assert not re.search(r"\[object|undefined|NaN|null", text), tab
    assert len(column(browser, "#panel-curves svg[role=img]")) == 5
    assert [entry["message"] for entry in browser.log("browser")] == []


def test_nothing_is_wider_than_a_phone(opened: Browser) -> None:
    opened.size(390, 844, phone=True)
    tabs = opened.run("return [...document.querySelectorAll('[role=tab]')].map((n) => n.id)")
    for tab in tabs:
        opened.run("document.getElementById(arguments[0]).click()", tab)
        opened.run("return new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))")
        assert opened.run("return document.documentElement.scrollWidth <= innerWidth"), tab
    opened.tools("Emulation.clearDeviceMetricsOverride")


def test_everything_has_a_name_that_is_read_aloud(opened: Browser) -> None:
    browse(opened)
    tree = opened.tools("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "tab", "checkbox", "combobox", "searchbox", "textbox", "spinbutton", "article"}
    nameless = [
        node["role"]["value"]
        for node in tree
        if not node["ignored"] and node.get("role", {}).get("value") in roles and not node.get("name", {}).get("value")
    ]
    assert nameless == []
    assert {"banner", "main", "tablist", "search", "navigation"} <= {n.get("role", {}).get("value") for n in tree}


def test_references_can_be_left_out(browser: Browser, board: Leaderboard, tmp_path: Path) -> None:
    path = written(board, tmp_path, references=False)
    browser.open(path, "#tab=completions")
    settled(browser)
    assert column(browser, "#cards .reference") == []
    assert not browser.run("return document.querySelector('select[name=diff] [value=reference]')")


class _Parsed(HTMLParser):
    """The elements of a page and the content of its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_file_asks_for_nothing_and_holds_no_foreign_markup(page: Path) -> None:
    text = page.read_text("utf-8")
    parsed = _Parsed()
    parsed.feed(text)
    assert not {"img", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in parsed.tags}
    assert [a["href"] for tag, a in parsed.tags if tag == "link"] == ["data:,"]
    assert all("src" not in attributes for _, attributes in parsed.tags)
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text)
    [policy] = [a["content"] or "" for tag, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


@pytest.mark.parametrize("text", ["</script>", "<!--<script>", "a\u2028b\u2029", "\ud800", '"&amp;', NASTY])
def test_embedded_json_is_the_value_and_no_markup(text: str) -> None:
    content = embedded({text: [text, 1.5, None]})
    assert json.loads(content) == {text: [text, 1.5, None]}
    assert content.isascii()
    assert not set("<>&") & set(content)
