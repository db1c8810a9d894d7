"""Weights & Biases: tables, learning curves, plots and artifacts with lineage, logged offline by default."""

from harness.reports.wandb.sink import WandbSink

__all__ = ["WandbSink"]
