"""The edits of a corpus, found as sacrebleu finds them but without its tables in Python.

TER's shifts are a greedy search whose result depends on how ties are broken, so the order of candidates, their limits
and the preference between alignments are those of Tercom as sacrebleu has them. What differs is how distances are
found: in bit vectors, for thousands of texts at once where they are short.
"""

from __future__ import annotations

import numpy as np

from harness.metrics.ter_search import OUTSIDE_BEAM, edits_alone, safe_errors
from harness.metrics.ter_search_batched import WIDTH, edits_together
from harness.metrics.token_ids import Encoded, IntArray


def edits(ours: Encoded, theirs: Encoded, floors: IntArray) -> IntArray:
    """Count the insertions, deletions, substitutions and shifts that turn each of our texts into theirs, shape (n,).

    `floors`, shape (n,), are the edit distances that no order of our words gets below: the longer length less the
    common words.
    """
    from rapidfuzz import process
    from rapidfuzz.distance import Levenshtein

    our_texts, their_texts = ours.strings(), theirs.strings()
    counts: IntArray = process.cpdist(our_texts, their_texts, scorer=Levenshtein.distance, dtype=np.int64)
    safe = np.fromiter(map(safe_errors, ours.lengths.tolist(), theirs.lengths.tolist()), np.float64)
    looked_at = ((counts > floors) | (counts >= safe)) & (theirs.lengths > 0)
    short = np.maximum(ours.lengths, theirs.lengths) <= WIDTH
    together = np.flatnonzero(looked_at & short)
    counts[together] = edits_together(
        ours.chosen(together), theirs.chosen(together), counts[together], floors[together], safe[together]
    )
    for i in np.flatnonzero(looked_at & ~short).tolist():
        counts[i] = edits_alone(our_texts[i], their_texts[i], int(counts[i]), int(floors[i]), float(safe[i]))
    for i in np.flatnonzero(counts == OUTSIDE_BEAM).tolist():
        counts[i] = _sacrebleus(our_texts[i], their_texts[i])
    return counts


def _sacrebleus(ours: str, theirs: str) -> int:
    from sacrebleu.metrics.lib_ter import translation_edit_rate

    return int(translation_edit_rate(list(ours), list(theirs))[0])
