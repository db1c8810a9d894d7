"""SmolLM2 unchanged and damaged in two ways; weights are converted once, in the user's cache, and shared by links."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_cache() -> None:
    """Override the separate cache of the tests: converting the weights takes half of a gate's time."""


@pytest.fixture(autouse=True, scope="session")
def _store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep runs in a store of this session: stored completions would hide later changes of the code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_STORE", str(tmp_path_factory.mktemp("store")))
        yield


@pytest.fixture(scope="session")
def noisy(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model with noise in its weights, of a fifth of the standard deviation of each matrix."""
    import torch
    from safetensors.torch import load_file, save_file

    generator = torch.Generator().manual_seed(0)

    def damage(folder: Path) -> None:
        tensors = load_file(smollm2 / "model.safetensors")
        for name, tensor in tensors.items():
            if tensor.ndim == 2 and "layers" in name:
                tensor += torch.randn(tensor.shape, generator=generator) * tensor.std() / 5
        (folder / "model.safetensors").unlink()
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return _copy(smollm2, tmp_path_factory.mktemp("noisy"), damage)


@pytest.fixture(scope="session")
def without_template(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model with a chat template without turn markers."""

    def damage(folder: Path) -> None:
        (folder / "chat_template.jinja").unlink()
        (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")

    return _copy(smollm2, tmp_path_factory.mktemp("without-template"), damage)


def _copy(model: Path, folder: Path, damage: Callable[[Path], None]) -> Path:
    for file in model.iterdir():
        (folder / file.name).symlink_to(file)
    damage(folder)
    return folder
