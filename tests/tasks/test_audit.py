import time

import pytest

from harness.errors import DataError
from harness.tasks.audit import audit, fingerprint
from harness.tasks.leakage import LeakKind, leaks
from harness.types import Example, Message

LONG = "why did the old lighthouse keeper of Skerryvore refuse his replacement in winter"
ANSWER = "Because the boat that brought him could not land in the swell."


def example(prompt: str, reference: str = "r", name: str = "v") -> Example:
    return Example(f"{name}-{prompt}", prompt, reference, origin=f"{name}.jsonl:7")


@pytest.mark.parametrize(
    ("train", "validation", "kind"),
    [
        ("Mole", "Mole", LeakKind.EXACT),
        ("Cell (biology)", "cell biology", LeakKind.NORMALISED),
        (LONG, LONG + " storms", LeakKind.NEAR),
        ("Mole", "Vole", None),
        ("World War I", "World War II", None),
        (LONG, "why did the old lighthouse keeper of Fastnet accept a younger colleague in summer", None),
    ],
)
def test_leaks_of_prompts(train: str, validation: str, kind: LeakKind | None) -> None:
    leaked = leaks([example("Other", name="t"), example(train, name="t")], [example("Unseen"), example(validation)])
    assert [(leak.kind, leak.validation.prompt, leak.train.prompt) for leak in leaked] == (
        [(kind, validation, train)] if kind else []
    )


def test_long_completions_leak_and_labels_do_not() -> None:
    train = [example("a", ANSWER, "t"), example("b", "yes", "t")]
    leaked = leaks(train, [example("c", ANSWER.upper()), example("d", "yes")])
    assert [(leak.kind, leak.validation.prompt) for leak in leaked] == [(LeakKind.COMPLETION, "c")]


def test_the_words_of_a_template_make_no_prompts_near() -> None:
    prompts = [f"Translate this English word to French and answer with one word: w{i}" for i in range(60)]
    assert leaks([example(p, name="t") for p in prompts[:40]], [example(p) for p in prompts[40:]]) == ()


def test_an_exact_leak_stops_the_run_and_names_both_lines() -> None:
    train, validation = [example("Mole", name="t")], [example("Mole"), example("Vole")]
    with pytest.raises(DataError) as caught:
        audit(train, validation)
    assert str(caught.value) == (
        "the training examples contain 1 of 2 validation prompts: v.jsonl:7 'v-Mole' = t.jsonl:7 't-Mole'. "
        "Remove them from one side, or continue with task.allow_leakage=true."
    )
    (notice,) = audit(train, validation, allow_leakage=True)
    assert (notice.code, notice.count, notice.where) == ("leak_exact", 1, ("v.jsonl:7 'v-Mole' = t.jsonl:7 't-Mole'",))


def test_many_leaks_are_counted() -> None:
    rows = [example(f"p{i}") for i in range(9)]
    with pytest.raises(DataError, match=r"9 of 9 .* and 4 more\."):
        audit(rows, rows)


def test_the_fingerprint_is_of_the_examples_in_any_order() -> None:
    a, b = Example("1", "Käse", "Cheese.", {"topic": "food", "a": "b"}), Example("2", "Mole", "An animal.")
    golden = fingerprint([a, b])
    assert golden == "f15a7572eb59775f"
    assert fingerprint([b, a]) == golden
    assert fingerprint([Example("1", "Käse", "Cheese.", {"a": "b", "topic": "food"}, origin="x:1"), b]) == golden
    for changed in (
        Example("3", "Mole", "An animal."),
        Example("2", "Vole", "An animal."),
        Example("2", "Mole", "An animal"),
        Example("2", "Mole", "An animal.", {"topic": "food"}),
        Example("2", "Mole", "An animal.", messages=(Message("user", "Mole"),)),
    ):
        assert fingerprint([a, changed]) != golden


def test_8000_by_2000_rows_take_seconds_at_most() -> None:
    rows = [example(" ".join(f"w{i * 7919 % (k * 97 + 11)}" for k in range(1, 13)) + f" {i}") for i in range(10_000)]
    start = time.perf_counter()
    leaks(rows[:8000], rows[8000:])
    assert time.perf_counter() - start < 10  # 0.5 s alone on two cores; the bound allows for a busy machine
