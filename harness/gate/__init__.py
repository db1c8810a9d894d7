"""The regression gate: whether a candidate is worse than an accepted baseline, decided by intervals and margins."""
