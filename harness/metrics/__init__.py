"""Metrics: per-example sufficient statistics, and the rule that aggregates their sums.

One file a family. `harness.build` names them; nothing heavy is imported until a metric is used.
"""
