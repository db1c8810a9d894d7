import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from harness.tasks.split import normalise, pool_size, pools, pools_by_size, subset
from harness.types import Example


def examples(n: int) -> list[Example]:
    return [Example(f"id{i}", f"prompt {i}", "reference") for i in range(n)]


@given(st.integers(0, 60), st.integers(0, 80), st.integers(0, 5))
def test_a_split_is_disjoint_total_and_of_the_size_asked_for(n: int, size: int, seed: int) -> None:
    train, validation = pools(examples(n), size, seed)
    assert len(validation) == min(n, size)
    assert sorted(e.id for e in (*train, *validation)) == sorted(e.id for e in examples(n))


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 5))
def test_a_smaller_subset_is_the_start_of_a_larger_one(a: int, b: int, seed: int) -> None:
    small, large = sorted((a, b))
    assert subset(examples(40), large, seed)[:small] == subset(examples(40), small, seed)


def test_nothing_depends_on_the_order_of_the_rows() -> None:
    shuffled = examples(50)
    random.Random(1).shuffle(shuffled)
    assert pools(shuffled, 10, 0) == pools(examples(50), 10, 0)
    assert subset(shuffled, 7, 0) == subset(examples(50), 7, 0)


def test_seeds_differ() -> None:
    assert pools(examples(50), 10, 0) != pools(examples(50), 10, 1)
    assert subset(examples(50), 10, 0) != subset(examples(50), 10, 1)


def test_a_new_row_moves_at_most_one_other() -> None:
    before = {e.id for e in pools(examples(50), 20, 0)[1]}
    after = {e.id for e in pools(examples(51), 20, 0)[1]}
    assert len(before - after) <= 1


def test_prompts_that_are_equal_once_normalised_stay_together() -> None:
    same = [
        Example(f"same{i}", prompt, "r") for i, prompt in enumerate(["Cell (biology)", "cell biology", "Cell biology?"])
    ]
    for size in range(12):
        train, validation = pools([*examples(9), *same], size, 0)
        assert {e.id in {v.id for v in validation} for e in same} in ({True}, {False})
        assert min(size, 1) <= len(validation)
        assert size - 2 <= len(validation) <= max(size, 3 * min(size, 1))
        assert len(train) == 12 - len(validation)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Cell (biology)", "cell biology"),
        ("  ＡＢＣ\tx ", "abc x"),
        ("Straße", "strasse"),
        ("???", "???"),
        ("Su Shi", "su shi"),
        ("ป้า, ป่า", "ป้า ป่า"),
        ("C++ & C", "c++ c"),
    ],
)
def test_normalise(prompt: str, expected: str) -> None:
    assert normalise(prompt) == expected


def test_all_and_none() -> None:
    assert len(subset(examples(5), None, 0)) == 5
    assert subset(examples(5), 0, 0) == ()


@pytest.mark.parametrize("n", [6, -1])
def test_more_than_there_are(n: int) -> None:
    with pytest.raises(DataError, match=rf"expected 0 to 5 .* got {n}"):
        subset(examples(5), n, 0)


@given(st.integers(1, 5000))
def test_the_pools_of_a_file_leave_a_fifth_to_train_on_and_enough_to_score(n: int) -> None:
    pool = pool_size(n, "auto")
    assert 1 <= pool <= min(n, 2000)
    assert pool >= min(64, 0.6 * n)
    assert n - pool >= n // 5
    assert n < 12 or n - pool >= 4
    assert pool_size(n, None) == n


def test_a_number_that_is_asked_for_is_reached_though_prompts_repeat() -> None:
    rows = [Example(f"id{i}", f"prompt {i // 3}", "reference") for i in range(30)]
    train, validation, (notice,) = pools_by_size(rows, None, 25, 0)
    assert (len(train), len(validation)) == (3, 27)
    assert notice.message == "rows: 25 scored, 2 more for validation, 3 for training"
    same = [Example(f"id{i}", "prompt", "reference") for i in range(30)]
    assert [len(part) for part in pools_by_size(same, None, "auto", 0)[:2]] == [0, 30]


@pytest.mark.parametrize(
    ("setting", "fix"),
    [
        ("task.n_validation", "or use null for all"),
        ("prompt.shots", r"task\.train_path"),
        ("finetune.n_train", r"task\.validation_pool"),
    ],
)
def test_what_asks_for_more_than_there_are_is_named(setting: str, fix: str) -> None:
    with pytest.raises(DataError, match=rf"{setting}: expected 0 to 5 examples.*{fix}"):
        subset(examples(5), 6, 0, setting)
