"""Shapes of data that people evaluate on: references of one kind each, and answers that are wrong for them.

Every metric has to give its best score to the references themselves, or say that it cannot read them; and where it
reads them, a broken answer has to score less. `benchmarks.evidence.oracles` prints who does; the suite holds it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """References of one kind; `labels` where they are the classes of a classification."""

    name: str
    references: tuple[str, ...]
    labels: tuple[str, ...] = ()


def broken(references: Sequence[str]) -> list[str]:
    """Return wrong answers of the same kind: each is the reference of another example that is not equal."""
    answers = []
    for i, reference in enumerate(references):
        following = [*references[i + 1 :], *references[:i]]
        answers.append(next(other for other in following if other.strip() != reference.strip()))
    return answers


_CODE = (
    'def area(r: float) -> float:\n    """Area of a disc."""\n    return math.pi * r**2',
    "for i, word in enumerate(words):\n\tif word not in seen:\n\t\tprint(i, word)",
    'class Point:\n    x: int = 0\n\n    def __repr__(self):\n        return f"Point({self.x})"',
)
_SQL = (
    "SELECT name, COUNT(*) FROM orders WHERE total > 100 GROUP BY name;",
    "UPDATE users SET active = FALSE WHERE last_login < '2024-01-01';",
    "SELECT o.id FROM orders o LEFT JOIN users u ON u.id = o.user_id",
)
_OBJECTS = (
    {"name": "Ada Lovelace", "born": 1815, "tags": ["maths", "poetry"]},
    {"name": "Alan Turing", "born": 1912, "tags": ["logic"], "alive": False},
    {"name": "Grace Hopper", "born": 1906, "tags": [], "rank": None},
)
_CHAT = (
    "Sure! Here is how to do it:\n\nFirst, open the lid. Then press the green button.\n\nLet me know if that helps.",
    "I'm sorry to hear that.\n\nCould you tell me the order number? I will then look into it at once.",
    "No, the library is closed on Sundays.\n\nIt opens again on Monday at 9:00, and closes at 18:30.",
)

SHAPES = (
    Shape(
        "English sentences",
        (
            "The quick brown fox jumps over the lazy dog.",
            "Photosynthesis converts light into chemical energy.",
            "A bridge across the river was opened in 1867.",
        ),
    ),
    Shape("Japanese", ("今日は天気がいいので散歩に行きました。", "東京は日本の首都です。", "彼はラーメンを食べたい。")),
    Shape("Chinese", ("今天天气很好，我们去公园散步。", "北京是中国的首都。", "这道菜太辣了，我吃不下。")),
    Shape(
        "Chinese with Latin words",
        ("GPT-4 的表现比上一个版本好得多。", "iPhone 手机很好用", "他在2023年买了一本新书。"),
    ),
    Shape("Thai", ("วันนี้อากาศดีมาก", "กรุงเทพเป็นเมืองหลวงของประเทศไทย", "ฉันชอบกินข้าวผัด")),
    Shape("Arabic", ("الطقس جميل اليوم", "القاهرة هي عاصمة مصر", "أحب قراءة الكتب القديمة")),
    Shape("Hindi", ("आज मौसम बहुत अच्छा है।", "दिल्ली भारत की राजधानी है।", "मुझे किताबें पढ़ना पसंद है।")),
    Shape("Russian", ("Сегодня хорошая погода.", "Москва — столица России.", "Он купил новую книгу вчера.")),
    Shape("Greek", ("Ο καιρός είναι καλός σήμερα.", "Η Αθήνα είναι η πρωτεύουσα.", "Αγόρασε ένα νέο βιβλίο.")),
    Shape("Korean", ("오늘은 날씨가 참 좋습니다.", "서울은 대한민국의 수도입니다.", "그는 어제 새 책을 샀다.")),
    Shape("Hebrew", ("מזג האוויר יפה היום.", "ירושלים היא בירת ישראל.", "הוא קנה ספר חדש אתמול.")),
    Shape("Khmer and Lao", ("ភ្នំពេញជារាជធានី", "សួស្តីពិភពលោក", "ສະບາຍດີຊາວໂລກ")),
    Shape("Vietnamese", ("Hôm nay trời đẹp.", "Hà Nội là thủ đô của Việt Nam.", "Anh ấy đã mua một cuốn sách mới.")),
    Shape("German", ("Die Straße ist naß.", "Köln liegt am Rhein.", "Er kaufte gestern ein neues Buch für Ömer.")),
    Shape("emoji", ("👍", "👎🏽", "👩‍👩‍👧🎉")),
    Shape("one word", ("Paris", "photosynthesis", "London")),
    Shape("labels", ("positive", "negative", "neutral"), ("positive", "negative", "neutral")),
    Shape("labels in Chinese", ("正面", "负面", "中性"), ("正面", "负面", "中性")),
    Shape("choices", ("A", "B", "The"), ("A", "B", "The")),
    Shape("whole numbers", ("42", "7", "1000")),
    Shape("negative and decimal numbers", ("-4.5", "4.5", "45", "-45", ".5", "5")),
    Shape("booleans", ("true", "false", "null"), ("true", "false", "null")),
    Shape("dates", ("2024-01-05", "5 January 2024", "05/01/2024")),
    Shape("JSON objects", tuple(map(json.dumps, _OBJECTS))),
    Shape("JSON lists", ('["a", "b"]', "[1, 2, 3]", "[]", '[{"x": -1}]')),
    Shape("nested JSON of several lines", tuple(json.dumps({"rows": [row]}, indent=2) for row in _OBJECTS)),
    Shape("Python code", _CODE),
    Shape("SQL", _SQL),
    Shape("markdown lists", ("- milk\n- eggs\n- bread", "* **one**\n* two\n  * three", "1. first\n2. second")),
    Shape("lists of lines", ("red\ngreen\nblue", "one\n\ntwo\n", "north\neast")),
    Shape("chat answers of several paragraphs", _CHAT),
    Shape(
        "HTML", ('<p class="x">A <b>bold</b> word &amp; more.</p>', "<ul><li>one</li></ul>", "<br/><img src='a.png'>")
    ),
    Shape("LaTeX", (r"\frac{a}{b} = \sqrt{x^2 + 1}", r"$E = mc^2$", r"\sum_{i=1}^{n} i = \frac{n(n+1)}{2}")),
    Shape("URLs", ("https://example.com/a?b=1&c=2#d", "http://localhost:8080/", "ftp://files.example.org/x.tar.gz")),
    Shape("punctuation alone", ("?", "!", "...", "—")),
    Shape("very long texts", tuple(f"{word} " * 600 + "end." for word in ("alpha beta", "gamma", "delta eta"))),
    Shape("whitespace around", ("  padded", "trailing  \n", "\ttabs\t")),
    Shape("CRLF inside", ("one\r\ntwo", "three\r\n\r\nfour", "five\r\nsix\r\n")),
    Shape("combining marks, composed", ("café crème", "naïve façade", "Åse på øya")),
    Shape("combining marks, decomposed", ("cafe\u0301 noir", "nai\u0308ve fac\u0327ade", "A\u030ase pa\u030a øya")),
    Shape("zero-width characters", ("zero\u200bwidth", "non\u200cjoiner می\u200cروم", "\ufeffmark at the start")),
)
