"""What scores show and what they do not: intervals, comparisons, multiplicity, power; numpy and scipy only."""
