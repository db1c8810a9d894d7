"""Selection of the completions that a report shows, by fixed rules, so that none is cherry-picked.

Every run's predictions are read once, for what the rules need, and then only the few that are shown: 12 runs of 10,000
completions are never in memory together.

Repeats are completions with nearly the words of the reference, and one text in answer to several prompts. Words are
compared without case and punctuation. Short texts, such as class labels, repeat by nature and are ignored.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.analysis.leaderboard import Leaderboard
from harness.config import ReportConfig
from harness.stats.comparison import direction
from harness.types import Example, FinishReason, Prediction

MIN_WORDS = 8
"""Shorter completions are not checked for repeats."""
MIN_SIMILARITY = 0.8
"""Texts are nearly the same if the Jaccard similarity of their sets of words is at least this."""
PEOPLE = frozenset({"people", "person", "persons", "biography", "biographies"})
"""Slices whose examples are shown if no titles are chosen: most readers know facts about well-known people."""
RUNS_PER_END = 2
"""The number of best and of worst runs that are shown on an example if there are many runs."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class SamplePick:
    """An example, the positions of the runs whose completions are shown, and a note on them."""

    example_id: str
    runs: tuple[int, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class SampleGroup:
    """Examples that one rule picked."""

    title: str
    rule: str
    picks: tuple[SamplePick, ...]


@dataclass(frozen=True, slots=True)
class SampleSelection:
    """All samples of a report; `predictions` are by example id and position of the run."""

    parts: tuple[SampleGroup, ...]
    predictions: dict[str, dict[int, Prediction]]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Repeat:
    """A text that the run at this position returned for several examples."""

    run: int
    example_ids: tuple[str, ...]


@dataclass(slots=True)
class RepeatFinder:
    """Finds the completions that repeat their reference or each other, run by run."""

    references: dict[str, frozenset[str]] = field(default_factory=dict)
    """The words of each example's reference, by id."""
    matches: dict[str, dict[int, float]] = field(default_factory=dict)
    """The similarity of completions with their reference, by example id and run; only of those nearly the same."""
    repeats: list[Repeat] = field(default_factory=list)
    _example_ids: dict[str, dict[str, str]] = field(default_factory=dict)
    """By text, one example id for each prompt."""

    def add(self, run: int, example_id: str, text: str, prompt_id: str = "") -> None:
        """Add a completion; `prompt_id` is the same for all samples of a prompt, which may well be one text."""
        words = _WORD.findall(text.casefold())
        if len(words) < MIN_WORDS:
            return
        self._example_ids.setdefault(" ".join(words), {}).setdefault(prompt_id or example_id, example_id)
        completion, reference = frozenset(words), self.references[example_id]
        shared = len(completion & reference)
        if shared >= MIN_SIMILARITY * (len(completion) + len(reference) - shared):
            similarity = shared / (len(completion) + len(reference) - shared)
            self.matches.setdefault(example_id, {})[run] = similarity

    def end_run(self, run: int) -> None:
        """Record the repeats of a run and discard its texts."""
        self.repeats += [Repeat(run, tuple(ids.values())) for ids in self._example_ids.values() if len(ids) > 1]
        self._example_ids.clear()


def word_set(text: str) -> frozenset[str]:
    """Return the set of words of a text, without case and punctuation."""
    return frozenset(_WORD.findall(text.casefold()))


@dataclass(slots=True)
class _Scan:
    """What is kept of all predictions: their positions, their scores, and what the rules pick from."""

    examples: dict[str, str] = field(default_factory=dict)
    """Prompts by id, in order of appearance."""
    rows: list[dict[str, int]] = field(default_factory=list)
    """For each run, the row of its prediction by example id."""
    scores: dict[str, dict[int, float]] = field(default_factory=dict)
    truncated: dict[str, list[int]] = field(default_factory=dict)
    people: list[str] = field(default_factory=list)
    repeats: RepeatFinder = field(default_factory=RepeatFinder)

    def add(self, run: int, predictions: Iterable[Prediction], primary: str) -> None:
        rows: dict[str, int] = {}
        for row, prediction in enumerate(predictions):
            example, completion = prediction.example, prediction.completion
            rows[example.id] = row
            if example.id not in self.examples:
                self._add_example(example)
            if (score := prediction.scores.get(primary)) is not None:
                self.scores.setdefault(example.id, {})[run] = score
            if completion.finish_reason is FinishReason.LENGTH:
                self.truncated.setdefault(example.id, []).append(run)
            if completion.text is not None:
                self.repeats.add(run, example.id, completion.text, example.sample_of)
        self.rows.append(rows)
        self.repeats.end_run(run)

    def runs_with(self, example_id: str) -> tuple[int, ...]:
        return tuple(run for run, rows in enumerate(self.rows) if example_id in rows)

    def _add_example(self, example: Example) -> None:
        self.examples[example.id] = example.prompt
        self.repeats.references[example.id] = word_set(example.reference)
        if any(value.casefold() in PEOPLE for value in example.slices.values()):
            self.people.append(example.id)


def pick_samples(board: Leaderboard, config: ReportConfig) -> SampleSelection:
    """Return the chosen, people or first examples, then those that stand out by a rule.

    `config.titles` chooses examples; without it they are people if a slice names any, else the first ones.
    """
    scan = _Scan()
    for run, entry in enumerate(board.entries):
        scan.add(run, entry.run.predictions(), board.primary)
    fewer = max(1, config.samples // 2)
    first, remarks = _titles(scan, config)
    groups = [first]
    if len(board.entries) > 1:
        groups.append(_disagreements(scan, board, fewer))
    groups += [*_extremes(scan, board, fewer), *_near_references(scan, config, fewer), _repeated(scan, fewer)]
    groups.append(_truncated(scan, fewer))
    if scan.repeats.matches and not config.references:
        remarks.append(_match_counts(scan, board))
    return SampleSelection(tuple(groups), _read(board, scan, groups), tuple(remarks))


def _titles(scan: _Scan, config: ReportConfig) -> tuple[SampleGroup, list[str]]:
    """Return the first group, and a remark on each title that does not exist."""
    if config.titles:
        ids = {name: i for i, prompt in reversed(scan.examples.items()) for name in (prompt, i)}
        title, rule = "The chosen titles", "In the order of report.titles."
        chosen = [ids[name] for name in config.titles if name in ids]
        missing = [_missing(name, ids) for name in config.titles if name not in ids]
    else:
        title, ids_of = ("People", scan.people) if scan.people else ("The first examples", list(scan.examples))
        rule = "The first ones in the order of the run; report.titles chooses others."
        chosen, missing = ids_of[: config.samples], []
    return SampleGroup(title, rule, tuple(SamplePick(i, scan.runs_with(i)) for i in chosen)), missing


def _missing(title: str, names: Iterable[str]) -> str:
    closest = difflib.get_close_matches(title, list(names), n=1, cutoff=0.5)
    return f"Not among the scored examples: {title!r}." + (f" The closest is {closest[0]!r}." if closest else "")


def _disagreements(scan: _Scan, board: Leaderboard, n: int) -> SampleGroup:
    gaps = {i: max(scores.values()) - min(scores.values()) for i, scores in scan.scores.items() if len(scores) > 1}
    widest = sorted((i for i, gap in gaps.items() if gap > 0), key=lambda i: -gaps[i])[:n]
    sign = direction(board.higher_is_better)
    picks = []
    for i in widest:
        ranked = sorted(scan.scores[i], key=lambda run: (-sign * scan.scores[i][run], run))
        if len(ranked) > 2 * RUNS_PER_END:
            ranked = [*ranked[:RUNS_PER_END], *ranked[-RUNS_PER_END:]]
        picks.append(SamplePick(i, tuple(ranked)))
    rule = f"The widest gaps between the best and the worst run, with up to {RUNS_PER_END} runs at each end."
    return SampleGroup("The largest disagreements", rule, tuple(picks))


def _extremes(scan: _Scan, board: Leaderboard, n: int) -> list[SampleGroup]:
    sign = direction(board.higher_is_better)
    scored = [i for i in scan.scores if 0 in scan.scores[i]]
    ranked = sorted(scored, key=lambda i: -sign * scan.scores[i][0])
    rule, name = "By the score of the first run of the leaderboard.", board.entries[0].name
    best = SampleGroup(f"Best completions of {name}", rule, tuple(SamplePick(i, (0,)) for i in ranked[:n]))
    worst = SampleGroup(f"Worst completions of {name}", rule, tuple(SamplePick(i, (0,)) for i in ranked[::-1][:n]))
    return [best, worst]


def _near_references(scan: _Scan, config: ReportConfig, n: int) -> list[SampleGroup]:
    if not config.references:
        return []
    matches = sorted(scan.repeats.matches.items(), key=lambda match: -max(match[1].values()))
    rule = (
        "Long completions with nearly the words of the reference: memorised, or easy to guess. Stored runs cannot show "
        "whether a text was in the data of the base model; leaks from the training examples are under Provenance."
    )
    return [SampleGroup("Memorised or known", rule, tuple(SamplePick(i, tuple(runs)) for i, runs in matches[:n]))]


def _repeated(scan: _Scan, n: int) -> SampleGroup:
    repeats = sorted(scan.repeats.repeats, key=lambda repeat: (-len(repeat.example_ids), repeat.run))[:n]
    rule = "One text in answer to several prompts: a repeated training or few-shot completion, or a collapsed model."
    picks = [
        SamplePick(repeat.example_ids[0], (repeat.run,), f"the same for {len(repeat.example_ids):,} prompts")
        for repeat in repeats
    ]
    return SampleGroup("The same completion to several prompts", rule, tuple(picks))


def _truncated(scan: _Scan, n: int) -> SampleGroup:
    most = 2 * RUNS_PER_END
    first = [i for i in scan.examples if i in scan.truncated][:n]
    rule = f"The first examples with a completion truncated at the token limit, with up to {most} such runs."
    return SampleGroup("Truncated", rule, tuple(SamplePick(i, tuple(scan.truncated[i][:most])) for i in first))


def _match_counts(scan: _Scan, board: Leaderboard) -> str:
    counts = [sum(run in runs for runs in scan.repeats.matches.values()) for run in range(len(board.entries))]
    named = [f"{e.name} {n:,}" for e, n in zip(board.entries, counts, strict=True) if n]
    return f"Completions with nearly the words of the reference: {', '.join(named)}."


def _read(board: Leaderboard, scan: _Scan, groups: Sequence[SampleGroup]) -> dict[str, dict[int, Prediction]]:
    """Read the predictions that are shown."""
    ids_of_run: dict[int, set[str]] = {}
    for pick in (pick for group in groups for pick in group.picks):
        for run in pick.runs:
            ids_of_run.setdefault(run, set()).add(pick.example_id)
    predictions: dict[str, dict[int, Prediction]] = {}
    for run, ids in sorted(ids_of_run.items()):
        rows = {scan.rows[run][i]: i for i in ids}
        for row, prediction in board.entries[run].run.predictions_at(sorted(rows)).items():
            predictions.setdefault(rows[row], {})[run] = prediction
    return predictions
