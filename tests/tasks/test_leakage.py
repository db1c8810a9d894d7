"""What counts as the same prompt, in every script."""

from __future__ import annotations

import pytest

from harness.tasks.leakage import LeakKind, leaks
from harness.types import Example

ZH = "请问在一九九八年的世界杯决赛里究竟是哪一位球员打进了最后一个球"
TH = "ประเทศไทยมีแม่น้ำสายสำคัญที่ไหลผ่านกรุงเทพมหานครชื่อว่าอะไร"
EN = "If Tom has 12 apples and buys 35 more at the market, how many apples does Tom have"

PAIRS = [
    # a training prompt, a validation prompt, and how the second leaks
    ("ป่า", "ป้า", None),
    ("कि", "की", None),
    ("كَتَبَ", "كُتُب", None),
    ("cafe\u0301 menu", "Café menu!", LeakKind.NORMALISED),
    ("東京はどこですか", "東京はどこですか？", LeakKind.NORMALISED),
    ("Translate 🙂", "Translate 🙃", None),
    ("🙂", "🙃", None),
    ("I ❤ you", "I ❤\ufe0f you", LeakKind.NORMALISED),
    ("C", "C++", None),
    ("3 + 4 = ?", "3 - 4 = ?", None),
    ("3 * 4 = ?", "3 / 4 = ?", None),
    ("3*4?", "3 * 4", LeakKind.NORMALISED),
    ("co\u00adoperate", "cooperate", LeakKind.NORMALISED),
    (EN, EN.replace("35", "36"), None),
    (EN, EN.replace("market", "shop"), LeakKind.NEAR),
    (ZH, ZH + "呢", LeakKind.NEAR),
    (ZH, "请问在一九九八年的奥运会闭幕式上究竟是哪一位歌手唱了最后一首歌", None),
    (TH, TH + "ครับ", LeakKind.NEAR),
]


@pytest.mark.parametrize(("train", "validation", "kind"), PAIRS)
def test_prompts_are_compared_by_words_of_their_script(train: str, validation: str, kind: LeakKind | None) -> None:
    leaked = leaks([Example("t", train, "r")], [Example("v", validation, "r")])
    assert [leak.kind for leak in leaked] == ([kind] if kind else [])


def test_long_completions_leak_without_spaces_too() -> None:
    answer = "因为那艘船在大浪之中无法靠岸所以他拒绝离开"
    train = [Example("a", "x", answer), Example("b", "y", "是的")]
    assert [leak.kind for leak in leaks(train, [Example("c", "z", answer), Example("d", "w", "是的")])] == [
        LeakKind.COMPLETION
    ]
