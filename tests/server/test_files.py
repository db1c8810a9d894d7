"""Files through OpenAI's own client."""

from __future__ import annotations

from pathlib import Path

import openai
import pytest
from starlette.testclient import TestClient

from harness.server.app import application
from tests.support.serving import conversations, limits, serving, settings


def test_files_are_kept_listed_read_and_deleted(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        client = server.client()
        batches = [client.files.create(file=(f"{i}.jsonl", b"%d" % i * 10), purpose="batch") for i in range(5)]
        tuning = client.files.create(file=("t.jsonl", b"{}"), purpose="fine-tune")
        assert [file.id for file in client.files.list(limit=2)] == [tuning.id, *(file.id for file in batches[::-1])]
        assert [file.id for file in client.files.list(purpose="fine-tune")] == [tuning.id]
        assert [file.id for file in client.files.list(order="asc", limit=4)][:2] == [batches[0].id, batches[1].id]
        assert client.files.retrieve(batches[3].id) == batches[3]
        assert (batches[3].filename, batches[3].bytes, batches[3].status) == ("3.jsonl", 10, "processed")
        assert client.files.content(batches[3].id).read() == b"3" * 10
        assert client.files.wait_for_processing(batches[3].id).id == batches[3].id
        assert client.files.delete(batches[3].id).deleted
        with pytest.raises(openai.NotFoundError):
            client.files.content(batches[3].id)
    with serving(tmp_path) as server:
        assert len(list(server.client().files.list())) == 5


@pytest.mark.parametrize(
    ("data", "file", "param"),
    [
        ({"purpose": "vision"}, b"{}", "purpose"),
        ({}, b"{}", "purpose"),
        ({"purpose": "batch"}, None, "file"),
        ({"purpose": "batch", "expires_after[seconds]": "3600"}, b"{}", "expires_after[seconds]"),
    ],
)
def test_an_upload_that_is_none_is_refused(
    tmp_path: Path, data: dict[str, str], file: bytes | None, param: str
) -> None:
    web = TestClient(application(settings(tmp_path)), base_url="http://localhost")
    form = {"file": ("a.jsonl", file)} if file else {"other": ("a.jsonl", b"{}")}
    if file is None:
        form = {}
    answer = web.post("/v1/files", data=data, files=form or None)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert web.get("/v1/files").json()["data"] == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("limit=99999999999", "limit"),
        ("after=file-1", "after"),
        ("order=up", "order"),
        ("color=red", "color"),
    ],
)
def test_a_list_is_asked_for_properly(tmp_path: Path, query: str, param: str) -> None:
    web = TestClient(application(settings(tmp_path)), base_url="http://localhost")
    answer = web.get(f"/v1/files?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_an_upload_that_a_kill_cut_short_is_cleared_away(tmp_path: Path) -> None:
    half = tmp_path / "server" / "files" / f"file-{'0' * 24}"
    half.mkdir(parents=True)
    (half / "content").write_text("half")
    application(settings(tmp_path))
    assert not half.exists()


def test_a_file_is_kept_under_an_id_whatever_it_is_called(tmp_path: Path) -> None:
    web = TestClient(application(settings(tmp_path)), base_url="http://localhost")
    form = {"file": ("../../../evil.jsonl", conversations())}
    file = web.post("/v1/files", data={"purpose": "fine-tune"}, files=form).json()
    assert file["filename"] == "evil.jsonl"
    assert sorted(path.name for path in (tmp_path / "server" / "files").iterdir()) == [file["id"]]
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("bound", [{"files": 2}, {"stored_bytes": 5}])
def test_there_is_a_bound_to_the_files(tmp_path: Path, bound: dict[str, int]) -> None:
    web = TestClient(application(settings(tmp_path, limits=limits(**bound))), base_url="http://localhost")

    def upload() -> int:
        form = {"file": ("a.jsonl", b"{}")}
        return web.post("/v1/files", data={"purpose": "batch"}, files=form).status_code

    assert [upload() for _ in range(3)] == [200, 200, 413]
    assert len(list((tmp_path / "server" / "files").iterdir())) == 2
