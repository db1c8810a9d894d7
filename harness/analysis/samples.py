"""Which completions are worth a look, by rules that anybody can check: nothing is picked to please.

Every run's predictions are read once, for what the rules need, and then only the few that are shown; 12 runs of
10,000 completions never are in memory together.

Completions that repeat: the reference, word for word or nearly, or one text in answer to several prompts.

Words are compared without case and punctuation. Short texts, such as class labels, are the same by rights and are
passed over.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.analysis.leaderboard import Leaderboard
from harness.config import ReportConfig
from harness.types import Example, FinishReason, Prediction

LONG = 8
"""Shorter completions are the same by rights."""
NEAR = 0.8
"""Texts are nearly the same when their sets of words have at least this Jaccard similarity."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Repeat:
    """A text that the run at this position gave for several examples."""

    run: int
    example_ids: tuple[str, ...]


@dataclass(slots=True)
class Texts:
    """Takes completions run by run, and keeps those that repeat."""

    references: dict[str, frozenset[str]] = field(default_factory=dict)
    """The words of each example's reference, by id."""
    matches: dict[str, dict[int, float]] = field(default_factory=dict)
    """How near the reference a completion is, by example id and run; only what is near."""
    repeats: list[Repeat] = field(default_factory=list)
    _same: dict[str, list[str]] = field(default_factory=dict)

    def add(self, run: int, example_id: str, text: str) -> None:
        """Take a completion."""
        words = _WORD.findall(text.casefold())
        if len(words) < LONG:
            return
        self._same.setdefault(" ".join(words), []).append(example_id)
        mine, reference = frozenset(words), self.references[example_id]
        shared = len(mine & reference)
        if shared >= NEAR * (len(mine) + len(reference) - shared):
            near = shared / (len(mine) + len(reference) - shared)
            self.matches.setdefault(example_id, {})[run] = near

    def settle(self, run: int) -> None:
        """Note what the run repeated, and forget its texts."""
        self.repeats += [Repeat(run, tuple(ids)) for ids in self._same.values() if len(ids) > 1]
        self._same.clear()


def bag(text: str) -> frozenset[str]:
    """Return the words of a text without case, punctuation, order and number."""
    return frozenset(_WORD.findall(text.casefold()))


PEOPLE = frozenset({"people", "person", "persons", "biography", "biographies"})
"""Values of a slice whose examples are shown where no titles are asked for: readers know what is true of people."""
SIDES = 2
"""Where there are many runs, so many of the best and of the worst on an example are shown."""


