"""Weights & Biases: tables, learning curves, pictures and artifacts with lineage, offline unless asked otherwise."""

from harness.sinks.wandb.sink import WandbSink

__all__ = ["WandbSink"]
