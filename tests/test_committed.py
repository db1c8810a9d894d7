"""What is committed holds no text of Wikipedia, which is loaded from a package at run time and has its own licence."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from harness.errors import MissingExtra
from harness.paths import resolve
from harness.tasks.stopping import first_sentence
from tests.support.text_pairs import WIKI

ROOT = Path(__file__).parent.parent
START = 48
"""Characters by which a sentence is looked for before it is compared whole."""


def references() -> dict[str, list[str]]:
    """Return the first sentences of all articles by how they start, but for those that are no longer."""
    try:
        articles = json.loads(resolve(WIKI).read_text("utf-8"))
    except MissingExtra as error:
        pytest.skip(str(error))
    sentences: dict[str, list[str]] = {}
    for article in articles.values():
        if len(sentence := first_sentence(article.get("extract", ""))) > START:
            sentences.setdefault(sentence[:START], []).append(sentence)
    return sentences


def held(text: str, sentences: dict[str, list[str]]) -> list[str]:
    starts = (i for i in range(len(text) - START) if text[i : i + START] in sentences)
    return [sentence for i in starts for sentence in sentences[text[i : i + START]] if text.startswith(sentence, i)]


def test_reports_and_baselines_hold_no_reference() -> None:
    listed = subprocess.run(["git", "ls-files", "reports", "benchmarks"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a checkout")
    sentences = references()
    assert len(held(f"it says: {sentences[next(iter(sentences))][0]}", sentences)) == 1
    paths = [ROOT / name for name in listed.stdout.splitlines()]
    texts = {path: path.read_text("utf-8") for path in paths if path.suffix in {".md", ".html", ".json", ".jsonl"}}
    assert len(texts) > 5
    assert {path.name: quoted for path, text in texts.items() if (quoted := held(text, sentences))} == {}
