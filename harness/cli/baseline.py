"""`python -m harness baseline`: accept a run as the baseline, show baselines, compare a run with one."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator
from pathlib import Path

from harness.errors import StoreError, unknown
from harness.gate.accepted import ACCEPT, losses, summary_of
from harness.gate.baseline import Baseline, accept, find_folder, folder_for, load
from harness.gate.diff import Changes, changes
from harness.paths import BASELINES
from harness.reports.formatting import number, shorten, with_interval
from harness.store.runs import find_run, result_json
from harness.store.stages import store_root
from harness.wording import difference, sized, visible

MAX_EXAMPLES, MAX_CHARACTERS = 10, 160
"""Examples that a diff shows, and characters of each completion."""


def main(options: argparse.Namespace) -> int:
    """Run one of the three actions and return the exit code."""
    return {"accept": _accept, "show": _show, "diff": _diff}[options.action](options)


def _accept(options: argparse.Namespace) -> int:
    run = find_run(store_root(options.store) / "runs", options.run)
    folder = folder_for(Path(options.baseline), run.result.task, options.name)
    before = summary_of(folder)
    accept(run, folder, options.allow_errors, options.replace, _how_to_replace(run.result.run_id, options))
    place = ""
    if before and before.run_id != run.result.run_id:
        place = f" in place of {visible(before.run_id) or 'a baseline that could not be read'}"
        if before.fingerprint != run.result.dataset.fingerprint:
            place += f", which was of {visible(before.data)}"
    print(f"accepted {run.result.run_id}{place}; commit the folder:\n  {folder}")
    for loss in losses(before, run.result) if before else []:
        print(f"  {visible(loss)}")
    return 0


def _how_to_replace(run_id: str, options: argparse.Namespace) -> str:
    """Return how to keep both baselines, and the command that replaces the one that is there."""
    words = ["python", "-m", "harness", "baseline", "accept", run_id]
    for option, value, default in (
        ("--baseline", options.baseline, BASELINES),
        ("--name", options.name, ""),
        ("--store", options.store, None),
    ):
        words += [option, value] if value != default else []
    words += ["--allow-errors"] if options.allow_errors else []
    keep = "another --name" if options.name else "a name of its own: --name NAME"
    return f"Keep both: give this one {keep}, or its task (task.name). Or replace it: {shlex.join(words)} --replace"


def _show(options: argparse.Namespace) -> int:
    root = Path(options.baseline)
    if options.task:
        folders = [find_folder(root, options.task, options.name)]
    else:
        known = sorted(path.parent for path in root.rglob("baseline.json"))
        folders = [folder for folder in known if options.name in ("", folder.name)]
        if known and not folders:
            raise StoreError(f"{root}: {unknown('baseline', options.name, [folder.name for folder in known])}")
    if not folders:
        raise StoreError(f"{root}: there is no baseline. Accept a run: {ACCEPT}")
    baselines = [load(folder) for folder in folders]
    if options.json:
        shown = [{"folder": str(b.folder), "accepted": b.record.accepted, **result_json(b.result)} for b in baselines]
        print(json.dumps(shown, indent=2))
    else:
        print("\n\n".join("\n".join(_description(baseline)) for baseline in baselines))
    return 0


def _description(baseline: Baseline) -> Iterator[str]:
    result = baseline.result
    yield f"{baseline.folder}"
    yield f"  task      {visible(result.task)}"
    yield f"  run       {visible(result.run_id)}, accepted {baseline.record.accepted}"
    model = result.model
    parts = [model.backend, model.base, model.revision, model.weights, model.adapter]
    yield f"  model     {visible(', '.join(part for part in parts if part))}"
    yield f"  data      {visible(result.dataset.source)}"
    size, usage = sized(result.dataset.n_validation, result.dataset.n_samples), result.usage
    yield f"  examples  {size} ({usage.errors} failed, {usage.truncated} truncated), " + (
        f"fingerprint {result.dataset.fingerprint}"
    )
    yield f"  command   {visible(result.command)}"
    for metric in result.metrics:
        yield f"  {visible(metric.name):<24} {with_interval(metric.score, 3)}  {visible(metric.signature)}"


def _diff(options: argparse.Namespace) -> int:
    run = find_run(store_root(options.store) / "runs", options.run)
    folder = find_folder(Path(options.baseline), run.result.task, options.name)
    baseline = load(folder, run.result.dataset.fingerprint)
    diff = changes(baseline, run)
    if options.json:
        print(json.dumps(diff.as_json(), indent=2))
    else:
        print("\n".join(_diff_lines(baseline, diff)))
    return 0


def _diff_lines(baseline: Baseline, diff: Changes) -> Iterator[str]:
    yield f"against {baseline.folder} ({visible(baseline.result.run_id)})"
    for change in diff.settings:
        yield f"  {visible(change.what)}: {visible(str(change.before))} -> {visible(str(change.after))}"
    if diff.same_completions is not None:
        yield f"  {diff.same_completions} of {baseline.result.usage.n} completions are the same"
    for score in diff.scores:
        line = f"  {visible(score.metric):<24} {number(score.before, 3)} -> {number(score.after, 3)}"
        if score.difference is None:
            yield f"{line}  not compared: {visible(score.note) or 'unknown'}"
        else:
            yield f"{line}  {difference(score.difference, score.low, score.high)}"
    for example in diff.examples[:MAX_EXAMPLES]:
        yield f"  {visible(shorten(example.prompt, MAX_CHARACTERS))}  {example.before:.3g} -> {example.after:.3g}"
        yield f"    baseline | {_text(example.completion_before)}"
        yield f"    run      | {_text(example.completion_after)}"


def _text(text: str | None) -> str:
    return "(error)" if text is None else visible(shorten(text, MAX_CHARACTERS)) or "(empty)"
