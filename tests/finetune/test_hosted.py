"""`finetune=openai` through the official client: what is sent, what is never sent twice, and every end of a job."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from harness import registry
from harness.config import FineTuneMethod, LocalModelConfig, LoraConfig, OpenAIFineTuneConfig, OpenAIModelConfig
from harness.config.model import EndpointKind
from harness.errors import ConfigError, FineTuneError
from harness.finetune.hosted import OpenAIFineTuner
from harness.store.digest import digest
from harness.types import Message, Prompt, TrainingPair
from tests.support.finetune_service import CSV, Service

MODEL = "gpt-4.1-mini-2025-04-14"
PRICES = """services:
  - host: api.openai.com
    models: [gpt-4.1-mini*]
    input: 0.4
    output: 1.6
    training: 5.0
    as_of: 2026-11-01
    source: a test
"""
Tuner = Callable[..., OpenAIFineTuner]


@pytest.fixture
def tuner(tmp_path: Path) -> Tuner:
    (tmp_path / "prices.yaml").write_text(PRICES)

    def make(service: Service, **settings: Any) -> OpenAIFineTuner:
        options = {"pricing": str(tmp_path / "prices.yaml"), "n_epochs": 2, **settings}
        config = OpenAIFineTuneConfig(method=FineTuneMethod.openai, **options)
        model = OpenAIModelConfig(backend="openai", name="mini", id=MODEL)
        return OpenAIFineTuner(config, model, service.client(), lambda _: None)

    return make


def test_it_trains_and_leaves_a_model_that_can_be_asked(
    tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path
) -> None:
    service = Service()
    hosted = tuner(service, seed=7, batch_size=4, learning_rate_multiplier=0.5, suffix="things")
    record = hosted.fit(pairs, pairs[:3], tmp_path)
    (request,) = service.created
    assert request == {
        "model": MODEL,
        "training_file": "file-train.jsonl",
        "validation_file": "file-validation.jsonl",
        "method": {
            "type": "supervised",
            "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.5}},
        },
        "seed": 7,
        "suffix": "things",
        "metadata": request["metadata"],
    }
    assert (record.method, record.n_train, record.tokens, record.seconds) == ("openai", 20, 5_000, 600.0)
    assert record.cost_usd == pytest.approx(5_000 * 5.0 / 1e6)
    assert record.parameters_trained is None
    assert [(p.step, p.examples, p.train_loss, p.validation_loss, p.token_accuracy) for p in record.curve] == [
        (1, 4, 2.5, 2.25, 0.5),
        (2, 8, 1.5, None, None),
        (3, 12, 1.25, 1.75, 0.625),
    ]
    tuned = hosted.model_config(tmp_path)
    assert (tuned.id, tuned.backend, tuned.name) == (f"ft:{MODEL}:org::1", "openai", "mini")
    assert base64.b64decode((tmp_path / "results.csv").read_bytes()).decode() == CSV


def test_the_files_are_chats_of_the_pairs(tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path) -> None:
    service = Service()
    system = TrainingPair(Prompt("s", messages=(Message("system", "Be short."), Message("user", "Hi é"))), "Hello.")
    tuner(service).fit([*pairs, system], [], tmp_path)
    lines = [json.loads(line) for line in service.files["file-train.jsonl"].splitlines()]
    assert len(lines) == 21
    assert lines[0]["messages"] == [
        {"role": "user", "content": "What is a river?"},
        {"role": "assistant", "content": "It is a river. It is a river. "},
    ]
    assert [message["role"] for message in lines[-1]["messages"]] == ["system", "user", "assistant"]
    assert "validation_file" not in service.created[0]


def test_what_is_null_is_left_to_the_service(tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path) -> None:
    service = Service()
    tuner(service, n_epochs=None).fit(pairs, [], tmp_path)
    assert service.created[0]["method"] == {"type": "supervised", "supervised": {"hyperparameters": {}}}
    assert "suffix" not in service.created[0]


@pytest.mark.parametrize("filters", [True, False])
def test_a_second_fit_pays_nothing(filters: bool, tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path) -> None:
    service = Service(filters=filters)
    first = tuner(service).fit(pairs, [], tmp_path)
    other = tuner(service, seed=3).fit(pairs, [], tmp_path)
    again = tuner(service, max_cost=None, poll_seconds=1.0, suffix="new").fit(pairs, [], tmp_path)
    assert again == first == other
    assert len(service.created) == 2
    assert service.created[0]["metadata"] != service.created[1]["metadata"]


def test_the_key_is_that_of_the_stage(tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path) -> None:
    service = Service()
    hosted = tuner(service)
    hosted.fit(pairs, pairs[:3], tmp_path)
    config = OpenAIFineTuneConfig(method=FineTuneMethod.openai, n_epochs=2)
    inputs = {"base": hosted.base, "config": config, "train": digest(tuple(pairs)), "validation": digest(pairs[:3])}
    assert service.created[0]["metadata"] == {"harness_key": digest(inputs)}


def test_a_job_in_progress_is_continued(tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path) -> None:
    service = Service(statuses=["running"])

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    hosted = tuner(service)
    hosted._sleep = interrupt
    with pytest.raises(KeyboardInterrupt):
        hosted.fit(pairs, [], tmp_path)
    service.statuses = ["running", "succeeded"]
    tuner(service).fit(pairs, [], tmp_path)
    assert len(service.created) == 1


def test_a_lost_answer_is_looked_for_and_not_sent_again(
    tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path
) -> None:
    service = Service(lost=1)
    record = tuner(service).fit(pairs, [], tmp_path)
    assert record.n_train == 20
    assert len(service.created) == 1


def test_an_error_of_the_service_is_not_answered_by_a_second_create(
    tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path
) -> None:
    service = Service(refusal=(500, "server_error"))
    with pytest.raises(FineTuneError, match="did not confirm that it started the job"):
        tuner(service).fit(pairs, [], tmp_path)
    assert len(service.created) == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("failed", r"job ftjob-1 is failed: the file is bad\. Fix that and run again"),
        ("cancelled", "job ftjob-1 is cancelled"),
        ("paused", r"job ftjob-1 is paused\. Resume it with .*resume\('ftjob-1'\)"),
    ],
)
def test_every_other_end_is_an_error(
    status: str, message: str, tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path
) -> None:
    service = Service(statuses=["running", status], job_error="the file is bad" if status == "failed" else None)
    with pytest.raises(FineTuneError, match=message):
        tuner(service).fit(pairs, [], tmp_path)


def test_after_a_failure_a_new_job_is_started(tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path) -> None:
    service = Service(statuses=["failed"])
    with pytest.raises(FineTuneError):
        tuner(service).fit(pairs, [], tmp_path)
    service.statuses, service.looks = ["succeeded"], 0
    tuner(service).fit(pairs, [], tmp_path)
    assert len(service.created) == 2


def test_an_unknown_status_is_waited_out(tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path) -> None:
    service = Service(statuses=["pending_safety_review", "something_new", "succeeded"])
    assert tuner(service).fit(pairs, [], tmp_path).n_train == 20
    assert service.looks == 3


def test_the_closure_is_explained_with_what_to_do(tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path) -> None:
    service = Service(refusal=(403, "training_not_available"))
    with pytest.raises(FineTuneError, match=r"2027-01-06.*finetune=lora model=smollm2") as caught:
        tuner(service).fit(pairs, [], tmp_path)
    assert caught.value.exit_code == 6
    with pytest.raises(FineTuneError, match="Check what the key is allowed to do"):
        tuner(Service(refusal=(403, "no_access"))).fit(pairs, [], tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_cost": 0.001}, r"finetune\.max_cost is 0\.001 USD\. 20 examples, about .* about 0\.01 USD"),
        ({"pricing": None}, r"the price of training this model is not known.*max_cost=null"),
    ],
)
def test_nothing_is_sent_that_may_cost_too_much(
    settings: dict[str, Any], message: str, tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path
) -> None:
    service = Service()
    with pytest.raises(FineTuneError, match=message):
        tuner(service, **settings).fit(pairs, [], tmp_path)
    assert (service.files, service.created) == ({}, [])


def test_the_cost_is_shown_before_anything_is_sent(
    tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuner(Service(), pricing=None, max_cost=None).fit(pairs, [], tmp_path)
    assert "20 examples, about" in (output := capsys.readouterr().err)
    assert output.index("price of training this model is not known") < output.index("job ftjob-1")
    assert "look 1" in output  # a warning of the service
    assert "sk-test" not in output


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (TrainingPair(Prompt("x", text="What?"), "  "), "example 'x' has an empty completion"),
        (TrainingPair(Prompt("x", text=" "), "It."), "example 'x' has no user message with text"),
        (
            TrainingPair(Prompt("x", text="a" * 300_000), "It."),
            r"about 100,0\d\d tokens and would be truncated",
        ),
        (TrainingPair(Prompt("x", text="half \ud83d"), "It."), "half a character"),
    ],
)
def test_an_example_that_the_service_would_refuse_is_named(
    pair: TrainingPair, message: str, tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path
) -> None:
    service = Service()
    with pytest.raises(FineTuneError, match=message):
        tuner(service).fit([*pairs, pair], [], tmp_path)
    assert service.requests == 0


def test_ten_examples_are_the_least(tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path) -> None:
    with pytest.raises(FineTuneError, match=r"expected 10 training examples or more.*got 9"):
        tuner(Service()).fit(pairs[:9], [], tmp_path)


def test_methods_and_models_must_fit() -> None:
    hosted, local = OpenAIModelConfig("openai", "mini", id=MODEL), LocalModelConfig("local", "tiny", path="x")
    paid, lora = OpenAIFineTuneConfig(method=FineTuneMethod.openai), LoraConfig(method=FineTuneMethod.lora)
    assert isinstance(registry.finetuner(paid, hosted), OpenAIFineTuner)
    with pytest.raises(
        ConfigError, match=r"finetune=lora does not train models of the openai backend.*finetune=openai"
    ):
        registry.finetuner(lora, hosted)
    with pytest.raises(ConfigError, match=r"finetune=openai does not train .* local backend.*model=openai"):
        registry.finetuner(paid, local)
    with pytest.raises(ConfigError, match=r"model\.endpoint: expected chat"):
        registry.finetuner(paid, OpenAIModelConfig("openai", "mini", id=MODEL, endpoint=EndpointKind.completions))


def test_a_key_that_the_service_repeats_is_not_shown(tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path) -> None:
    service = Service(refusal=(401, "invalid_api_key"), message="Incorrect API key provided: sk-proj-abcdef123456.")
    with pytest.raises(FineTuneError, match=r"cannot start the job: .*Incorrect API key provided: \*\*\*") as caught:
        tuner(service).fit(pairs, [], tmp_path)
    assert "abcdef" not in str(caught.value)


def test_a_dry_run_says_what_it_would_take(tuner: Tuner, pairs: list[TrainingPair]) -> None:
    service = Service()
    estimate = tuner(service).cost_estimate(pairs)
    assert re.fullmatch(r"20 examples, about \d+ tokens x 2 epochs, about 0\.01 USD \(2026-11-01, a test\)", estimate)
    assert service.requests == 0


def test_without_a_key_nothing_starts(
    pairs: list[TrainingPair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    hosted = OpenAIFineTuner(
        OpenAIFineTuneConfig(method=FineTuneMethod.openai), OpenAIModelConfig("openai", "mini", id=MODEL)
    )
    with pytest.raises(Exception, match="OPENAI_API_KEY is not set"):
        hosted.fit(pairs, [], tmp_path)


@dataclass
class OddService(Service):
    """Answers the requests whose path ends so with something else than OpenAI's objects."""

    odd: str = ""
    reply: httpx2.Response = field(default_factory=lambda: httpx2.Response(200))

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        if f"{request.method} {request.url.path}".endswith(self.odd):
            return httpx2.Response(200, content=self.reply.content, headers=self.reply.headers)
        return super().answer(request)


ODD_REPLIES = [
    httpx2.Response(200, html="<html>Sign in</html>"),
    httpx2.Response(200, json=[]),
    httpx2.Response(200, json={"data": "none"}),
    httpx2.Response(200, content=b"{", headers={"content-type": "application/json"}),
]


@pytest.mark.parametrize("reply", ODD_REPLIES)
@pytest.mark.parametrize(
    "odd", ["GET /v1/fine_tuning/jobs", "POST /v1/files", "POST /v1/fine_tuning/jobs", "jobs/ftjob-1"]
)
def test_answers_of_another_form_are_errors(
    tuner: Tuner, pairs: list[TrainingPair], tmp_path: Path, odd: str, reply: httpx2.Response
) -> None:
    with pytest.raises(FineTuneError):
        tuner(OddService(odd=odd, reply=reply)).fit(pairs, pairs, tmp_path)
