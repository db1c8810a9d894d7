"""Everything that is kept on disk: content-addressed products of stages, records of runs, and the digests behind both.

Keeping it in one place means that one set of rules (atomic writes, locks, keys that cover every input) holds for all.
"""
