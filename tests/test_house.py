"""The rules of the house that a machine can hold: what lies where, who imports whom, how long and how named code is."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "harness"
FILES = sorted(PACKAGE.rglob("*.py"))

ROOT_ENTRIES = 30
FILE_LINES = 400
FUNCTION_LINES = 40
PARAMETERS = 6
SAYS_NOTHING = {"found", "each", "ours", "theirs", "told", "wanted"}
"""Names that do not say what they hold."""
TESTS_OF_NO_FOLDER = {"benchmarks", "e2e", "examples", "regression", "support"}
"""Folders of tests/ for something other than one folder of the package."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def functions() -> Iterator[tuple[Path, Function]]:
    for path in FILES:
        yield from ((path, node) for node in ast.walk(tree(path)) if isinstance(node, Function))


def folders(root: Path) -> set[str]:
    """Return the folders below a root that hold Python files, as paths relative to it."""
    return {path.parent.relative_to(root).as_posix() for path in root.rglob("*.py")} - {"."}


def test_the_root_holds_few_entries() -> None:
    entries = sorted(path.name for path in PACKAGE.iterdir() if path.name != "__pycache__")
    assert len(entries) <= ROOT_ENTRIES, entries


def test_the_import_contracts_are_kept() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_import_contracts_skip_nothing() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    settings = {"name", "type", "containers", "layers", "exhaustive", "ancestors"}
    assert set(linter) == {"root_package", "contracts"}
    assert [set(contract) - settings for contract in linter["contracts"]] == [set() for _ in linter["contracts"]]
    assert all(contract["exhaustive"] for contract in linter["contracts"] if contract["type"] == "layers")


def test_functions_are_short_and_take_few_parameters() -> None:
    long = [
        f"{place(path, node)} {node.name}: {lines} lines"
        for path, node in functions()
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]
    wide = [
        f"{place(path, node)} {node.name}: {len(names)} parameters"
        for path, node in functions()
        if len(names := parameters(node)) > PARAMETERS
    ]
    assert [*long, *wide] == []


def parameters(node: Function) -> list[str]:
    """Return the names of a function's parameters, but for the object or the class that it is called on."""
    arguments = node.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def test_files_are_read_in_one_sitting() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > FILE_LINES} == {}


def test_a_public_class_name_exists_once() -> None:
    places: dict[str, list[str]] = {}
    for path in FILES:
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(place(path, node))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_names_say_what_they_hold() -> None:
    places = [f"{place(path, node)} {name}" for path in FILES for node, name in identifiers(path)]
    assert [line for line in places if line.rpartition(" ")[2] in SAYS_NOTHING] == []


def identifiers(path: Path) -> Iterator[tuple[ast.AST, str]]:
    """Yield every name in a file with its node: variables, parameters, arguments, attributes, imports, definitions."""
    for node in ast.walk(tree(path)):
        for field in ("id", "arg", "attr", "name", "asname"):
            if isinstance(name := getattr(node, field, None), str):
                yield node, name
        if isinstance(node, ast.Global | ast.Nonlocal):
            yield from ((node, name) for name in node.names)


def test_modules_say_why_they_exist() -> None:
    missing = [place(path, tree(path)) for path in FILES if not (ast.get_docstring(tree(path)) or "").strip()]
    assert missing == []
    assert [place(path, tree(path)) for path in FILES if "TODO" in (ast.get_docstring(tree(path)) or "")] == []


def test_folders_are_packages_and_the_tests_mirror_them() -> None:
    packages = folders(PACKAGE)
    assert {name for name in packages if not (PACKAGE / name / "__init__.py").exists()} == set()
    tested = {name for name in folders(ROOT / "tests") if name.split("/")[0] not in TESTS_OF_NO_FOLDER}
    assert tested - packages == set()
    assert {name for name in packages if "/" not in name} - tested == set()


def test_each_test_module_at_the_root_is_of_a_module_there() -> None:
    whole = {"test_committed", "test_house", "test_wheel"}
    names = {path.stem for path in (ROOT / "tests").glob("test_*.py")} - whole
    assert {name for name in names if not (PACKAGE / f"{name.removeprefix('test_')}.py").exists()} == set()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_documents_name_paths_that_exist(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    paths = re.findall(r"`((?:harness|conf|tests|docs|benchmarks|examples)/[\w./-]*)`", text)
    links = [link for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if ":" not in link]
    missing = [path for path in paths if not (ROOT / path).exists()]
    missing += [link for link in links if not ((ROOT / name).parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_documents_show_the_import_contract(name: str) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    assert "".join(f"    {line}\n" for line in layers) in (ROOT / name).read_text("utf-8")


def test_the_architecture_page_names_code_that_exists() -> None:
    """A dotted name such as `harness.registry.METRICS` is a module, or an attribute that its module defines."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    names = sorted(set(re.findall(r"`(harness(?:\.\w+)+)(?:\(\))?`", text)))
    assert len(names) > 10
    assert [name for name in names if not exists(name)] == []


def exists(name: str) -> bool:
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:cut])
        source = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        if source.exists():
            return defines(tree(source), parts[cut:])
    return False


def defines(node: ast.Module | ast.ClassDef, names: list[str]) -> bool:
    """Return whether a module or a class defines the first of the names, and that in turn the rest."""
    if not names:
        return True
    for child in node.body:
        if isinstance(child, ast.ClassDef) and child.name == names[0]:
            return defines(child, names[1:])
        if isinstance(child, Function) and child.name == names[0]:
            return len(names) == 1
        targets = child.targets if isinstance(child, ast.Assign) else [getattr(child, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == names[0] for target in targets):
            return len(names) == 1
    return False
