"""Analysis of stored runs: comparisons, effects, slices, trade-offs and the verdict, without torch and Hydra."""
