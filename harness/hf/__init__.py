"""Local weights through transformers: finding, converting, loading and pruning models, and their forward passes.

The local model, the local fine-tuner and the metrics that embed texts share it, so that all load the same files.
"""
