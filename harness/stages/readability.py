"""Whether each metric can read the references: before any work, each is scored against itself.

A metric that does not see the script of a reference, or needs more words than it has, scores a right answer as a wrong
one, and then says nothing about any answer: ROUGE keeps only a-z and 0-9 of a text, BLEU needs four tokens. Such a
metric is refused as the primary one, which a verdict rests on, and reported beside its scores otherwise.

A reference is unreadable to a metric if it falls short of the metric's best score against itself, or reaches it even
against a text that is plainly another one: what is left without the characters that are not ASCII, where these are half
of it or more, or a number without its minus. ROUGE would read `iPhone 很好` as `iphone` alone, and -5 as 5. Metrics of
sums over all examples, such as BLEU, may well be the best for all references together and 0 for a short one alone:
these count as unreadable where they hold more than MOST of the text.

Metrics that declare that they read nothing but texts are checked, at the price of one more scored run; for encoders,
what their tokenizer knows. Metrics of likelihoods do not read texts, diagnostics have no best, and what a metric of a
user's own costs is not known.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness import registry
from harness.errors import ConfigError, HarnessError
from harness.metrics.classification import Classification
from harness.protocols import BoundedMetric, EncodingMetric, LikelihoodMetric, Metric, RangedMetric
from harness.stages import parallel
from harness.tasks.rows import MAX_SHOWN, origin_of
from harness.types import Completion, Example, FinishReason, FloatArray, Notice
from harness.wording import counted

MOST = 0.05
"""The share of references that the primary metric may be unable to read.

A metric that is a mean loses so much of its scale: a few references in a hundred are odd rows, more are a language.
"""
TOLERANCE = 1e-6
"""How far from the best a score may be that is the best, as a share of it."""
_SHOWN = 60
"""Characters of a text in a message."""
_NEGATIVE = re.compile(r"[-−]\s*([$€£¥]?\s*[\d.,]*\d\S{0,3})")
_NOT_ALNUM = bytes(i for i in range(128) if not chr(i).isalnum())
_READINGS: dict[tuple[str, tuple[str, ...], tuple[str, ...]], ReferenceReading] = {}
"""The latest readings, by signature, references and prompts: the runs of a sweep and the scoring share them."""
_KEPT = 256

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ReferenceReading:
    """How a metric reads the references: by position, those that it cannot read and those that it reads in part."""

    metric: str
    n: int
    unreadable: tuple[int, ...] = ()
    share: float = 0.0
    """The share of the examples, for metrics of sums that of the text, that is unreadable."""
    uncounted: tuple[int, ...] = ()
    """Those that hold nothing that the metric counts, and are left out of its score."""
    truncated: tuple[int, ...] = ()
    """Those that are longer than an encoder reads."""
    is_foreign: bool = False
    """Whether an unreadable one is in another script than that of ASCII: the others are too short."""

    @property
    def is_refused(self) -> bool:
        """Whether too much is unreadable for a verdict to rest on this metric."""
        return self.share > MOST


def check_readable(metrics: Sequence[Metric], examples: Sequence[Example], primary: str) -> tuple[Notice, ...]:
    """Return notices of references that metrics cannot read; ConfigError if they are too many for the primary metric.

    The error names the settings that read them.
    """
    of_metrics = readings(metrics, examples)
    for metric, read in zip(metrics, of_metrics, strict=True):
        if read.metric == primary and read.is_refused:
            raise ConfigError(_refusal(metric, read, metrics, examples))
    notices = []
    for code, rows, message in _findings(of_metrics):
        where = tuple(origin_of(examples[i]) for i in rows[:MAX_SHOWN])
        notices.append(Notice(code, message, len(rows), where))
    return tuple(notices)


def reading_warnings(of_metrics: Sequence[ReferenceReading]) -> tuple[str, ...]:
    """Return the findings of `check_readable` as the warnings of a run."""
    return tuple(f"{len(rows):,} {message}" for _, rows, message in _findings(of_metrics))


def reading(metric: Metric, examples: Sequence[Example]) -> ReferenceReading:
    """Return how a metric reads the references; nothing is unreadable to one that is not checked."""
    return readings([metric], examples)[0]


def readings(metrics: Sequence[Metric], examples: Sequence[Example]) -> list[ReferenceReading]:
    """Return how each metric reads the references, computed once in a process."""
    texts = tuple(e.reference for e in examples), tuple(e.prompt for e in examples)
    checked = {
        (metric.signature, *texts): metric
        for metric in metrics
        if examples and metric.higher_is_better is not None and not isinstance(metric, LikelihoodMetric)
    }
    new = {key: metric for key, metric in checked.items() if key not in _READINGS}
    scored = {key: metric for key, metric in new.items() if _reads_texts_alone(metric)}
    for key in list(_READINGS)[: max(0, len(_READINGS) + len(new) - _KEPT)]:
        del _READINGS[key]
    for key, metric in new.items():
        unchecked = ReferenceReading(metric.name, len(examples))
        _READINGS[key] = _encoded(metric, texts[0]) if isinstance(metric, EncodingMetric) else unchecked
    if scored:
        _READINGS.update(zip(scored, _scored(list(scored.values()), examples), strict=True))
    known = {metric.name: _READINGS[key] for key, metric in checked.items()}
    return [known.get(metric.name, ReferenceReading(metric.name, len(examples))) for metric in metrics]


def quoted(text: str) -> str:
    """Return the beginning of a text in quotes, for a message."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def best_score(metric: Metric) -> float | None:
    """Return the best score that there is, None where the metric does not declare it."""
    if isinstance(metric, BoundedMetric):
        ends = metric.bounds
    elif isinstance(metric, RangedMetric):
        ends = metric.score_range
    else:
        return None
    best = ends[1] if metric.higher_is_better else ends[0]
    return float(best) if np.isfinite(best) else None


