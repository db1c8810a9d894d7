"""Classes of one's own: checked against their protocol before work, given their options, refused by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from harness import registry
from harness.config import EchoModelConfig, MetricsConfig, ModelConfig, TaskConfig
from harness.errors import ConfigError
from harness.types import Completion, Corpus, Example, FloatArray, ModelIdentity, Prompt, SamplingParams

HERE = "tests.test_registry"


class Constant:
    """A whole metric without a base class."""

    higher_is_better = True
    is_proportion = False
    parallel = False

    def __init__(self, value: float = 1.0, name: str = "constant") -> None:
        self.name, self.value = name, value

    @property
    def signature(self) -> str:
        return f"{self.name}|value:{self.value}"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        return np.full((len(completions), 1), self.value)

    def aggregate(self, sums: FloatArray) -> FloatArray:
        return sums[..., 0]

    def per_example(self, stats: FloatArray) -> FloatArray:
        return stats[:, 0]


class Incomplete:
    """Lacks what only scoring would ask for."""

    name = signature = "incomplete"
    higher_is_better = True

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        return np.ones((len(completions), 1))


class Shouting:
    """A model with an option."""

    parameters = None

    def __init__(self, config: ModelConfig, mark: str) -> None:
        self.identity = ModelIdentity("shouting", config.name, revision=mark)
        self.mark = mark

    def generate(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> Iterator[Completion]:
        raise NotImplementedError


class Two:
    """A dataset that reads one key of the task and one option."""

    def __init__(self, name: str, n: int = 2) -> None:
        self.name, self.n = name, n

    def load(self) -> Corpus:
        return Corpus(self.name, "test", "CC0", (), tuple(Example(str(i), f"{i}?", "x") for i in range(self.n)))


def test_an_own_metric_gets_its_options_by_class_or_by_whole_name() -> None:
    for key in ("Constant", f"{HERE}:Constant"):
        [metric] = registry.metrics(MetricsConfig([f"{HERE}:Constant"], {key: {"value": 0.5}}))
        assert metric.signature == "constant|value:0.5"


class Forgetful(Constant):
    """Says nothing of its options."""

    parallel = True
    signature = "forgetful"


def test_options_are_part_of_a_signature_that_leaves_them_out() -> None:
    name = f"{HERE}:Forgetful"
    one, two, plain = (registry.metric(name, options) for options in ({"value": 0.5}, {"value": 0.25}, {}))
    assert [m.signature for m in (one, two, plain)] == ["forgetful|value:0.5", "forgetful|value:0.25", "forgetful"]
    assert registry.metric(f"{HERE}:Constant", {"value": 0.5}).signature == "constant|value:0.5"
    assert not one.parallel  # its class is of this process
    assert plain.parallel


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        ([f"{HERE}:Incomplete"], {}, "Incomplete lacks is_proportion, parallel, aggregate, per_example"),
        ([f"{HERE}:Constant"], {"Constant": {"valeu": 1}}, "Did you mean 'value'?"),
        ([f"{HERE}:Constant"], {"Constnat": {"value": 1}}, "Unknown metric of metrics.names 'Constnat'"),
        (["bleu"], {"bleu": {"tokenise": "zh"}}, "Did you mean 'tokenize'?"),
        ([f"{HERE}:Constant", "bleu", "bleu"], {}, "expected each metric once"),
        (["evaluate"], {}, "Unknown metric 'evaluate'"),
    ],
)
def test_what_is_wrong_with_a_metric_is_said_before_work(names: list[str], options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        registry.metrics(MetricsConfig(names, options))


def test_two_metrics_of_one_name_are_refused() -> None:
    names = [f"{HERE}:Constant", "exact_match"]
    with pytest.raises(ConfigError, match="expected each metric once"):
        registry.metrics(MetricsConfig(names, {"Constant": {"name": "exact_match"}}))


def test_an_own_model_gets_its_options() -> None:
    model = registry.model(ModelConfig(f"{HERE}:Shouting", "loud", options={"mark": "!"}))
    assert model.identity == ModelIdentity("shouting", "loud", revision="! mark:!")


class Silent(Shouting):
    """A model whose identity is computed, and forgets its option."""

    def __init__(self, config: ModelConfig, mark: str) -> None:
        self.mark = mark

    @property
    def identity(self) -> ModelIdentity:  # type: ignore[override]
        return ModelIdentity("silent", "s")


def test_completions_of_other_options_are_another_models() -> None:
    one, two = (registry.model(ModelConfig(f"{HERE}:Silent", "s", options={"mark": mark})) for mark in "ab")
    assert one.identity != two.identity
    assert one.identity == ModelIdentity("silent", "s", revision="mark:a")
    assert isinstance(one, Silent)


def test_a_familys_options_are_those_of_its_members_and_their_own_go_before() -> None:
    options: dict[str, dict[str, object]] = {"rouge": {"tokenizer": "unicode", "stem": False}, "rougeL": {"stem": True}}
    config = MetricsConfig(["rouge1", "rougeL", "chrf"], options)
    signatures = [metric.signature for metric in registry.metrics(config, tokenizer="of-the-model")]
    assert signatures[0].startswith("rouge1|tok:unicode|stem:none")
    assert signatures[1].startswith("rougeL|tok:unicode|stem:porter")
    with pytest.raises(ConfigError, match=r"Unknown metric of metrics\.names 'rouge'"):
        registry.metrics(MetricsConfig(["chrf"], {"rouge": {"stem": False}}))
    assert "tok:rouge" in registry.metric("rougeL", {}, tokenizer="of-the-model").signature


def test_the_short_name_of_options_is_for_own_classes_alone() -> None:
    assert registry.options_of("evaluate:bleu", {"bleu": {"tokenize": "zh"}}) == ("evaluate:bleu", {})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ModelConfig(f"{HERE}:Shouting", "loud"), "model.options: expected a value for mark"),
        (ModelConfig(f"{HERE}:Shouting", "loud", options={"marc": "!"}), "Did you mean 'mark'?"),
        (ModelConfig(f"{HERE}:Incomplete", "no"), "Incomplete does not take"),
        (EchoModelConfig("echo", "echo", options={"mark": "!"}), "model.options: Unknown option 'mark'"),
    ],
)
def test_what_is_wrong_with_a_model_is_said_before_work(config: ModelConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        registry.model(config)


def test_an_own_dataset_gets_the_tasks_keys_and_its_options() -> None:
    task = TaskConfig(name="mine", dataset=f"{HERE}:Two", options={"n": 3})
    corpus = registry.dataset(task).load()
    assert (corpus.name, len(corpus.validation)) == ("mine", 3)
    with pytest.raises(ConfigError, match=r"task\.options: Unknown option 'm'"):
        registry.dataset(TaskConfig(name="mine", dataset=f"{HERE}:Two", options={"m": 3}))
