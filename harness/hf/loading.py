"""Loading of models and tokenizers with transformers, and the choice of device and number format.

Nothing that is loaded can run code: only safetensors are read, and remote code is never trusted.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigError, MissingExtra, ModelError, unknown
from harness.progress import Bar, track
from harness.types import Prompt
from harness.wording import counted

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DTYPES = ("float32", "bfloat16", "float16")


def missing(error: ImportError) -> MissingExtra:
    """Return the error for a package that the local backend needs and that is not installed."""
    return MissingExtra(error.name or "A package of the local backend", "pip install 'finetune-harness[local]'")


def resolve_device(device: str) -> str:
    """Return cpu or cuda:N for a `device` setting; ConfigError for a device that this machine does not have."""
    try:
        import torch
    except ImportError as error:
        raise missing(error) from error
    n_devices = torch.cuda.device_count()
    if device == "auto":
        return "cuda:0" if n_devices else "cpu"
    match = re.fullmatch(r"cpu|cuda(?::(\d+))?", device)
    if not match:
        raise ConfigError(unknown("device", device, ("auto", "cpu", "cuda", "cuda:0")))
    if device == "cpu":
        return device
    index = int(match[1] or 0)
    if index >= n_devices:
        devices = counted(n_devices, "CUDA device")
        raise ConfigError(f"device {device}: this machine has {devices}. Set device=cpu or device=auto.")
    return f"cuda:{index}"


def resolve_dtype(dtype: str, device: str) -> str:
    """Return the number format for a `dtype` setting; auto is bfloat16 on a GPU and float32 elsewhere."""
    if dtype == "auto":
        return "float32" if resolve_device(device) == "cpu" else "bfloat16"
    if dtype not in DTYPES:
        raise ConfigError(unknown("dtype", dtype, ("auto", *DTYPES)))
    return dtype


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a model folder."""
    with guarded(folder):
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> list[int]:
    """Return a prompt's tokens, the same for training and generation; ConfigError where a chat template is missing."""
    if not prompt.messages:
        return list(tokenizer(prompt.text)["input_ids"])
    if not tokenizer.chat_template:
        raise ConfigError("This model has no chat template. Set prompt.style=plain.")
    turns = [{"role": message.role, "content": message.content} for message in prompt.messages]
    try:
        text = str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except Exception as error:  # a template is a program, which can raise anything
        raise ConfigError(
            f"The model's chat template refuses these messages: {error}. Set prompt.style=plain."
        ) from error
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def load_model(
    folder: Path, dtype: str = "float32", device: str = "auto", adapter: Path | None = None
) -> PreTrainedModel:
    """Return the model of a folder in evaluation mode, with `adapter` merged into its weights.

    The merge is done in float32, because an adapter's small changes would be lost in 16 bits.
    """
    target, number = resolve_device(device), resolve_dtype(dtype, device)
    with track(f"load {folder.name}", total=1, unit="model") as bar, guarded(folder):
        import torch
        from transformers import AutoModelForCausalLM

        bar.advance(0)
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32 if adapter else getattr(torch, number),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
        if adapter:
            model = _merge(model, adapter).to(getattr(torch, number))
        loaded: PreTrainedModel = model.to(target).eval()
        bar.advance()
    return loaded


def dequantise(gguf: Path, folder: Path, bar: Bar) -> None:
    """Save a .gguf file's tokenizer and its weights in float32 in `folder`; `bar` counts three steps.

    A model that transformers loads from a .gguf file directly can be neither saved nor trained.
    """
    with guarded(gguf), _silent_gguf():
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

        bar.advance(0, "tokenizer")
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
        bar.advance(1, "weights")
        whole = GgufConfig(dequantize=True)
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, quantization_config=whole, dtype=torch.float32
        )
        bar.advance(1, "saving")
        model.save_pretrained(folder)
        bar.advance(1, "done")


def _merge(model: Any, adapter: Path) -> Any:
    from peft import PeftModel

    if not (adapter / "adapter_model.safetensors").exists():
        raise ModelError(f"{adapter}: expected adapter_model.safetensors. Save the adapter with save_pretrained.")
    return PeftModel.from_pretrained(model, adapter).merge_and_unload()


@contextmanager
def guarded(source: Path, kind: str = "a model") -> Iterator[None]:
    """Turn the errors of a library on a damaged or unknown model into a ModelError, and hide its progress bars."""
    try:
        with quiet():
            yield
    except ImportError as error:
        raise missing(error) from error
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{source} cannot be loaded as {kind} ({type(error).__name__}: {error}).") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Hide transformers' own progress bars, and the deprecation warnings that peft's calls cause."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


@contextmanager
def _silent_gguf() -> Iterator[None]:
    """Hide the one progress bar of transformers that its logging setting does not control."""
    from transformers import modeling_gguf_pytorch_utils as reader

    shown = reader.tqdm  # type: ignore[attr-defined]
    reader.tqdm = lambda tensors, **_: tensors  # type: ignore[attr-defined]
    try:
        yield
    finally:
        reader.tqdm = shown  # type: ignore[attr-defined]
