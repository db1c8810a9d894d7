"""The edits that TER counts: insertions, deletions, substitutions and shifts of words, as sacrebleu finds them."""
