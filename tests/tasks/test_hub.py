import json
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.tasks.hub import HubDataset


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    folder = tmp_path / "animals"
    folder.mkdir()
    for split, n in (("train", 6), ("validation", 2)):
        rows = [{"prompt": f"{split} {i}?", "completion": f"Answer {i}.", "topic": "fur"} for i in range(n)]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_a_folder_of_json_keeps_its_splits(folder: Path) -> None:
    corpus = HubDataset(str(folder)).load()
    assert (len(corpus.train), len(corpus.validation)) == (6, 2)
    assert corpus.validation[1].prompt == "validation 1?"
    assert corpus.validation[1].slices == {"topic": "fur"}
    assert corpus.validation[1].origin == f"{folder}/validation.jsonl:2"
    assert corpus.licence == "not stated"


def test_one_split_is_divided(folder: Path) -> None:
    corpus = HubDataset(str(folder), validation_split="train", validation_pool=2).load()
    assert (len(corpus.train), len(corpus.validation)) == (4, 2)


def test_parquet_with_class_labels(folder: Path) -> None:
    import datasets

    features = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=["bad", "good"]))
    data = datasets.Dataset.from_dict({"text": ["Fine", "Poor"], "label": [1, 0]}, features=features)
    own = folder.with_name("labels")
    own.mkdir()
    data.to_parquet(own / "train.parquet")
    corpus = HubDataset(str(own), validation_split="train", prompt_key="text", completion_key="label").load()
    assert {e.prompt: e.reference for e in corpus.validation} == {"Fine": "good", "Poor": "bad"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_split": "valid"}, r"Unknown split 'valid'\. Did you mean 'validation'\?"),
        ({"prompt_key": "promt"}, r"animals/train: 6 of 6 rows .*\n  .*animals/train\.jsonl:1: Unknown key 'promt'"),
        ({"slices": ["topics"]}, r"Unknown key in task\.slices 'topics'"),
        ({"path": "no-such/dataset"}, r"no-such/dataset: expected a hub dataset or a local folder"),
    ],
)
def test_what_is_refused(folder: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        HubDataset(**{"path": str(folder), **options}).load()  # type: ignore[arg-type]


def test_hidden_class_labels_are_refused(folder: Path) -> None:
    import datasets

    features = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=["bad", "good"]))
    own = folder.with_name("hidden")
    own.mkdir()
    datasets.Dataset.from_dict({"text": ["Fine"], "label": [-1]}, features=features).to_parquet(own / "test.parquet")
    hub = HubDataset(str(own), train_split="test", validation_split="test", prompt_key="text", completion_key="label")
    with pytest.raises(DataError, match=r"hidden/test:1: has a class label without a name"):
        hub.load()


CELLS = ["42", "007", "True", "NA", "null", "1.50", "2020-01-01", "a,b"]


@pytest.mark.parametrize(("ending", "sep"), [("csv", ","), ("csv", ";"), ("tsv", "\t")])
def test_a_cell_of_a_table_is_the_text_that_stands_there(folder: Path, ending: str, sep: str) -> None:
    own = folder.with_name(f"cells_{ord(sep)}")
    own.mkdir()
    lines = [sep.join(f'"{cell}"' for cell in row) for row in [("prompt", "completion"), *((c, c) for c in CELLS)]]
    (own / f"train.{ending}").write_text("\n".join(lines))
    corpus = HubDataset(str(own), n_validation=None).load()
    assert sorted(e.prompt for e in corpus.validation) == sorted(CELLS)
    assert all(e.prompt == e.reference for e in corpus.validation)


def test_the_only_split_is_divided_without_being_named(folder: Path) -> None:
    (folder / "validation.jsonl").unlink()
    corpus = HubDataset(str(folder)).load()
    assert (len(corpus.train), len(corpus.validation)) == (1, 5)
    assert corpus.notices[0].message.startswith("rows: 5 scored, 1 for training")


def test_numbers_and_booleans_of_typed_columns_are_labels(folder: Path) -> None:
    import datasets

    own = folder.with_name("typed")
    own.mkdir()
    columns = {"prompt": ["a", "b"], "completion": [True, False], "n": [1, 2], "x": [0.5, float("nan")]}
    datasets.Dataset.from_dict(columns).to_parquet(own / "train.parquet")
    corpus = HubDataset(str(own), n_validation=None).load()
    examples = sorted(corpus.validation, key=lambda example: example.prompt)
    assert [(e.reference, e.slices) for e in examples] == [("true", {"n": "1", "x": "0.5"}), ("false", {"n": "2"})]
