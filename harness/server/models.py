"""Which models there are by name: those that the server was started with, and what its jobs gave."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.config import LocalModelConfig, ModelConfig
from harness.server.errors import ApiError, missing
from harness.server.jobs import Job
from harness.server.records import OWNER, Records
from harness.server.settings import Settings


class Catalog:
    """The models of one server."""

    def __init__(self, settings: Settings, jobs: Records[Job]) -> None:
        self._settings, self._jobs, self._started = settings, jobs, time.time()

    def find(self, name: str) -> ModelConfig:
        """Return what a model is; an error in OpenAI's shape where there is none of this name that completes text."""
        if name in self._settings.models:
            return self._settings.models[name]
        job = self._tuned(name)
        if job is None or job.model is None:
            raise unknown_model(name)
        return job.model

    def trainable(self, name: str) -> LocalModelConfig:
        """Return the base model of a fine-tuning job."""
        config = self.find(name)
        if name not in self._settings.models or not isinstance(config, LocalModelConfig) or config.adapter:
            able = [each for each, model in self._settings.models.items() if isinstance(model, LocalModelConfig)]
            told = f"model: {name[:80]!r} cannot be fine-tuned here, only: {', '.join(able) or 'none'}."
            raise ApiError(400, told, "model", "model_not_available")
        return config

    def json(self) -> list[dict[str, Any]]:
        """Return OpenAI's model objects of all models, the server's own first."""
        own = [_object(name, self._started) for name in [*self._settings.models, self._settings.encoder_name]]
        return own + [_object(job.model_name, job.finished or job.created) for job in self._jobs.all() if job.model]

    def one(self, name: str) -> dict[str, Any]:
        """Return the model object of one model."""
        found = next((model for model in self.json() if model["id"] == name), None)
        if found is None:
            raise unknown_model(name)
        return found

    def delete(self, name: str) -> None:
        """Delete what a job gave; the models that the server was started with stay."""
        job = self._tuned(name)
        if job is None or job.model is None:
            self.one(name)
            raise ApiError(403, f"{name!r} is no fine-tuned model: leave out its --model instead.", "model")
        self._jobs.change(job.id, lambda now: replace(now, model=None))
        if all(other.model != job.model for other in self._jobs.all()):  # jobs that asked for the same share it
            folder = Path(job.model.adapter or job.model.path).resolve()
            if folder.is_relative_to(self._settings.folder.resolve() / "stages"):
                shutil.rmtree(folder, ignore_errors=True)

    def _tuned(self, name: str) -> Job | None:
        return next((job for job in self._jobs.all() if job.model and job.model_name == name), None)


def unknown_model(name: str) -> ApiError:
    """Return the error for a model that is not served."""
    error = missing("model", name, "model")
    error.code = "model_not_found"
    return error


def _object(name: str, created: float) -> dict[str, Any]:
    owner = OWNER if name.startswith("ft:") else "local"
    return {"id": name, "object": "model", "created": int(created), "owned_by": owner}
