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
    assert corpus.validation[1].origin == f"{folder}/validation:2"
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
        ({"prompt_key": "promt"}, r"animals/train: 6 of 6 rows .*\n  .*animals/train:1: Unknown key 'promt'"),
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
