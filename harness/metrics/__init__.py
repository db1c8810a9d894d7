"""Metrics: per-example sufficient statistics, and the rule that aggregates their sums.

One file a family. `harness.registry` names them; nothing heavy is imported until a metric is used.
"""
