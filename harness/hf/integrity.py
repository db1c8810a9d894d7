"""Refusals of weights that a library would load, and whose output would mean nothing.

transformers fills a tensor that a file lacks with random numbers, ignores one that it does not know, and computes with
values that are not numbers; peft loads of an adapter what happens to fit. Both say so in a log line at most. Here each
is a ModelError that names the tensors and says what to do.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import ModelError
from harness.wording import at_most, counted

if TYPE_CHECKING:
    from torch import Tensor

SHOWN = 3
"""Tensors that a message names of each kind."""
BUFFERS = re.compile(r"(^|[._])(inv_freq|cos_cached|sin_cached|masked_bias|position_ids|(attn|attention)\.bias)$")
"""Tensors that old files hold and that are computed today."""
OTHER_PARTS = re.compile(r"(^|[._])(vision|visual|audio|image|speech|multi_modal|mm|mtp)(?![a-z])")
"""Tensors of the parts that text alone does not pass through, such as an image encoder."""
LAYER = re.compile(r"(^|\.)(layers?|h|blocks?)\.\d+\.")
POOLER = re.compile(r"(^|\.)pooler\.")
"""A layer that many encoders are saved without, and whose output no metric reads."""
ANNOUNCEMENT = 80
"""Characters of a first line that may only announce what the next one says."""
MISMATCH = re.compile(
    r"size mismatch for (\S+): copying a param with shape torch\.Size\(\[([\d, ]*)\]\).*?\[([\d, ]*)\]"
)
SERVE = "serve it (such as with vLLM) and use model=openai"
QUANTISERS = {
    "aqlm": ("aqlm",),
    "auto-round": ("auto_round",),
    "awq": ("gptqmodel",),
    "bitsandbytes": ("bitsandbytes",),
    "compressed-tensors": ("compressed_tensors",),
    "gptq": ("optimum", "gptqmodel"),
    "hqq": ("hqq",),
    "quanto": ("optimum",),
    "quark": ("quark",),
    "spqr": ("spqr_quant",),
    "torchao": ("torchao",),
    "vptq": ("vptq",),
}
"""The modules that each method of quantisation needs in transformers."""
TOLERANCE = {"torch.float32": 1e-3, "torch.float64": 1e-3}
"""How much of the largest logit rounding can change, by number format; elsewhere `COARSE_TOLERANCE`."""
COARSE_TOLERANCE = 0.05


def read_settings(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file, an empty one where there is no file; ModelError when it is damaged."""
    if not path.exists():
        return {}
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: expected JSON ({_first_lines(error)}). Copy or download the file again.") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path}: expected a JSON object, got {type(values).__name__}. Copy the file again.")
    return values


def refuse_missing_quantiser(folder: Path, settings: Mapping[str, Any]) -> None:
    """Raise a ModelError for quantised weights whose packages are not installed; `settings` is the config.json."""
    method = quantisation(settings)
    absent = [module for module in QUANTISERS.get(method, ()) if importlib.util.find_spec(module) is None]
    if absent:
        raise ModelError(
            f"{folder}: its weights are quantised with {method}, which needs {counted(len(absent), 'package')} not "
            f"installed here: {', '.join(absent)}. Set model.path to the weights before quantisation, {SERVE}, or "
            f"install them."
        )


def quantisation(settings: Mapping[str, Any]) -> str:
    """Return how the weights of a config.json are quantised, or nothing where they are not."""
    quantised = settings.get("quantization_config")
    if not isinstance(quantised, Mapping) or not quantised:
        return ""
    old = any(quantised.get(key) for key in ("load_in_4bit", "load_in_8bit"))
    return str(quantised.get("quant_method") or ("bitsandbytes" if old else "an unknown method")).lower()


def refuse_misfit(source: Path, info: Mapping[str, Collection[Any]], settings: Mapping[str, Any]) -> None:
    """Raise a ModelError unless the files hold every tensor of the model and no other; `info` is of from_pretrained."""
    unused = [name for name in info["unexpected_keys"] if not (BUFFERS.search(name) or OTHER_PARTS.search(name))]
    _refuse(source, info["missing_keys"], unused, info["mismatched_keys"], _kind_of(settings))


def refuse_encoder_misfit(source: Path, info: Mapping[str, Collection[Any]]) -> None:
    """Raise a ModelError unless the files hold every layer of an encoder; heads are of no account."""
    missing = [name for name in info["missing_keys"] if not POOLER.search(name)]
    unused = [name for name in info["unexpected_keys"] if LAYER.search(name) and not BUFFERS.search(name)]
    _refuse(source, missing, unused, info["mismatched_keys"], "")


