"""A fine-tuning service in memory, behind the transport of the official client: it records what it was sent."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any

import httpx2
from openai import OpenAI

CSV = (
    "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n"
    "1,2.5,0.4,2.25,0.5\n2,1.5,0.6,,\n3,1.25,0.7,1.75,0.625\n"
)


@dataclass
class Service:
    """Answers like OpenAI's API; `statuses` are those of a job at each look; the last one stays."""

    statuses: list[str] = field(default_factory=lambda: ["validating_files", "running", "succeeded"])
    refusal: tuple[int, str] | None = None
    """Status and error code of every answer to a create."""
    message: str = "refused"
    lost: int = 0
    """How many creates are done and not answered."""
    filters: bool = True
    """Whether the list of jobs is filtered by metadata."""
    content: bytes = base64.b64encode(CSV.encode())
    job_error: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    created: list[dict[str, Any]] = field(default_factory=list)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: int = 0
    requests: int = 0

    def client(self) -> OpenAI:
        """Return the official client, unmodified, whose requests come here."""
        transport = httpx2.MockTransport(self.answer)
        return OpenAI(api_key="sk-test", max_retries=2, http_client=httpx2.Client(transport=transport))

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests += 1
        path, method = request.url.path.removeprefix("/v1"), request.method
        if (method, path) == ("POST", "/files"):
            return self._upload(request)
        if (method, path) == ("POST", "/fine_tuning/jobs"):
            return self._create(json.loads(request.content))
        if path == "/fine_tuning/jobs":
            return self._list(dict(request.url.params))
        if path.endswith("/events"):
            return httpx2.Response(200, json={"object": "list", "data": self._events(), "has_more": False})
        if path.endswith("/content"):
            return httpx2.Response(200, content=self.content)
        job = self.jobs[path.rsplit("/", 1)[1]]
        job["status"] = self.statuses[min(self.looks, len(self.statuses) - 1)]
        self.looks += 1
        self._settle(job)
        return httpx2.Response(200, json=job)

    def _upload(self, request: httpx2.Request) -> httpx2.Response:
        body = request.read().decode()
        name = re.search(r'filename="([^"]+)"', body)
        content = re.search(r"\r\n\r\n(\{.*\n)\r\n", body, re.DOTALL)
        assert name
        assert content
        file_id = f"file-{name[1]}"
        self.files[file_id] = content[1]
        shown = {"id": file_id, "object": "file", "bytes": 1, "created_at": 1, "filename": name[1]}
        return httpx2.Response(200, json={**shown, "purpose": "fine-tune", "status": "processed"})

    def _create(self, body: dict[str, Any]) -> httpx2.Response:
        self.created.append(body)
        if self.refusal:
            status, code = self.refusal
            return httpx2.Response(status, json={"error": {"message": self.message, "code": code, "type": "error"}})
        job = {
            "id": f"ftjob-{len(self.created)}",
            "object": "fine_tuning.job",
            "created_at": 1_000,
            "status": "queued",
            "model": body["model"],
            "organization_id": "org",
            "result_files": [],
            "hyperparameters": {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 1.0},
            "seed": body["seed"],
            "training_file": body["training_file"],
            "metadata": body["metadata"],
        }
        self.jobs[str(job["id"])] = job
        if len(self.created) <= self.lost:
            raise httpx2.ReadTimeout("the answer was lost")
        return httpx2.Response(200, json=job)

    def _settle(self, job: dict[str, Any]) -> None:
        if job["status"] == "succeeded":
            ended = {"finished_at": 1_600, "trained_tokens": 5_000, "result_files": ["file-results"]}
            job.update(ended, fine_tuned_model=f"ft:{job['model']}:org::1")
        if self.job_error:
            job["error"] = {"code": "bad", "message": self.job_error, "param": None}

    def _list(self, params: dict[str, str]) -> httpx2.Response:
        filters = {m[1]: v for k, v in params.items() if (m := re.fullmatch(r"metadata\[(.+)\]", k))}
        jobs = [j for j in self.jobs.values() if not self.filters or filters.items() <= j["metadata"].items()]
        return httpx2.Response(200, json={"object": "list", "data": jobs[::-1], "has_more": False})

    def _events(self) -> list[dict[str, Any]]:
        """Return as many events as there were looks, the latest first, as the service does."""
        shown = {"object": "fine_tuning.job.event", "created_at": 1}
        events = [
            {**shown, "id": f"e{i}", "level": "warn" if i == 1 else "info", "message": f"look {i}", "type": "message"}
            for i in range(self.looks)
        ]
        return events[::-1]
