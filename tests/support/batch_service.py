"""A Batch API behind the official client: no sockets, and batches end as a test says."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import httpx2
from openai import OpenAI

from tests.support.fault_server import answered


@dataclass(slots=True)
class BatchService:
    """Batches end when they are looked at; a plan says how: `completed`, or `expired` after a share of its lines."""

    endings: list[str] = field(default_factory=list)
    """How the next batches end; `completed` when there is no more."""
    failing: set[str] = field(default_factory=set)
    """Prompts that are answered with status 500 once."""
    hopeless: set[str] = field(default_factory=set)
    """Prompts that are always refused with status 400."""
    refuse: tuple[str, ...] = ()
    """Settings that are refused with status 400, one at a time."""
    damaged: bytes = b""
    """Lines before the others in each file of results."""
    page: bool = False
    """Whether every answer is a page of HTML."""
    lose: int = 0
    """So many answers to a submission are lost on their way."""
    looks: int = 1
    """How often a batch is still in progress."""
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    """Every prompt that was run and is billed, in order."""

    def client(self) -> OpenAI:
        transport = httpx2.MockTransport(self._handle)
        return OpenAI(api_key="x", base_url="http://test/v1", http_client=httpx2.Client(transport=transport))

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        path, method = request.url.path, request.method
        if self.page:
            return httpx2.Response(200, text="<html>sign in</html>", headers={"content-type": "text/html"})
        if path == "/v1/files":
            return self._upload(request.read())
        if match := re.fullmatch(r"/v1/files/(.+)/content", path):
            return httpx2.Response(200, content=self.files[match[1]])
        if path == "/v1/batches" and method == "POST":
            return self._create(json.loads(request.read()), request)
        if path == "/v1/batches":
            newest = list(reversed(self.batches.values()))
            return httpx2.Response(200, json={"object": "list", "data": newest, "has_more": False})
        return httpx2.Response(200, json=self._look(path.rpartition("/")[2]))

    def _upload(self, content: bytes) -> httpx2.Response:
        name = f"file-{len(self.files)}"
        lines = [line for line in content.replace(b"\r\n", b"\n").split(b"\n") if line.startswith(b"{")]
        self.files[name] = b"\n".join(lines)
        file = {"id": name, "object": "file", "bytes": 1, "created_at": 1, "filename": "x", "purpose": "batch"}
        return httpx2.Response(200, json={**file, "status": "processed"})

    def _create(self, body: dict[str, Any], request: httpx2.Request) -> httpx2.Response:
        name = f"batch_{len(self.batches)}"
        batch = {"id": name, "object": "batch", "created_at": 1, "status": "validating", "looks": 0, **body}
        self.batches[name] = batch
        if self.lose:
            self.lose -= 1
            raise httpx2.ReadTimeout("lost", request=request)
        return httpx2.Response(200, json=batch)

    def _look(self, name: str) -> dict[str, Any]:
        batch = self.batches[name]
        batch["looks"] += 1
        if batch["looks"] > self.looks and batch["status"] in ("validating", "in_progress"):
            self._end(batch, self.endings.pop(0) if self.endings else "completed")
        elif batch["status"] == "validating":
            batch["status"] = "in_progress"
        return batch

    def _end(self, batch: dict[str, Any], ending: str) -> None:
        lines = [json.loads(line) for line in self.files[batch["input_file_id"]].split(b"\n")]
        done = {"expired": len(lines) // 2, "cancelled": len(lines) // 2, "failed": 0}.get(ending, len(lines))
        good, bad = [], []
        for line in reversed(lines[:done]):  # in an order that is not guaranteed
            prompt = line["body"]["messages"][-1]["content"]
            if refused := [name for name in self.refuse if name in line["body"]]:
                error = {"message": "Unsupported parameter", "param": refused[0], "code": "unsupported_parameter"}
                bad.append(_line(line, 400, {"error": error}))
            elif prompt in self.hopeless or prompt in self.failing:
                self.failing.discard(prompt)
                status, code = (400, "content_policy") if prompt in self.hopeless else (500, "server_error")
                bad.append(_line(line, status, {"error": {"message": "no", "code": code}}))
            else:
                self.ran.append(prompt)
                good.append(_line(line, 200, answered(prompt, line["body"])))
        for line in lines[done:] if ending != "failed" else []:
            error = {"code": "batch_expired", "message": "not done in time"}
            bad.append(json.dumps({"custom_id": line["custom_id"], "response": None, "error": error}))
        batch["status"] = ending
        if ending == "failed":
            batch["errors"] = {"data": [{"code": "token_limit_exceeded", "message": "too many tokens are waiting"}]}
        for kind, rows in (("output_file_id", good), ("error_file_id", bad)):
            if rows:
                batch[kind] = f"file-{len(self.files)}"
                self.files[batch[kind]] = self.damaged + "\n".join(rows).encode()


def _line(line: dict[str, Any], status: int, body: dict[str, Any]) -> str:
    return json.dumps(
        {"custom_id": line["custom_id"], "response": {"status_code": status, "body": body}, "error": None}
    )
