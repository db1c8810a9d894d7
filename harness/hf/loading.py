"""Loading of models and tokenizers with transformers, and the choice of device and number format.

Nothing that is loaded can run code: only safetensors are read, and remote code is never trusted.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigError, HarnessError, MissingExtra, ModelError, unknown
from harness.hf import integrity
from harness.progress import Bar, track
from harness.wording import at_most, counted

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DTYPES = ("float32", "bfloat16", "float16")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
"""Each is the vocabulary of some tokenizer."""
DAMAGED = "The files are damaged, or the training that made them diverged: use an earlier checkpoint."


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


def text_versions() -> list[str]:
    """Return the versions of the packages that decide which text and tokens a prompt becomes."""
    versions = []
    for name in ("transformers", "tokenizers", "jinja2"):
        with suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    return versions


def load_tokenizer(folder: Path, adapter: Path | None = None) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a model folder, or that of an adapter, with its chat template, where it has its own.

    ModelError for an adapter whose tokenizer gives other numbers to the model's tokens.
    """
    with guarded(folder):
        from transformers import AutoConfig, AutoTokenizer

        safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, **safe)
        if adapter is None:
            return tokenizer  # type: ignore[no-any-return]
        own: Any = None
        if any((adapter / name).exists() for name in TOKENIZER_FILES):
            config = AutoConfig.from_pretrained(folder, **safe)
            with guarded(adapter, "a tokenizer"):
                own = AutoTokenizer.from_pretrained(adapter, config=config, **safe)
            _refuse_other_vocabulary(own.get_vocab(), tokenizer.get_vocab(), adapter)
        template = own.chat_template if own is not None else _template_of(adapter)
        chosen = tokenizer if own is None else own
        chosen.chat_template = template or tokenizer.chat_template
    return chosen  # type: ignore[no-any-return]


def context_length(folder: Path) -> int:
    """Return the most tokens that the model of a folder takes, without loading its weights."""
    with guarded(folder):
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return int(getattr(config.get_text_config(), "max_position_embeddings", None) or sys.maxsize)


def _template_of(adapter: Path) -> str | None:
    """Return the chat template that an adapter without a tokenizer may have."""
    if (file := adapter / "chat_template.jinja").exists():
        return file.read_text("utf-8")
    template = integrity.read_settings(adapter / "tokenizer_config.json").get("chat_template")
    return template if isinstance(template, str) else None


def _refuse_other_vocabulary(own: Mapping[str, int], base: Mapping[str, int], adapter: Path) -> None:
    """Raise a ModelError unless an adapter's tokenizer has the base model's tokens, to which it may add others."""
    if other := [token for token, number in base.items() if own.get(token) != number]:
        raise ModelError(
            f"{adapter}: its tokenizer does not fit the base model: {counted(len(other), 'token')} of the base model's "
            f"vocabulary ({', '.join(at_most([repr(token) for token in other], 3))}) are missing from it or have "
            "another number. Set model.path to the adapter's own base model, or delete the tokenizer's files from the "
            "adapter's folder if it was trained with the base model's."
        )


def load_model(
    folder: Path, dtype: str = "float32", device: str = "auto", adapter: Path | None = None
) -> PreTrainedModel:
    """Return the model of a folder in evaluation mode, with `adapter` merged into its weights.

    The merge is done in float32, because an adapter's small changes would be lost in 16 bits. ModelError names weights
    that are missing, unused, of another shape or not finite, and a model that is no causal language model.
    """
    target, number = resolve_device(device), resolve_dtype(dtype, device)
    with track(f"load {folder.name}", total=1, unit="model") as bar, guarded(folder):
        import torch
        from transformers import AutoModelForCausalLM

        bar.advance(0)
        auto: Any = AutoModelForCausalLM
        model, info = auto.from_pretrained(
            folder,
            dtype=torch.float32 if adapter else getattr(torch, number),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused by name
        )
        integrity.refuse_misfit(folder, info, integrity.read_settings(folder / "config.json"))
        if adapter:
            model = _merge(model, adapter, folder).to(getattr(torch, number))
        loaded: PreTrainedModel = model.to(target).eval()
        other = " Set model.dtype to bfloat16 or float32." if number == "float16" else ""
        integrity.refuse_non_finite(loaded.named_parameters(), folder, f"{DAMAGED}{other}")
        integrity.refuse_two_way(loaded, folder)
        bar.advance()
    return loaded


def dequantise(gguf: Path, folder: Path, bar: Bar) -> None:
    """Save a .gguf file's tokenizer and its weights in float32 in `folder`; `bar` counts three steps.

    A model that transformers loads from a .gguf file directly can be neither saved nor trained. It would also read
    settings and an adapter that lie beside the file, so that the file is linked to where it is alone.
    """
    with guarded(gguf), _silent_gguf(), tempfile.TemporaryDirectory() as alone:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

        (Path(alone) / gguf.name).symlink_to(gguf.resolve())
        bar.advance(0, "tokenizer")
        AutoTokenizer.from_pretrained(alone, gguf_file=gguf.name).save_pretrained(folder)
        bar.advance(1, "weights")
        auto: Any = AutoModelForCausalLM
        model, info = auto.from_pretrained(
            alone,
            gguf_file=gguf.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused by name
        )
        integrity.refuse_misfit(gguf, info, {})
        bar.advance(1, "saving")
        model.save_pretrained(folder)
        bar.advance(1, "done")


def _merge(model: Any, adapter: Path, folder: Path) -> Any:
    """Return the model with an adapter merged into it; ModelError unless the adapter fits it as a whole."""
    try:
        from peft import PeftConfig, get_peft_model

        if not (adapter / "adapter_model.safetensors").exists():
            raise ModelError(f"{adapter}: expected adapter_model.safetensors. Save the adapter with save_pretrained.")
        own = {id(weight) for weight in model.parameters()}
        settings = PeftConfig.from_pretrained(str(adapter))
        if settings.is_prompt_learning:
            kind = settings.peft_type.value
            raise ModelError(f"{adapter} is a {kind} adapter, which cannot be merged into weights. Use a LoRA adapter.")
        integrity.refuse_unknown_settings(adapter, vars(settings).keys())
        settings.inference_mode, settings.base_model_name_or_path = True, None
        adapted = get_peft_model(model, settings)
        result = adapted.load_adapter(str(adapter), "default", torch_device="cpu")
        integrity.refuse_adapter_misfit(adapter, folder, result.missing_keys, result.unexpected_keys)
        added = ((name, weight) for name, weight in adapted.named_parameters() if id(weight) not in own)
        integrity.refuse_non_finite(added, adapter, DAMAGED)
        return adapted.merge_and_unload()
    except (HarnessError, ImportError):
        raise
    except Exception as error:  # a damaged file can make a library raise anything
        raise ModelError(integrity.adapter_explained(adapter, folder, error)) from error


@contextmanager
def guarded(source: Path, kind: str = "a model") -> Iterator[None]:
    """Turn whatever a library raises on a damaged or unknown model into a ModelError, and hide its progress bars."""
    try:
        with quiet():
            yield
    except HarnessError:
        raise
    except ImportError as error:
        if error.name:
            raise missing(error) from error
        raise ModelError(integrity.explained(source, kind, error)) from error
    except Exception as error:  # a damaged file can make a library raise anything
        raise ModelError(integrity.explained(source, kind, error)) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Hide transformers' own progress bars and log lines, and the deprecation warnings that peft's calls cause."""
    from transformers.utils import logging

    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.filterwarnings("ignore", "Unexpected keyword arguments")  # refused by name
            yield
    finally:
        logging.set_verbosity(verbosity)
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
