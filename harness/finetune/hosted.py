"""Fine-tuning at OpenAI, or at any service with its fine-tuning API: Azure, other providers, `python -m harness serve`.

The training examples leave this machine and training costs money, so it must be chosen explicitly, its estimated cost
is shown first, and `finetune.max_cost` limits it. The result is the name of the tuned model, which `model=openai` then
uses, and the learning curve that the service measured.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.client import pricing
from harness.client.endpoint import Endpoint, check_url
from harness.client.pricing import MILLION, Price
from harness.config import OpenAIFineTuneConfig, OpenAIModelConfig
from harness.config.model import EndpointKind
from harness.errors import ConfigError, FineTuneError
from harness.finetune import hosted_job as jobs
from harness.finetune.hosted_curve import best_step, curve
from harness.finetune.hosted_file import CostEstimate, chat_file, estimate, require_enough
from harness.finetune.schedule import auto_batch_size, finetune_inputs
from harness.progress import say
from harness.store.digest import digest
from harness.store.files import write_atomic
from harness.types import FineTuneRecord, ModelIdentity, TrainingPair

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob

RETRIES = 8
"""For requests that cost nothing."""


class OpenAIFineTuner:
    """Trains a model behind a service; nothing is sent before `fit`."""

    def __init__(
        self,
        config: OpenAIFineTuneConfig,
        model: OpenAIModelConfig,
        client: OpenAI | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        check_url(model.base_url)
        if model.endpoint is not EndpointKind.chat:
            raise ConfigError(f"model.endpoint: expected chat, the only one that is trained, got {model.endpoint}")
        self._config, self._model, self._client, self._sleep = config, model, client, sleep

    @property
    def base(self) -> ModelIdentity:
        """Identify the model that training starts from, and the service that trains it."""
        return ModelIdentity(backend="openai", base=self._model.id, revision=self._model.base_url.rstrip("/"))

    def fit(self, train: Sequence[TrainingPair], validation: Sequence[TrainingPair], folder: Path) -> FineTuneRecord:
        """Have the model trained, leave its name in `folder`, and return the record of the training.

        A job with the same base, settings and examples is continued, or reused when it has finished.
        """
        files = self._files(train, validation)
        client = self._client or Endpoint.of(self._model).client(retries=RETRIES)
        key = digest(finetune_inputs(self.base, self._config, train, validation))
        job = jobs.find(client, key)
        if job is None:
            self._show_cost(train)
            job = jobs.create(client, key, self._request(client, files))
        say(f"finetune: job {job.id} is {job.status}")
        job = jobs.wait(client, job, self._config.poll_seconds, self._sleep)
        if not job.fine_tuned_model:
            raise FineTuneError(f"job {job.id} succeeded but names no model; inspect it with the service's own tools")
        record = self._record(client, job, train, folder)
        model = {"id": job.fine_tuned_model, "job": job.id, "base": job.model, "seed": job.seed}
        write_atomic(folder / "model.json", json.dumps(model, indent=2))
        return record

    def model_config(self, folder: Path) -> OpenAIModelConfig:
        """Return the config of the model whose name a finished fit left in `folder`."""
        model = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        return dataclasses.replace(self._model, id=model["id"])

    def require_trainable(self, train: Sequence[TrainingPair], validation: Sequence[TrainingPair]) -> None:
        """Raise the error with which `fit` would refuse these examples or their cost; nothing is sent."""
        self._files(train, validation)
        self._show_cost(train)

    def _files(self, train: Sequence[TrainingPair], validation: Sequence[TrainingPair]) -> dict[str, bytes]:
        require_enough(train)
        return {"train": chat_file(train, "train"), "validation": chat_file(validation, "validation")}

    def cost_estimate(self, train: Sequence[TrainingPair]) -> str:
        """Return in words how much would be trained on and what it would cost; nothing is sent."""
        return str(self._estimate(train))

    def _estimate(self, train: Sequence[TrainingPair]) -> CostEstimate:
        return estimate(train, self._config.n_epochs, self._price())

    def _show_cost(self, train: Sequence[TrainingPair]) -> None:
        """Show the estimated cost; FineTuneError where it exceeds `finetune.max_cost` or is unknown."""
        expected, maximum = self._estimate(train), self._config.max_cost
        say(f"finetune: {expected}")
        if maximum is None or (expected.usd is not None and expected.usd <= maximum):
            return
        fix = (
            "Raise finetune.max_cost, or train on less with finetune.n_train or finetune.n_epochs."
            if expected.usd is not None
            else "Add `training` to its price in a copy of conf/pricing.yaml and name that with pricing=FILE, or allow "
            "any cost with finetune.max_cost=null."
        )
        raise FineTuneError(f"not started: finetune.max_cost is {maximum:g} USD. {expected}. {fix} Nothing was sent.")

    def _request(self, client: OpenAI, files: dict[str, bytes]) -> dict[str, Any]:
        """Upload the files and return the request that starts the job; null settings are left to the service."""
        names = {
            "n_epochs": self._config.n_epochs,
            "batch_size": self._config.batch_size,
            "learning_rate_multiplier": self._config.learning_rate_multiplier,
        }
        chosen = {name: value for name, value in names.items() if value is not None}
        request: dict[str, Any] = {
            "model": self._model.id,
            "training_file": self._upload(client, "train", files["train"]),
            "method": {"type": "supervised", "supervised": {"hyperparameters": chosen}},
            "seed": self._config.seed,
        }
        if files["validation"]:
            request["validation_file"] = self._upload(client, "validation", files["validation"])
        if self._config.suffix:
            request["suffix"] = self._config.suffix
        return request

    def _upload(self, client: OpenAI, name: str, content: bytes) -> str:
        with jobs.explained(f"upload the {name} file"):
            file_id = client.files.create(file=(f"{name}.jsonl", content), purpose="fine-tune").id
            if not isinstance(file_id, str):
                raise ValueError("expected a file with an id")
            return file_id

    def _record(
        self, client: OpenAI, job: FineTuningJob, train: Sequence[TrainingPair], folder: Path
    ) -> FineTuneRecord:
        content = b""
        if job.result_files:
            with jobs.explained(f"read the results of job {job.id}"):
                content = client.files.content(job.result_files[0]).read()
            write_atomic(folder / "results.csv", content)
        points = curve(content, _batch_size(job, len(train)))
        return FineTuneRecord(
            method=self._config.method,
            n_train=len(train),
            seconds=float((job.finished_at or job.created_at) - job.created_at),
            parameters_trained=None,
            tokens=job.trained_tokens or 0,
            best_step=best_step(points),
            curve=points,
            cost_usd=self._cost(job.trained_tokens),
        )

    def _cost(self, trained_tokens: int | None) -> float | None:
        price = self._price()
        if price is None or price.training is None or trained_tokens is None:
            return None
        return trained_tokens * price.training / MILLION

    def _price(self) -> Price | None:
        return pricing.of(self._config.pricing).of(self.base)


def _batch_size(job: FineTuningJob, n: int) -> float:
    """Return the examples per step that the service chose, or that its documented rule gives."""
    hyper = job.method.supervised.hyperparameters if job.method and job.method.supervised else None
    chosen = (hyper.batch_size if hyper else None) or job.hyperparameters.batch_size
    return chosen if isinstance(chosen, int) else auto_batch_size(n)
