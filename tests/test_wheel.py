"""The wheel carries its configs and works from any directory, away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess

import pytest

ROOT = Path(__file__).parents[1]
EXTRAS = (
    *("torch", "transformers", "sentence_transformers", "huggingface_hub", "safetensors", "peft"),
    *("wandb", "evaluate", "datasets", "pandas", "starlette", "uvicorn"),
)
"""Modules that a plain install does without."""
CODE = """
import runpy, sys
from importlib.machinery import PathFinder

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {without!r} else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
sys.path.insert(0, {installed!r})
import harness
print(harness.__file__)
sys.argv[0] = "harness"
runpy.run_module("harness", run_name="__main__", alter_sys=True)
"""


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


def test_the_version_is_the_same_everywhere(installed: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert list(installed.glob(f"finetune_harness-{version}.dist-info"))


def test_it_installs_a_command(installed: Path) -> None:
    [entry_points] = installed.glob("*.dist-info/entry_points.txt")
    assert "finetune-harness = harness.__main__:main" in entry_points.read_text("utf-8")


def run(installed: Path, folder: Path, *arguments: str, without: Sequence[str] = ()) -> CompletedProcess[str]:
    """Run the installed harness in a folder, as if the modules of `without` were not installed."""
    (folder / "data.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": "d"}\n')
    code = CODE.format(without=set(without), installed=str(installed))
    data = ["task=jsonl", "task.path=data.jsonl", "task.n_validation=2", "model=echo"] if arguments[0] == "run" else []
    return subprocess.run(
        [sys.executable, "-c", code, *arguments, *data],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if key != "HARNESS_STORE"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_runs_elsewhere_without_extras(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "run", "metrics=fast", "tracking=none", without=EXTRAS)
    assert done.returncode == 0, done.stderr
    assert str(installed) in done.stdout.splitlines()[0]
    assert (tmp_path / "reports" / "data" / "echo-chat" / "leaderboard.md").exists()
    assert list((tmp_path / ".harness" / "runs").glob("echo-chat-*/results.json"))
    for command in (["report"], ["baseline", "accept", "echo-chat"], ["gate", "echo-chat"]):
        done = run(installed, tmp_path, *command, without=EXTRAS)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("overrides", "extra", "instead"),
    [
        (["metrics=fast"], "wandb", "tracking=none"),
        (["tracking=none"], "embeddings", "metrics=fast"),
        (["tracking=none", "metrics.names=[evaluate:exact_match,rougeL]"], "evaluate", "metrics.names"),
    ],
)
def test_a_missing_extra_is_named_with_what_does_without(
    installed: Path, tmp_path: Path, overrides: list[str], extra: str, instead: str
) -> None:
    done = run(installed, tmp_path, "run", *overrides, without=EXTRAS)
    assert done.returncode == 4
    assert f"pip install 'finetune-harness[{extra}]'\nOr do without it: {instead}" in done.stderr
    assert not list(tmp_path.glob(".harness/runs/*"))
