"""Overrides on their way to Hydra."""

from __future__ import annotations

import pytest

from harness.config import LocalModelConfig
from harness.config.compose import run_config


@pytest.mark.parametrize(
    "word", ["model.template_options={a: 1}", "model.template_options.a=1", "+model.template_options.a=1"]
)
def test_mappings_take_keys_of_the_users_own(word: str) -> None:
    config = run_config([word])
    assert isinstance(config.model, LocalModelConfig)
    assert config.model.template_options == {"a": 1}
