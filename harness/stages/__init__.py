"""The cached steps of a run: prepare, fine-tune, generate, measure likelihoods, compute statistics, score.

Each step looks its product up in the store under the digest of its inputs and computes only what is missing.
`harness.pipeline` calls them in order.
"""