@dataclass(frozen=True, slots=True)
class Pick:
    """An example, the positions of the runs whose completions are shown, and what is to be said of them."""

    example_id: str
    runs: tuple[int, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """Examples that one rule picked."""

    title: str
    rule: str
    picks: tuple[Pick, ...]


@dataclass(frozen=True, slots=True)
class Picked:
    """All that is shown; `predictions` are by example id and position of the run."""

    parts: tuple[Part, ...]
    predictions: dict[str, dict[int, Prediction]]
    remarks: tuple[str, ...] = ()


@dataclass(slots=True)
class _Seen:
    """What is kept of all predictions: where they are, their scores, and which of them stand out."""

    examples: dict[str, str] = field(default_factory=dict)
    """Prompts by id, in order of appearance."""
    rows: list[dict[str, int]] = field(default_factory=list)
    scores: dict[str, dict[int, float]] = field(default_factory=dict)
    truncated: dict[str, list[int]] = field(default_factory=dict)
    people: list[str] = field(default_factory=list)
    texts: Texts = field(default_factory=Texts)

    def add(self, run: int, predictions: Iterable[Prediction], primary: str) -> None:
        rows: dict[str, int] = {}
        for row, prediction in enumerate(predictions):
            example, completion = prediction.example, prediction.completion
            rows[example.id] = row
            if example.id not in self.examples:
                self._know(example)
            if (score := prediction.scores.get(primary)) is not None:
                self.scores.setdefault(example.id, {})[run] = score
            if completion.finish_reason is FinishReason.LENGTH:
                self.truncated.setdefault(example.id, []).append(run)
            if completion.text is not None:
                self.texts.add(run, example.id, completion.text)
        self.rows.append(rows)
        self.texts.settle(run)

    def having(self, example_id: str) -> tuple[int, ...]:
        return tuple(run for run, rows in enumerate(self.rows) if example_id in rows)

    def _know(self, example: Example) -> None:
        self.examples[example.id] = example.prompt
        self.texts.references[example.id] = bag(example.reference)
        if any(value.casefold() in PEOPLE for value in example.slices.values()):
            self.people.append(example.id)


def pick(board: Leaderboard, config: ReportConfig) -> Picked:
    """Return the examples that `config.titles` asks for, or people, or the first; then what stands out."""
    seen = _Seen()
    for run, entry in enumerate(board.entries):
        seen.add(run, entry.run.predictions(), board.primary)
    fewer = max(1, config.samples // 2)
    first, remarks = _titles(seen, config)
    parts = [first]
    if len(board.entries) > 1:
        parts.append(_disagreements(seen, board, fewer))
    parts += [*_extremes(seen, board, fewer), *_known(seen, config, fewer), *_repeated(seen, fewer)]
    parts.append(_truncated(seen, fewer))
    if seen.texts.matches and not config.references:
        remarks.append(_counts(seen, board))
    return Picked(tuple(parts), _read(board, seen, parts), tuple(remarks))


def _titles(seen: _Seen, config: ReportConfig) -> tuple[Part, list[str]]:
    if config.titles:
        ids = {name: i for i, prompt in reversed(seen.examples.items()) for name in (prompt, i)}
        found = [ids[title] for title in config.titles if title in ids]
        missing = [_missing(title, ids) for title in config.titles if title not in ids]
        return Part(
            "The chosen titles", "In the order that they were asked for.", tuple(Pick(i, seen.having(i)) for i in found)
        ), missing
    title, ids_of = ("People", seen.people) if seen.people else ("The first examples", list(seen.examples))
    rule = "The first of them in the order of the run; report.titles takes others."
    return Part(title, rule, tuple(Pick(i, seen.having(i)) for i in ids_of[: config.samples])), []


def _missing(title: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(title, list(names), n=1, cutoff=0.5)
    return f"Not among the scored examples: {title!r}." + (f" The nearest is {near[0]!r}." if near else "")


def _disagreements(seen: _Seen, board: Leaderboard, n: int) -> Part:
    spread = {i: max(by.values()) - min(by.values()) for i, by in seen.scores.items() if len(by) > 1}
    widest = sorted((i for i, gap in spread.items() if gap > 0), key=lambda i: -spread[i])[:n]
    sign = _sign(board)
    picks = []
    for i in widest:
        ranked = sorted(seen.scores[i], key=lambda run: (-sign * seen.scores[i][run], run))
        picks.append(Pick(i, tuple(ranked if len(ranked) <= 2 * SIDES else (*ranked[:SIDES], *ranked[-SIDES:]))))
    rule = f"The widest gaps between the best and the worst run, with up to {SIDES} runs at each end."
    return Part("The largest disagreements", rule, tuple(picks))


def _extremes(seen: _Seen, board: Leaderboard, n: int) -> list[Part]:
    sign = _sign(board)
    scored = [i for i in seen.scores if 0 in seen.scores[i]]
    ranked = sorted(scored, key=lambda i: -sign * seen.scores[i][0])
    rule, name = "By the score of the first run of the leaderboard.", board.entries[0].run.result.name
    best = Part(f"Best completions of {name}", rule, tuple(Pick(i, (0,)) for i in ranked[:n]))
    worst = Part(f"Worst completions of {name}", rule, tuple(Pick(i, (0,)) for i in ranked[::-1][:n]))
    return [best, worst]


def _known(seen: _Seen, config: ReportConfig, n: int) -> list[Part]:
    if not config.references:
        return []
    matches = sorted(seen.texts.matches.items(), key=lambda match: -max(match[1].values()))
    rule = (
        "Long completions with nearly the words of the reference: known by heart, or easy to tell. Whether a text was "
        "in the data of the base model no stored run knows; leaks from the training examples are under Provenance."
    )
    return [Part("Memorised or known", rule, tuple(Pick(i, tuple(by)) for i, by in matches[:n]))]


def _repeated(seen: _Seen, n: int) -> list[Part]:
    groups = sorted(seen.texts.repeats, key=lambda group: (-len(group.example_ids), group.run))[:n]
    rule = "One text in answer to several prompts: a training or few-shot completion come back, or a collapse."
    picks = [Pick(g.example_ids[0], (g.run,), f"the same for {len(g.example_ids):,} prompts") for g in groups]
    return [Part("The same completion to several prompts", rule, tuple(picks))]


def _truncated(seen: _Seen, n: int) -> Part:
    first = [i for i in seen.examples if i in seen.truncated][:n]
    rule = f"The first that some run was cut off in at the token limit, with up to {2 * SIDES} such runs."
    return Part("Truncated", rule, tuple(Pick(i, tuple(seen.truncated[i][: 2 * SIDES])) for i in first))


def _counts(seen: _Seen, board: Leaderboard) -> str:
    counts = [sum(run in by for by in seen.texts.matches.values()) for run in range(len(board.entries))]
    named = [f"{e.run.result.name} {n:,}" for e, n in zip(board.entries, counts, strict=True) if n]
    return f"Completions with nearly the words of the reference: {', '.join(named)}."


def _read(board: Leaderboard, seen: _Seen, parts: Sequence[Part]) -> dict[str, dict[int, Prediction]]:
    """Read the predictions that are shown."""
    wanted: dict[int, set[str]] = {}
    for each in (each for part in parts for each in part.picks):
        for run in each.runs:
            wanted.setdefault(run, set()).add(each.example_id)
    found: dict[str, dict[int, Prediction]] = {}
    for run, ids in sorted(wanted.items()):
        rows = {seen.rows[run][i]: i for i in ids}
        for row, prediction in board.entries[run].run.predictions_at(sorted(rows)).items():
            found.setdefault(rows[row], {})[run] = prediction
    return found


def _sign(board: Leaderboard) -> int:
    metrics = (entry.run.result.metric(board.primary) for entry in board.entries)
    return -1 if any(m and m.higher_is_better is False for m in metrics) else 1