def _reads_texts_alone(metric: Metric) -> bool:
    """Return whether a metric can be scored at no price but time, and against its best."""
    return best_score(metric) is not None and (metric.parallel or isinstance(metric, Classification))


def _scored(metrics: Sequence[Metric], examples: Sequence[Example]) -> Iterator[ReferenceReading]:
    """Yield each metric's reading, from copies of the references and from texts that are plainly other ones."""
    copies = _stats(metrics, examples, [example.reference for example in examples])
    other = {i: text for i, example in enumerate(examples) if (text := _damaged(example.reference)) is not None}
    damaged = _stats(metrics, [examples[i] for i in other], list(other.values())) if other else copies
    for metric, of_copies, of_damaged in zip(metrics, copies, damaged, strict=True):
        best = best_score(metric) or 0.0
        unreadable, weights = _falls_short(metric, best, of_copies, examples)
        if other:
            scores = np.asarray(metric.aggregate(of_damaged), np.float64)
            unreadable[list(other)] |= ~_short(scores, best) & ~np.isnan(scores)
        uncounted = np.isnan(np.asarray(metric.aggregate(of_copies), np.float64))
        if 2 * uncounted.sum() > len(examples):  # the score would be that of a minority
            unreadable |= uncounted
        share = float(weights[unreadable].sum() / max(weights.sum(), 1.0))
        left_out = _rows(uncounted & ~unreadable)
        foreign = any(not examples[i].reference.isascii() for i in _rows(unreadable))
        yield ReferenceReading(
            metric.name, len(examples), _rows(unreadable), share, uncounted=left_out, is_foreign=foreign
        )


def _falls_short(
    metric: Metric, best: float, stats: FloatArray, examples: Sequence[Example]
) -> tuple[Mask, FloatArray]:
    """Return which copies of references fall short of the best, and how much each reference weighs."""
    alone = _short(np.asarray(metric.aggregate(stats), np.float64), best)
    if isinstance(metric, BoundedMetric):
        return alone, np.ones(len(examples))
    weights = np.array([len(example.reference) for example in examples], np.float64)
    by_itself = _short(metric.per_example(stats), best)
    few = weights[alone & ~by_itself].sum() <= MOST * weights.sum()
    together = few and not _short(np.asarray(metric.aggregate(stats.sum(axis=0))), best)
    return (by_itself if together else alone), weights


def _damaged(text: str) -> str | None:
    """Return a number without its minus, and other texts without letters, digits and symbols that are not ASCII.

    None if a text has no minus, or if such characters are less than half of it. They are weighed by their bytes in
    UTF-8, as a Chinese character says more than a Latin one.
    """
    if negative := _NEGATIVE.fullmatch(text.strip()):
        return negative[1]
    if text.isascii():
        return None
    data = text.encode("utf-8", "surrogatepass")
    ascii_only = text.encode("ascii", "ignore")
    n_ascii = len(ascii_only.translate(None, _NOT_ALNUM))
    if len(data) - len(ascii_only) < n_ascii:
        return None
    left = "".join(c for c in text if c.isascii() or not (c.isalnum() or unicodedata.category(c)[0] in "MS"))
    removed = len(data) - len(left.encode("utf-8", "surrogatepass"))
    return left if removed >= max(n_ascii, 1) else None


def _stats(metrics: Sequence[Metric], examples: Sequence[Example], texts: Sequence[str]) -> list[FloatArray]:
    completions = [Completion(e.id, text, FinishReason.STOP) for e, text in zip(examples, texts, strict=True)]
    shared = [metric for metric in metrics if metric.parallel]
    computed = iter(parallel.stats(shared, completions, examples) if shared else [])
    return [next(computed) if m.parallel else parallel.checked_stats(m, completions, examples) for m in metrics]


def _short(scores: FloatArray, best: float) -> Mask:
    """Return which scores fall short of the best; nan does not."""
    return np.asarray(np.abs(scores - best) > TOLERANCE * max(abs(best), 1.0))


