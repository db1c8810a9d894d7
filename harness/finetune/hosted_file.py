"""Training files in OpenAI's chat format, validated before they are sent, and the estimated cost of training on them.

A rejected file costs an upload and a wait in a queue, and an example that is too long is truncated silently, so both
are detected here first. The rules are those of OpenAI's guide to supervised fine-tuning and its cookbook.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.client.pricing import MILLION, Price
from harness.errors import FineTuneError
from harness.finetune.schedule import auto_epochs
from harness.types import Message, TrainingPair
from harness.wording import at_most, counted

FEWEST_EXAMPLES = 10
MOST_TOKENS = 65_536
"""The longest example that the models which can still be trained accept."""
MOST_BYTES = 512 * 1024 * 1024
"""The largest file that the service accepts."""
BYTES_PER_TOKEN = 3
"""A conservative estimate: English has about 4 in OpenAI's tokenizers, other languages have fewer."""
TOKENS_PER_MESSAGE = 3
"""What the chat format adds to each message, and once more to the whole."""
SHOWN = 5


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """The amount of training that a fine-tune would do, and its cost; None where the price is not known."""

    n: int
    tokens: int
    epochs: int
    price: Price | None

    @property
    def usd(self) -> float | None:
        """The cost of training on every token once per epoch."""
        if self.price is None or self.price.training is None:
            return None
        return self.tokens * self.epochs * self.price.training / MILLION

    def __str__(self) -> str:
        tokens, epochs = counted(self.tokens, "token"), counted(self.epochs, "epoch")
        work = f"{counted(self.n, 'example')}, about {tokens} x {epochs}"
        if self.usd is None or self.price is None:
            return f"{work}; the price of training this model is not known"
        return f"{work}, about {self.usd:.2f} USD ({self.price.as_of}, {self.price.source})"


def chat_file(pairs: Sequence[TrainingPair], name: str) -> bytes:
    """Return the pairs as JSON lines of chats; FineTuneError names those that the service would reject or truncate."""
    problems = list(_problems(pairs))
    if problems:
        raise FineTuneError(f"the {name} examples cannot be sent: {'; '.join(at_most(problems, SHOWN))}")
    lines = [json.dumps({"messages": [_plain(m) for m in _messages(pair)]}, ensure_ascii=False) for pair in pairs]
    content = "".join(line + "\n" for line in lines).encode()
    if len(content) > MOST_BYTES:
        raise FineTuneError(
            f"the {name} file: expected {MOST_BYTES:,} bytes or less, got {len(content):,}. Lower finetune.n_train."
        )
    return content


def estimate(pairs: Sequence[TrainingPair], n_epochs: int | None, price: Price | None) -> CostEstimate:
    """Estimate the amount and the cost of training; without `n_epochs` by the epochs that the service would choose."""
    return CostEstimate(len(pairs), sum(map(_tokens, pairs)), n_epochs or auto_epochs(len(pairs)), price)


def require_enough(pairs: Sequence[TrainingPair]) -> None:
    """Raise a FineTuneError where there are fewer training examples than the service accepts."""
    if len(pairs) < FEWEST_EXAMPLES:
        raise FineTuneError(
            f"finetune=openai: expected {FEWEST_EXAMPLES} training examples or more (the service's minimum), "
            f"got {len(pairs)}. Raise finetune.n_train."
        )


def _problems(pairs: Sequence[TrainingPair]) -> Iterator[str]:
    for pair in pairs:
        where = f"example {pair.prompt.example_id!r}"
        if not pair.completion.strip():
            yield f"{where} has an empty completion"
        if not any(m.role == "user" and m.content.strip() for m in _messages(pair)):
            yield f"{where} has no user message with text"
        if (tokens := _tokens(pair)) > MOST_TOKENS:
            yield f"{where} has about {tokens:,} tokens and would be truncated to {MOST_TOKENS:,}"
        if any(_lone_surrogate(m.content) for m in _messages(pair)):
            yield f"{where} contains half a character (a lone surrogate), which a file cannot store"


def _messages(pair: TrainingPair) -> tuple[Message, ...]:
    """Return the whole chat; a plain prompt becomes one user message, as it does in generation."""
    prompt = pair.prompt.messages or (Message("user", pair.prompt.text),)
    return (*prompt, Message("assistant", pair.completion))


def _plain(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": message.content}


def _tokens(pair: TrainingPair) -> int:
    texts = [len(m.content.encode("utf-8", "surrogatepass")) for m in _messages(pair)]
    return sum(-(-n // BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE for n in texts) + TOKENS_PER_MESSAGE


def _lone_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