def refuse_adapter_misfit(adapter: Path, folder: Path, missing: Collection[str], unused: Collection[str]) -> None:
    """Raise a ModelError unless an adapter's files hold what its settings say, for modules that the model has."""
    if missing or unused:
        raise ModelError(_adapter_misfit(adapter, folder, _flaws(missing, unused, ())))


def refuse_unknown_settings(adapter: Path, known: Collection[str]) -> None:
    """Raise a ModelError where an adapter has settings that the installed peft, which ignores them, does not know."""
    settings = read_settings(adapter / "adapter_config.json")
    if unknown := [key for key, value in settings.items() if value and key not in known]:
        raise ModelError(
            f"{adapter}: the installed peft does not know {counted(len(unknown), 'setting')} of its "
            f"adapter_config.json ({named(unknown)}) and would ignore it. Upgrade peft."
        )


def refuse_non_finite(weights: Iterable[tuple[str, Tensor]], source: Path, fix: str) -> None:
    """Raise a ModelError where a weight is infinite or not a number."""
    if damaged := non_finite(weights):
        raise ModelError(
            f"{source}: expected finite weights, {counted(len(damaged), 'tensor')} with infinite values or NaN "
            f"({named(damaged)}). {fix}"
        )


def non_finite(weights: Iterable[tuple[str, Tensor]]) -> list[str]:
    """Return the names of the weights that are infinite or not a number.

    A sum tells in one pass; it can also overflow, so that a tensor with such a sum is looked at again.
    """
    import torch

    small = (torch.float16, torch.bfloat16)
    names = []
    for name, weight in weights:
        if weight.dtype not in (*small, torch.float32, torch.float64) or weight.is_meta:
            continue
        total = weight.detach().sum(dtype=torch.float32 if weight.dtype in small else None)
        if not torch.isfinite(total) and not torch.isfinite(weight).all():
            names.append(name)
    return names


def refuse_two_way(model: Any, source: Path) -> None:
    """Raise a ModelError for a model in which a token sees those after it, such as BERT: it cannot continue a text."""
    import torch

    n = int(model.get_input_embeddings().weight.shape[0])
    first, second, third, other = n // 7, n // 3, n // 2, n * 3 // 4
    ids = torch.tensor([[first, second, third], [first, second, other]], device=model.device)
    with torch.inference_mode():
        logits = model(input_ids=ids).logits[:, :2]
    tolerance = TOLERANCE.get(str(logits.dtype), COARSE_TOLERANCE)
    change, largest = (logits[0] - logits[1]).abs().max(), logits.abs().max()
    if change > tolerance * largest:
        raise ModelError(
            f"{source} is an encoder: what it predicts depends on the tokens that follow, so that it cannot continue "
            "a text. Set model.path to a causal language model."
        )


def named(names: Collection[str]) -> str:
    """Return the first of some tensors' names, and how many others there are."""
    return ", ".join(at_most(sorted(names), SHOWN))


def model_notices(path: str, folder: Path, adapter: Path | None, n_tokens: int) -> tuple[str, ...]:
    """Return what a reader of the scores should know of a model that can be loaded.

    `path` is how the config names it, `folder` where it lies; its tokenizer's ids are below `n_tokens`.
    """
    notices = []
    base = read_settings(adapter / "adapter_config.json").get("base_model_name_or_path") if adapter else None
    if base and _model_name(str(base)) not in (_model_name(path), _model_name(folder.name)):
        notices.append(
            f"the adapter {adapter} names {base} as its base model, and is merged into {path}: its scores mean nothing "
            "unless both have the same weights"
        )
    settings = read_settings(folder / "config.json")
    rows = settings.get("vocab_size") or (settings.get("text_config") or {}).get("vocab_size")
    if isinstance(rows, int) and n_tokens > rows:
        notices.append(
            f"{path}: {counted(n_tokens - rows, 'token')} of its tokenizer are beyond the {rows:,} that the model has "
            "an embedding of: no prompt or completion can contain them"
        )
    return tuple(notices)


def _model_name(path: str) -> str:
    """Return a model's name without its folder or organisation, and without how its numbers are stored."""
    name = re.split(r"[/\\]", path.rstrip("/\\"))[-1].lower().removesuffix(".gguf")
    return re.sub(r"([.-](i?q\d\w*|b?f(p)?(16|32)))?(-[0-9a-f]{16})?$|(-unsloth)?-bnb-4bit$", "", name)


