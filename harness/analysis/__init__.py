"""What stored runs say: comparisons, effects, slices, trade-offs, and the verdict that follows; no torch, no Hydra."""
