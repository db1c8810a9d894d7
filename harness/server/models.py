"""The models by name: those that the server was started with, and those that its fine-tuning jobs produced."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import LocalModelConfig, ModelConfig
from harness.server.errors import ApiError, missing
from harness.server.ids import OWNER
from harness.server.jobs import FineTuningJob
from harness.server.records import Records
from harness.server.settings import Settings

if TYPE_CHECKING:
    from openai.types import Model as ModelObject


class Catalog:
    """The models of one server."""

    def __init__(self, settings: Settings, jobs: Records[FineTuningJob]) -> None:
        self._settings, self._jobs, self._started = settings, jobs, time.time()

    def find(self, name: str) -> ModelConfig:
        """Return the config of a model that generates text; a 404 error when there is none of this name."""
        if name in self._settings.models:
            return self._settings.models[name]
        job = self._job(name)
        if job is None or job.model is None:
            raise unknown_model(name)
        return job.model

    def trainable(self, name: str) -> LocalModelConfig:
        """Return the base model of a fine-tuning job; an ApiError when it cannot be fine-tuned here."""
        config = self.find(name)
        if name not in self._settings.models or not isinstance(config, LocalModelConfig) or config.adapter:
            local = [key for key, model in self._settings.models.items() if isinstance(model, LocalModelConfig)]
            message = f"model: {name[:80]!r} cannot be fine-tuned here, only: {', '.join(local) or 'none'}."
            raise ApiError(400, message, "model", "model_not_available")
        return config

    def objects(self) -> list[ModelObject]:
        """Return OpenAI's objects of all models, those that the server was started with first."""
        names = [*self._settings.models, self._settings.encoder_name]
        tuned = [job for job in self._jobs.all() if job.model]
        return [
            *(_object(name, self._started) for name in names),
            *(_object(job.model_name, job.finished or job.created) for job in tuned),
        ]

    def object(self, name: str) -> ModelObject:
        """Return OpenAI's object of one model; a 404 error when there is none of this name."""
        for model in self.objects():
            if model.id == name:
                return model
        raise unknown_model(name)

    def delete(self, name: str) -> None:
        """Delete a model that a job produced; those that the server was started with cannot be deleted."""
        job = self._job(name)
        if job is None or job.model is None:
            self.object(name)
            raise ApiError(403, f"{name!r} is not a fine-tuned model: leave out its --model instead.", "model")
        self._jobs.change(job.id, lambda newest: replace(newest, model=None))
        if all(other.model != job.model for other in self._jobs.all()):  # equal jobs share their weights
            folder = Path(job.model.adapter or job.model.path).resolve()
            if folder.is_relative_to(self._settings.folder.resolve() / "stages"):
                shutil.rmtree(folder, ignore_errors=True)

    def _job(self, name: str) -> FineTuningJob | None:
        return next((job for job in self._jobs.all() if job.model and job.model_name == name), None)


def unknown_model(name: str) -> ApiError:
    """Return the error for a model that is not served."""
    error = missing("model", name, "model")
    error.code = "model_not_found"
    return error


def _object(name: str, created: float) -> ModelObject:
    from openai.types import Model

    owner = OWNER if name.startswith("ft:") else "local"
    return Model(id=name, object="model", created=int(created), owned_by=owner)
