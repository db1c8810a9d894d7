"""The report as one page that needs no network: everything to decide from, and every completion to look at."""