def _encoded(metric: EncodingMetric, references: Sequence[str]) -> ReferenceReading:
    unknown, truncated = metric.beyond_encoder(references)
    n = len(references)
    return ReferenceReading(metric.name, n, _rows(unknown), float(unknown.mean()), truncated=_rows(truncated))


def _rows(mask: Mask) -> tuple[int, ...]:
    return tuple(np.flatnonzero(mask).tolist())


def _findings(of_metrics: Sequence[ReferenceReading]) -> list[tuple[str, tuple[int, ...], str]]:
    """Return code, rows and message of each finding, with the metrics that share it in one."""
    messages = {
        "unreadable": "that {} cannot read: a perfect copy falls short of the best score, or a wrong text reaches it",
        "uncounted": "with nothing that {} counts, which are left out of its score",
        "beyond_encoder": "longer than the encoder of {} reads: what follows its limit is not compared",
    }
    metrics: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    foreign = {read.metric for read in of_metrics if read.is_foreign}
    for read in of_metrics:
        parts = (read.unreadable, read.uncounted, read.truncated)
        for code, rows in zip(messages, parts, strict=True):
            if rows:
                metrics.setdefault((code, rows), []).append(read.metric)
    n = max((read.n for read in of_metrics), default=0)
    return [
        (
            code,
            rows,
            f"of {counted(n, 'reference')} {messages[code].format(', '.join(names))}{_hint(code, names, foreign)}",
        )
        for (code, rows), names in metrics.items()
    ]


def _hint(code: str, names: Sequence[str], foreign: Collection[str]) -> str:
    """Return the options that may help, or why none does."""
    if code == "unreadable" and not set(names) & set(foreign) and set(names) & {"bleu", "rouge2"}:
        return "; they are too short for it: read chrf, token_f1 or exact_match"
    hints = []
    if code == "unreadable" and {*names} & {*registry.FAMILIES["rouge"]}:
        hints.append("+metrics.options.rouge.tokenizer=unicode")
    if code == "unreadable" and "bleu" in names:
        hints.append("+metrics.options.bleu.tokenize=NAME (zh, ja-mecab, ko-mecab, flores200, char)")
    return f"; other scripts are read with {' and '.join(hints)}" if hints else ""


def unreadable_in_words(read: ReferenceReading, examples: Sequence[Example]) -> str:
    """Return what a metric cannot read, with one of the references."""
    first = examples[read.unreadable[0]]
    return (
        f"{read.metric} cannot read {len(read.unreadable):,} of {counted(read.n, 'reference')}, such as "
        f"{origin_of(first)} {quoted(first.reference)}: a perfect copy falls short of the best, or a text without "
        "its letters or its minus reaches it, so that right answers are not told from wrong ones"
    )


def fitting(metric: Metric, examples: Sequence[Example]) -> list[tuple[str, str]]:
    """Return the metrics that read these references, each with the option that it needs: the same metric first."""
    names = []
    for option, value in _options(metric.name, examples):
        if _reads(metric.name, {option: value}, examples):
            family = "rouge" if metric.name in registry.FAMILIES["rouge"] else metric.name
            names.append((metric.name, f"+metrics.options.{family}.{option}={value}"))
            break
    others = [name for name in ("chrf", "rougeL", "token_f1", "exact_match") if name != metric.name]
    return [*names, *((name, "") for name in others if _reads(name, {}, examples))]


def _refusal(metric: Metric, read: ReferenceReading, metrics: Sequence[Metric], examples: Sequence[Example]) -> str:
    names, fixes = [m.name for m in metrics], []
    for name, option in fitting(metric, examples):
        listed = "" if name in names else f" 'metrics.names=[{','.join([*names, name])}]'"
        fixes.append(option or f"task.primary_metric={name}{listed}")
    known = f"Use {'; or '.join(fixes)}" if fixes else "No shipped metric reads them: look at the data"
    return f"task.primary_metric: {unreadable_in_words(read, examples)}. {known}."


def _options(name: str, examples: Sequence[Example]) -> list[tuple[str, str]]:
    """Return options that make a metric read more scripts, the best for these references first."""
    if name in registry.FAMILIES["rouge"]:
        return [("tokenizer", "unicode")]
    if name != "bleu":
        return []
    text = "".join(example.reference for example in examples)
    by_script = [
        ("ja-mecab", "\u3040", "\u30ff"),
        ("ko-mecab", "\uac00", "\ud7a3"),
        ("zh", "\u4e00", "\u9fff"),
    ]
    fitting = [tokenizer for tokenizer, low, high in by_script if any(low <= c <= high for c in text)]
    return [("tokenize", tokenizer) for tokenizer in [*fitting, "char"]]


def _reads(name: str, options: dict[str, str], examples: Sequence[Example]) -> bool:
    try:
        return not reading(registry.metric(name, options), examples).is_refused
    except HarnessError:  # a tokeniser that is not installed
        return False