def explained(source: Path, kind: str, error: Exception) -> str:
    """Return the message for what a library raised on a model: the cause in one line, without advice that is wrong."""
    reason, settings = _first_lines(error), read_settings(source / "config.json")
    if method := quantisation(settings):
        return (
            f"{source} cannot be loaded: its weights are quantised with {method} ({reason}). Set model.path to the "
            f"weights before quantisation, or {SERVE}."
        )
    if "trust_remote_code" in str(error) or "remote code" in str(error):
        return (
            f"{source} needs Python code that comes with it (auto_map in its config.json), which is never run here. "
            f"Set model.path to a version that transformers loads without it, or {SERVE}."
        )
    if "does not recognize this architecture" in str(error):
        return (
            f"{source}: its config.json names model_type {settings.get('model_type')!r}, which this version of "
            f"transformers does not know. Correct it, upgrade transformers, or {SERVE}."
        )
    if "Unrecognized configuration class" in str(error):
        named_kind = str(settings.get("model_type"))
        return f"{source} ({named_kind}) is not a causal language model. Set model.path to one that is."
    if isinstance(error, MemoryError) or re.search(r"out of memory|can't allocate memory", str(error)):
        return f"{source} does not fit into memory ({reason}). Set a smaller model.dtype, model.device=cpu or a GPU."
    return (
        f"{source} cannot be loaded as {kind} ({type(error).__name__}: {reason}). Copy or download its files again; "
        "where they are newer than the installed libraries, upgrade these."
    )


def adapter_explained(adapter: Path, folder: Path, error: Exception) -> str:
    """Return the message for what peft raised on an adapter of the model in `folder`."""
    misfit = MISMATCH.search(str(error))
    if misfit:
        name, got, expected = misfit.groups()
        return _adapter_misfit(adapter, folder, f"{name} is ({got}), expected ({expected})", name)
    if "not found in the base model" in str(error):
        return _adapter_misfit(adapter, folder, _first_lines(error))
    return explained(adapter, "an adapter", error)


def _adapter_misfit(adapter: Path, folder: Path, flaws: str, tensor: str = "") -> str:
    base = read_settings(adapter / "adapter_config.json").get("base_model_name_or_path")
    names = f" (it names {base})" if base and Path(str(base)) != folder else ""
    if re.search(r"embed|lm_head|wte", tensor):
        fix = "Its vocabulary is of another size: merge it into its base model and set model.path to the result"
    else:
        fix = f"It was made for another base model{names} or with other settings: set model.path to its base model"
    return f"{adapter} does not fit the model {folder}: {flaws}. {fix}, or copy the adapter again."


def _refuse(
    source: Path, missing: Collection[str], unused: Collection[str], mismatched: Collection[Any], kind: str
) -> None:
    if not (missing or unused or mismatched):
        return
    flaws = _flaws(missing, unused, mismatched)
    if kind:
        raise ModelError(
            f"{source} holds a {kind}, not a whole causal language model: {flaws}. Set model.path to one that is."
        )
    raise ModelError(
        f"{source}: its weights do not fit its config.json: {flaws}. Copy or download all of its files again, or save "
        "the model again with save_pretrained."
    )


def _flaws(missing: Collection[str], unused: Collection[str], mismatched: Collection[Any]) -> str:
    shapes = [f"{name} is {tuple(got)}, expected {tuple(expected)}" for name, got, expected in mismatched]
    kinds: tuple[tuple[Collection[str], Callable[[int], str]], ...] = (
        (missing, lambda n: f"{counted(n, 'tensor')} missing, which would be filled with random numbers"),
        (unused, lambda n: f"{counted(n, 'tensor')} that it has no place for"),
        (shapes, lambda n: f"{counted(n, 'tensor')} of another shape"),
    )
    return "; ".join(f"{say(len(names))} ({named(names)})" for names, say in kinds if names)


def _kind_of(settings: Mapping[str, Any]) -> str:
    """Return the architecture that a config.json names, where that is not a causal language model."""
    names = settings.get("architectures")
    name = str(names[0]) if isinstance(names, list) and names else ""
    multimodal = "ConditionalGeneration" in name and not settings.get("is_encoder_decoder")
    return "" if "CausalLM" in name or "LMHead" in name or multimodal else name


def _first_lines(error: Exception) -> str:
    """Return the first line of an error that says something, with the next one where it only announces that."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and (lines[0].endswith(":") or len(lines[0]) < ANNOUNCEMENT):
        return f"{lines[0]} {lines[1]}".rstrip(".:")
    return lines[0].rstrip(".:") if lines else "no reason given"
