"""Whether a candidate is worse than an accepted baseline, decided by intervals against a margin."""
