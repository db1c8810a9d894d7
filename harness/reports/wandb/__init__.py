"""Weights & Biases: tables, learning curves, pictures and artifacts with lineage, offline unless asked otherwise."""

from harness.reports.wandb.sink import WandbSink

__all__ = ["WandbSink"]
