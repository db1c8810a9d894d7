"""The wheel carries its configs and works from any directory, away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    [wheel] = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(out / "site")
    return out / "site"


def test_the_wheel_has_configs_types_and_licence(installed: Path) -> None:
    shipped = {path.relative_to(ROOT / "conf") for path in (ROOT / "conf").rglob("*.yaml")}
    packed = {path.relative_to(installed / "harness" / "conf") for path in installed.rglob("harness/conf/**/*.yaml")}
    assert packed == shipped
    assert (installed / "harness" / "py.typed").exists()
    assets = {
        path.name
        for path in (ROOT / "harness" / "reports" / "html").iterdir()
        if path.suffix in (".html", ".css", ".js")
    }
    assert assets == {path.name for path in (installed / "harness" / "reports" / "html").iterdir()} & assets
    assert assets
    assert list(installed.glob("*.dist-info/licenses/LICENSE"))
    assert not (installed / "tests").exists()


def test_it_runs_elsewhere(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": "d"}\n')
    overrides = ["model=echo", "task=jsonl", "task.path=data.jsonl", "task.n_validation=2", "metrics=fast"]
    code = f"import sys; sys.path.insert(0, {str(installed)!r}); import harness, runpy; print(harness.__file__)"
    code += "; sys.argv[0] = 'harness'; runpy.run_module('harness', run_name='__main__', alter_sys=True)"
    done = subprocess.run(
        [sys.executable, "-c", code, "run", *overrides, "tracking=none"],
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != "HARNESS_STORE"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(installed) in done.stdout.splitlines()[0]
    assert (tmp_path / "reports" / "jsonl" / "echo-chat" / "leaderboard.md").exists()
    assert list((tmp_path / ".harness" / "runs").glob("echo-chat-*/results.json"))
