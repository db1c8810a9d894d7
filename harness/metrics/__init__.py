"""Metrics: per-example sufficient statistics, and the rule that aggregates their sums.

One file per family. `harness.registry` lists them; nothing heavy is imported until a metric is used.
"""
