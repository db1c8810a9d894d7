"""Training files in OpenAI's chat form, checked here as they are checked there, and what training on them would cost.

A refused file costs an upload and a wait in a queue, and an example that is too long is cut without a word; so both
are found before anything is sent. The rules are those of OpenAI's guide to supervised fine-tuning and its cookbook.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.errors import FineTuneError
from harness.finetune.schedule import auto_epochs
from harness.pricing import MILLION, Price
from harness.types import Message, TrainingPair

FEWEST_EXAMPLES = 10
MOST_TOKENS = 65_536
"""Of one example; the models that are still trained take no longer one."""
MOST_BYTES = 512 * 1024 * 1024
"""Of a file."""
BYTES_PER_TOKEN = 3
"""On the safe side: English has about 4 in OpenAI's tokenizers, other languages have fewer."""
TOKENS_PER_MESSAGE = 3
"""What the form of a chat adds to a message, and once more to the whole."""
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a fine-tune would train on, and its cost; None where the price is not known."""

    n: int
    tokens: int
    epochs: int
    price: Price | None

    @property
    def usd(self) -> float | None:
        """The cost of training on every token as often as there are epochs."""
        if self.price is None or self.price.training is None:
            return None
        return self.tokens * self.epochs * self.price.training / MILLION

    def __str__(self) -> str:
        work = f"{self.n:,} examples, about {self.tokens:,} tokens x {self.epochs} epochs"
        if self.usd is None or self.price is None:
            return f"{work}; the price of training this model is not known"
        return f"{work}, about {self.usd:.2f} USD ({self.price.as_of}, {self.price.source})"


def chat_file(pairs: Sequence[TrainingPair], name: str) -> bytes:
    """Return the pairs as JSON lines of chats; FineTuneError names those that the service would refuse or cut."""
    problems = list(_problems(pairs))
    if problems:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise FineTuneError(f"the {name} examples cannot be sent: {'; '.join(problems[:SHOWN])}{more}")
    lines = [json.dumps({"messages": [_plain(m) for m in _messages(pair)]}, ensure_ascii=False) for pair in pairs]
    content = "".join(line + "\n" for line in lines).encode()
    if len(content) > MOST_BYTES:
        raise FineTuneError(
            f"the {name} file: expected {MOST_BYTES:,} bytes or less, got {len(content):,}. Lower finetune.n_train."
        )
    return content


def estimate(pairs: Sequence[TrainingPair], n_epochs: int | None, price: Price | None) -> Estimate:
    """Return what training would take; where the service chooses the epochs, by the rule of its cookbook."""
    return Estimate(len(pairs), sum(map(_tokens, pairs)), n_epochs or auto_epochs(len(pairs)), price)


def enough(pairs: Sequence[TrainingPair]) -> None:
    """Raise a FineTuneError where there are fewer training examples than the service takes."""
    if len(pairs) < FEWEST_EXAMPLES:
        raise FineTuneError(
            f"finetune=openai: expected {FEWEST_EXAMPLES} training examples or more, which is the service's least, "
            f"got {len(pairs)}. Raise finetune.n_train."
        )


def _problems(pairs: Sequence[TrainingPair]) -> Iterator[str]:
    for pair in pairs:
        where = f"example {pair.prompt.example_id!r}"
        if not pair.completion.strip():
            yield f"{where} has an empty completion"
        if not any(m.role == "user" and m.content.strip() for m in _messages(pair)):
            yield f"{where} has no user message with a text"
        if (tokens := _tokens(pair)) > MOST_TOKENS:
            yield f"{where} has about {tokens:,} tokens, and what is over {MOST_TOKENS:,} would be cut"
        if any(_lone_surrogate(m.content) for m in _messages(pair)):
            yield f"{where} holds half a character (a lone surrogate), which no file can hold"


def _messages(pair: TrainingPair) -> tuple[Message, ...]:
    """Return the whole chat; a plain prompt is one user message, as it is when the model is asked."""
    asked = pair.prompt.messages or (Message("user", pair.prompt.text),)
    return (*asked, Message("assistant", pair.completion))


def _plain(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": message.content}


def _tokens(pair: TrainingPair) -> int:
    texts = [len(m.content.encode("utf-8", "surrogatepass")) for m in _messages(pair)]
    return sum(-(-n // BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE for n in texts) + TOKENS_PER_MESSAGE


def _lone_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
