"""Statistics on per-example scores: intervals, comparisons, multiplicity and power; numpy and scipy only."""
