"""`python -m harness baseline`: accept a run, show what is accepted, say what a run changes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from harness.errors import StoreError, unknown
from harness.gate.baseline import ACCEPT, Baseline, accept, find, load, place
from harness.gate.diff import Changes, changes
from harness.reports.formatting import number, shorten, visible, with_interval
from harness.store.runs import find_run, result_json
from harness.store.stages import store_root

SHOWN, LIMIT = 10, 160
"""Examples that a diff shows, and characters of a completion."""


def main(options: argparse.Namespace) -> int:
    """Run one of the three actions and return the exit code."""
    return {"accept": _accept, "show": _show, "diff": _diff}[options.action](options)


def _accept(options: argparse.Namespace) -> int:
    run = find_run(store_root(options.store) / "runs", options.run)
    folder = accept(run, place(Path(options.baseline), run.result.task, options.name), options.allow_errors)
    print(f"accepted {run.result.run_id}; commit the folder:\n  {folder}")
    return 0


def _show(options: argparse.Namespace) -> int:
    root = Path(options.baseline)
    if options.task:
        folders = [find(root, options.task, options.name)]
    else:
        there = sorted(path.parent for path in root.rglob("baseline.json"))
        folders = [folder for folder in there if options.name in ("", folder.name)]
        if there and not folders:
            raise StoreError(f"{root}: {unknown('baseline', options.name, [folder.name for folder in there])}")
    if not folders:
        raise StoreError(f"{root}: there is no baseline. Accept a run: {ACCEPT}")
    baselines = [load(folder) for folder in folders]
    if options.json:
        shown = [{"folder": str(b.folder), "accepted": b.accepted.accepted, **result_json(b.result)} for b in baselines]
        print(json.dumps(shown, indent=2))
    else:
        print("\n\n".join("\n".join(_described(baseline)) for baseline in baselines))
    return 0


def _described(baseline: Baseline) -> Iterator[str]:
    result = baseline.result
    yield f"{baseline.folder}"
    yield f"  task      {visible(result.task)}"
    yield f"  run       {visible(result.run_id)}, accepted {baseline.accepted.accepted}"
    model = result.model
    parts = [model.backend, model.base, model.revision, model.weights, model.adapter]
    yield f"  model     {visible(', '.join(part for part in parts if part))}"
    yield f"  examples  {result.usage.n} ({result.usage.errors} failed, {result.usage.truncated} truncated), " + (
        f"fingerprint {result.dataset.fingerprint}"
    )
    yield f"  command   {visible(result.command)}"
    for metric in result.metrics:
        yield f"  {visible(metric.name):<24} {with_interval(metric.score, 3)}  {visible(metric.signature)}"


def _diff(options: argparse.Namespace) -> int:
    run = find_run(store_root(options.store) / "runs", options.run)
    baseline = load(find(Path(options.baseline), run.result.task, options.name))
    found = changes(baseline, run)
    if options.json:
        print(json.dumps(asdict(found), indent=2))
    else:
        print("\n".join(_compared(baseline, found)))
    return 0


def _compared(baseline: Baseline, found: Changes) -> Iterator[str]:
    yield f"against {baseline.folder} ({visible(baseline.result.run_id)})"
    for change in found.settings:
        yield f"  {visible(change.what)}: {visible(str(change.before))} -> {visible(str(change.after))}"
    if found.same_completions is not None:
        yield f"  {found.same_completions} of {baseline.result.usage.n} completions are the same"
    for each in found.scores:
        scored = f"  {visible(each.metric):<24} {number(each.before, 3)} -> {number(each.after, 3)}"
        if each.difference is None:
            yield f"{scored}  not compared: {visible(each.note) or 'unknown'}"
        elif each.low is None or each.high is None:
            yield f"{scored}  {each.difference:+.3f}"
        else:
            yield f"{scored}  {each.difference:+.3f} [{each.low:+.3f}, {each.high:+.3f}]"
    for moved in found.moved[:SHOWN]:
        yield f"  {visible(shorten(moved.prompt, LIMIT))}  {moved.before:.3g} -> {moved.after:.3g}"
        yield f"    baseline | {_said(moved.said_before)}"
        yield f"    run      | {_said(moved.said_after)}"


def _said(text: str | None) -> str:
    return "(error)" if text is None else visible(shorten(text, LIMIT)) or "(empty)"
