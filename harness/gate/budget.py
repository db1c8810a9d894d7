"""The budget of a sequential gate: how much it may spend before it has to report that the data do not decide."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.client.pricing import LocalPrice, Price
from harness.errors import ConfigError, ModelError
from harness.types import Completion


@dataclass(frozen=True, slots=True)
class GateBudget:
    """The limits of one gate; None is no limit. Completions that are already in the store cost nothing."""

    examples: int | None = None
    seconds: float | None = None
    cost: float | None = None
    """In USD, by the prices of the config (`harness.client.pricing`)."""
    chunk: int = 32
    """Examples between two looks at the data."""

    def __post_init__(self) -> None:
        for name in ("examples", "seconds", "cost", "chunk"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ConfigError(f"budget: expected a number of {name} above 0, got {value}.")


@dataclass(slots=True)
class BudgetTracker:
    """What has been spent of a budget; ConfigError if it limits the cost and the price of the model is unknown."""

    budget: GateBudget
    price: Price | LocalPrice | None = None
    start: float = field(default_factory=time.monotonic)
    usd: float = 0.0

    def __post_init__(self) -> None:
        if self.budget.cost is not None and self.price is None:
            raise ConfigError(
                "budget: a maximum cost needs a model whose price is known. Add its price to a copy of "
                "conf/pricing.yaml and pass it as pricing=FILE, or limit examples or seconds instead."
            )

    def pay(self, completions: Sequence[Completion]) -> None:
        """Add the cost of new completions; ModelError if the service does not report their tokens."""
        if self.budget.cost is None or self.price is None:
            return
        if isinstance(self.price, LocalPrice):
            usd: float | None = self.price.hours(sum(c.wall_seconds or 0.0 for c in completions))
        else:
            usd = self.price.total(completions)
        if usd is None:
            raise ModelError(
                "budget: the service does not report how many tokens it used, so a maximum cost cannot be enforced. "
                "Limit examples or seconds instead."
            )
        self.usd += usd

    def exceeded(self) -> str:
        """Return which limit is reached, in words, or an empty text."""
        seconds, cost = self.budget.seconds, self.budget.cost
        if seconds is not None and time.monotonic() - self.start >= seconds:
            return f"the budget of {seconds:g} s is spent"
        if cost is not None and self.usd >= cost:
            return f"the budget of {cost:g} USD is spent"
        return ""
