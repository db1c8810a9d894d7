"""The schema of every setting: Python holds the schema, `conf/` holds the values.

Hydra composes into these mutable dataclasses, `resolve` turns the result into objects once, and nothing
downstream changes them. Enum members are in lower case because OmegaConf reads them by name. A task or model of
another kind is one more subclass, so that a misspelt key is refused.
"""

from harness.config.finetune import (
    FineTuneConfig,
    FineTuneMethod,
    LoraConfig,
    OpenAIFineTuneConfig,
    Schedule,
    SupervisedConfig,
    TrainingConfig,
)
from harness.config.model import EchoModelConfig, LocalModelConfig, ModelConfig, OpenAIModelConfig, ReplayModelConfig
from harness.config.run import (
    GenerationConfig,
    HarnessConfig,
    JudgeConfig,
    MetricsConfig,
    PromptConfig,
    PromptStyle,
    ReportConfig,
    StatsConfig,
    TrackingConfig,
    TrackingMode,
)
from harness.config.task import HubTaskConfig, JsonlTaskConfig, TaskConfig, WikiTaskConfig

__all__ = [
    "EchoModelConfig",
    "FineTuneConfig",
    "FineTuneMethod",
    "GenerationConfig",
    "HarnessConfig",
    "HubTaskConfig",
    "JsonlTaskConfig",
    "JudgeConfig",
    "LocalModelConfig",
    "LoraConfig",
    "MetricsConfig",
    "ModelConfig",
    "OpenAIFineTuneConfig",
    "OpenAIModelConfig",
    "PromptConfig",
    "PromptStyle",
    "ReplayModelConfig",
    "ReportConfig",
    "Schedule",
    "StatsConfig",
    "SupervisedConfig",
    "TaskConfig",
    "TrackingConfig",
    "TrackingMode",
    "TrainingConfig",
    "WikiTaskConfig",
]
