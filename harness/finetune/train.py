"""The training loop, without the features of general trainers that make them slow on short examples.

All randomness follows from the seed and the step's number, so that a killed and resumed fine-tune ends with the same
weights as an uninterrupted one.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.config import TrainingConfig
from harness.errors import FineTuneError
from harness.finetune import checkpoint
from harness.finetune.checkpoint import TrainingState
from harness.finetune.loss import LossScorer, epoch
from harness.finetune.schedule import TrainingSchedule
from harness.hf import integrity, memory
from harness.hf.tokens import FORWARD_TOKENS, Tokens, collate, parts
from harness.progress import Bar, track
from harness.types import CurvePoint

Watch = Callable[[CurvePoint], None]

CHECKPOINT_SECONDS = 60.0
"""The seconds of work between two checkpoints, and so the most that a kill can lose."""
CHECKPOINT_COST = 20.0
"""Where saving is slow, the work between two checkpoints takes at least this many times as long as saving."""


class Training:
    """One fine-tune: trains the weights of `model` that require gradients; `folder` holds its checkpoints.

    `watch` is called with each point of the learning curve.
    """

    def __init__(
        self, model: Any, config: TrainingConfig, schedule: TrainingSchedule, folder: Path, watch: Watch | None = None
    ) -> None:
        import torch

        self._model, self._config, self._schedule, self._folder = model, config, schedule, folder
        self._watch = watch
        self.weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self._optimizer = torch.optim.AdamW(self.weights.values(), lr=0.0, weight_decay=config.weight_decay, fused=True)
        self._scorer = LossScorer(model, config.dtype)
        self._part_tokens = FORWARD_TOKENS

    def run(self, train: Sequence[Tokens], validation: Sequence[Tokens], identity: str) -> TrainingState:
        """Train to the end, or until the validation loss stops falling, and leave the best weights in the model."""
        import torch

        state = checkpoint.resume(self._folder, identity, self.weights, self._optimizer)
        start = time.monotonic() - state.seconds
        due = state.seconds + CHECKPOINT_SECONDS
        with torch.random.fork_rng(), track("fine-tune", self._schedule.steps, "steps") as bar:
            bar.advance(state.step)
            for batch in self._batches(train, state.step):
                if self._config.patience and state.stale >= self._config.patience:
                    break
                self._step(batch, state, bar)
                if evaluate := state.step in self._schedule.evaluate_at:
                    self._evaluate(validation, state)
                    if self._watch:
                        self._watch(state.curve[-1])
                state.seconds = time.monotonic() - start
                if evaluate or state.seconds >= due:
                    checkpoint.save(self._folder, state, self.weights, self._optimizer)
                    saving = time.monotonic() - start - state.seconds
                    due = state.seconds + max(CHECKPOINT_SECONDS, CHECKPOINT_COST * saving)
        checkpoint.load_best(self._folder, state, self.weights)
        if damaged := integrity.non_finite(self.weights.items()):
            raise self._diverged(f"Weights are infinite or NaN after the training ({integrity.named(damaged)}).")
        return state

    def _batches(self, train: Sequence[Tokens], start: int) -> Iterator[list[Tokens]]:
        """Yield the batches from step `start` to the last."""
        first, done = divmod(start, self._schedule.epoch_steps)
        for number in range(first, self._schedule.steps // self._schedule.epoch_steps):
            batches = epoch(train, self._schedule.batch_size, (self._config.seed, number))
            yield from itertools.islice(batches, done if number == first else 0, None)

    def _step(self, batch: Sequence[Tokens], state: TrainingState, bar: Bar) -> None:
        import torch

        start = time.perf_counter()
        self._model.train()
        completion = sum(len(example.ids) - max(example.n_prompt, 1) for example in batch)
        prompt = sum(max(example.n_prompt - 1, 0) for example in batch)
        weight = completion + self._config.prompt_loss_weight * prompt
        loss = self._add_gradient(batch, weight, state.step)
        if not math.isfinite(loss):
            raise self._diverged(f"The training loss is {loss} at step {state.step + 1}.")
        torch.nn.utils.clip_grad_norm_(self.weights.values(), self._config.max_grad_norm)
        self._optimizer.param_groups[0]["lr"] = self._schedule.rate(state.step)
        self._optimizer.step()
        self._optimizer.zero_grad()
        tokens = sum(len(example.ids) for example in batch)
        state.step, state.examples, state.tokens = state.step + 1, state.examples + len(batch), state.tokens + tokens
        state.loss_sum, state.loss_tokens = state.loss_sum + loss, state.loss_tokens + completion
        bar.advance(1, f"loss {loss / completion:.3f} · {tokens / (time.perf_counter() - start):.0f} tokens/s")

    def _add_gradient(self, batch: Sequence[Tokens], weight: float, step: int) -> float:
        """Add a batch's gradient and return its loss, in smaller parts from now on where memory runs out."""
        import torch

        while True:
            torch.manual_seed(int(np.random.SeedSequence((self._config.seed, step)).generate_state(1)[0]))
            sizes = []
            try:
                with memory.limited_memory():
                    loss = 0.0
                    for part in parts(batch, self._part_tokens):
                        sizes.append(len(part))
                        tensors = collate(part, self._scorer.device)
                        loss += self._scorer.train(tensors, self._config.prompt_loss_weight, weight)
                    return loss
            except memory.OutOfMemory as error:
                if sizes[-1] == 1:
                    raise FineTuneError(
                        f"Out of memory with a single example of up to {max(len(e.ids) for e in batch)} tokens at step "
                        f"{step + 1}: use finetune=lora, a smaller model or shorter examples."
                    ) from error
            self._optimizer.zero_grad()  # the failed part may have added some of its own
            memory.release()
            self._part_tokens = max(self._part_tokens // 2, 1)

    def _evaluate(self, validation: Sequence[Tokens], state: TrainingState) -> None:
        """Add a point to the curve, and save the weights when they are the best so far."""
        rate, train_loss = self._schedule.rate(state.step - 1), state.loss_sum / state.loss_tokens
        point = CurvePoint(state.step, state.examples, rate, train_loss)
        state.loss_sum, state.loss_tokens = 0.0, 0
        if not validation:
            state.best_step = state.step
            state.curve.append(point)
            return
        self._model.eval()
        result = self._scorer.validate(validation)
        if not math.isfinite(result.loss):
            raise self._diverged(f"The validation loss is {result.loss} at step {state.step}.")
        state.curve.append(
            dataclasses.replace(
                point,
                validation_loss=result.loss,
                validation_loss_se=result.se,
                validation_change_se=result.change_se(state.losses) if state.losses else None,
                validation_rise_se=result.change_se(state.best_losses) if state.best_losses else None,
                token_accuracy=result.token_accuracy,
                sequence_accuracy=result.sequence_accuracy,
            )
        )
        state.losses = result.losses.tolist()
        state.stale += 1
        if state.best_loss is None or result.loss < state.best_loss:
            state.best_step, state.best_loss, state.stale = state.step, result.loss, 0
            state.best_losses = state.losses
            checkpoint.save_best(self._folder, state, self.weights)

    def _diverged(self, what: str) -> FineTuneError:
        rate = self._config.learning_rate_multiplier
        return FineTuneError(f"{what} Lower finetune.learning_rate_multiplier (now {rate}).")
