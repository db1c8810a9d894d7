"""The Weights & Biases sink: one W&B run per stored run, and one for the leaderboard if there are several.

Offline by default. Artifact files are kept beside the offline run, so that `python -m harness sync` finds them later.
A marker file holds a digest of what was logged: the same content is logged once, and changed content again under the
same id.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.analysis.leaderboard import Entry, Leaderboard, as_json
from harness.config import TrackingConfig, TrackingMode
from harness.config.decides import affecting
from harness.credentials import redacted
from harness.errors import HarnessError
from harness.reports.plots import draw
from harness.reports.wandb import artifacts, history, tables
from harness.reports.wandb.tables import Cell, evidence, leaderboard_id, session_id
from harness.store.digest import digest
from harness.store.files import write_atomic
from harness.types import RunResult

LAYOUT = 3
"""The version of what is logged; raising it logs every run again."""


class WandbSink:
    """Logs runs and leaderboard to W&B, once per mode."""

    def __init__(self, config: TrackingConfig, store: Path) -> None:
        self.config, self.store = config, store

    def write(self, leaderboard: Leaderboard) -> Sequence[str]:
        """Log what is not logged yet; return the folders of offline runs or the URLs of online ones."""
        if self.config.mode is TrackingMode.disabled:
            return []
        places = [self._run(entry, leaderboard) for entry in leaderboard.entries]
        if len(leaderboard.entries) > 1:
            places.append(self._leaderboard(leaderboard))
        if self.config.report:
            from harness.reports.wandb.report import save

            places.append(save(leaderboard, self.config))
        return list(dict.fromkeys(places))

    def _run(self, entry: Entry, board: Leaderboard) -> str:
        result = entry.run.result

        def log(session: Any) -> None:
            session.summary.update(_summary(result, board.primary))
            if result.finetune:
                history.log_curve(session, result.finetune)
            rows = {"leaderboard": tables.leaderboard_rows(board, [entry])}
            if self.config.predictions:
                rows["predictions"] = tables.predictions(entry.run, self.config)
            session.log(_tables(rows))
            made_from = [artifacts.dataset(entry.run, self.config)]
            artifacts.declare(session, made_from, list(artifacts.products(entry.run, self.config)))

        content = (entry.run.folder / "results.json").read_text(encoding="utf-8")
        marker = entry.run.folder / f"wandb-{self.config.mode}.json"
        kind = {"name": result.name, "job_type": "evaluate", "id": session_id(result.run_id), "config": _config(result)}
        return self._once(marker, content, kind, log)

    def _leaderboard(self, board: Leaderboard) -> str:
        runs = [entry.run for entry in board.entries]
        ids = [run.result.run_id for run in runs]

        def log(session: Any) -> None:
            session.summary.update({"verdict": board.verdict.text, "decision": board.verdict.decision})
            rows = {"leaderboard": tables.leaderboard_rows(board, board.entries), **evidence(board)}
            if self.config.predictions:
                rows["predictions"] = tables.side_by_side(board, self.config)
            session.log({**_tables(rows), **history.charts(board)})
            with tempfile.TemporaryDirectory(dir=self.store) as folder:
                session.log(_pictures(board, Path(folder)))
            made_from = [artifacts.scores(run, self.config) for run in runs]
            artifacts.declare(session, made_from, [artifacts.leaderboard(board, self.config)])

        name = leaderboard_id(board)
        marker = self.store / "wandb-leaderboards" / f"{name}-{self.config.mode}.json"
        config = {"task": board.task, "primary_metric": board.primary, "runs": ids}
        kind = {"name": "leaderboard", "job_type": "leaderboard", "id": name, "config": config}
        return self._once(marker, as_json(board), kind, log)

    def _once(self, marker: Path, content: Any, kind: dict[str, Any], log: Callable[[Any], None]) -> str:
        """Call `log` in a new W&B run unless the marker shows that this content is logged; return the run's place."""
        key = digest([LAYOUT, content, asdict(self.config)])
        if marker.exists():
            logged = json.loads(marker.read_text(encoding="utf-8"))
            exists = self.config.mode is TrackingMode.online or Path(logged["place"]).exists()
            if logged.get("content") == key and exists:
                return str(logged["place"])
        with self._session(kind) as session:
            log(session)
            place = str(Path(session.dir).parent) if session.offline else str(session.url)
        write_atomic(marker, json.dumps({"place": place, "content": key}))
        return place

    @contextmanager
    def _session(self, kind: dict[str, Any]) -> Iterator[Any]:
        self.store.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("WANDB_DATA_DIR", str(self.store.absolute() / "wandb-data"))
        import wandb

        wandb.Table.MAX_ROWS = tables.MAX_ROWS  # the limit of the copy in the run's folder
        settings = wandb.Settings(
            silent=True,
            console="off",
            table_raise_on_max_row_limit_exceeded=True,
            x_disable_meta=True,  # the command line and local paths; the config has what matters
            x_save_requirements=False,  # every installed package; the config has the relevant versions
        )
        try:
            with wandb.init(
                project=self.config.project,
                entity=self.config.entity,
                group=self.config.group,
                dir=str(self.store),
                mode=self.config.mode.value,
                settings=settings,
                reinit="finish_previous",
                **kind,
            ) as session:
                yield session
        except wandb.Error as error:
            raise HarnessError(
                f"Weights & Biases: {error}. The runs are stored; send them again with the same command, or log them "
                "with tracking=wandb_offline and push them with: python -m harness sync --all"
            ) from error


def _config(result: RunResult) -> dict[str, Any]:
    """Return the settings that decide the scores, and where they were found, without secrets."""
    settings = affecting(result.config, labels=True)
    digests = {
        "dataset": result.dataset.fingerprint,
        "model": digest(result.model),
        **{stage.name: stage.key for stage in result.stages},
    }
    about = {
        "digests": digests,
        "versions": dict(result.versions),
        "command": result.command,
        "created": result.created,
    }
    plain: dict[str, Any] = redacted({**settings, **about})
    return plain


def _summary(result: RunResult, primary: str) -> dict[str, Cell]:
    """Return every score and the costs of a run; the primary metric also as `primary`, which all tasks share."""
    metric = result.metric(primary)
    value = metric.score.value if metric else None
    return {**tables.scores(result.metrics), **tables.costs(result), "primary": value, "primary_metric": primary}


def _tables(rows: dict[str, tables.WandbRows]) -> dict[str, Any]:
    return {key: table for name, content in rows.items() for key, table in tables.tables(name, content).items()}


def _pictures(board: Leaderboard, folder: Path) -> dict[str, Any]:
    import wandb

    drawn = draw(board, folder)
    return {f"plots/{path.stem}": wandb.Image(str(path.with_suffix(".png")), caption=text) for text, path in drawn}
