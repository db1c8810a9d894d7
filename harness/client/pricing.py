"""The cost of completions, from a file of dated prices that the user owns; an unknown price is unknown, never 0.

Each price in the shipped `conf/pricing.yaml` has a date and a source. Use your own file with HARNESS_PRICING=FILE.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ConfigDict, TypeAdapter, ValidationError

from harness.errors import ConfigError, ModelError
from harness.types import Completion, ModelIdentity

MILLION = 1_000_000
UNREPORTED = 8
"""The completions without a number of tokens, and none with one, after which a limit on costs cannot be held."""


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens of the models that match `models`, in which `*` matches any text.

    `batch` is the share of the price that a batch costs, and `training` the price of training tokens.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    host: str
    models: tuple[str, ...]
    input: float
    output: float
    as_of: datetime.date
    source: str
    cached_input: float | None = None
    training: float | None = None
    batch: float = 1.0

    def __str__(self) -> str:
        return (
            f"{self.input:g} USD input and {self.output:g} USD output per million tokens, {self.as_of}, {self.source}"
        )

    def of(self, prompt_tokens: float, completion_tokens: float, cached_tokens: float = 0) -> float:
        """Return the cost in USD of these tokens; `cached_tokens` are part of the prompt tokens."""
        cached = self.input if self.cached_input is None else self.cached_input
        fresh = prompt_tokens - cached_tokens
        return (fresh * self.input + cached_tokens * cached + completion_tokens * self.output) / MILLION

    def total(self, completions: Iterable[Completion], in_batches: bool = False) -> float | None:
        """Return the cost in USD of the completions that did not fail; None if the token count of one is unknown."""
        usd = 0.0
        for completion in completions:
            if completion.error is not None:
                continue
            if completion.prompt_tokens is None or completion.completion_tokens is None:
                return None
            usd += self.of(completion.prompt_tokens, completion.completion_tokens, completion.cached_tokens or 0)
        return usd * (self.batch if in_batches else 1.0)


@dataclass(frozen=True, slots=True)
class LocalPrice:
    """The cost of this machine, in USD per hour."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    usd_per_hour: float
    as_of: datetime.date
    source: str

    def __str__(self) -> str:
        return f"{self.usd_per_hour:g} USD per hour, {self.as_of}, {self.source}"

    def hours(self, seconds: float) -> float:
        """Return the cost in USD of this many seconds."""
        return self.usd_per_hour * seconds / 3600


@dataclass(frozen=True, slots=True)
class Prices:
    """All known prices."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    services: tuple[Price, ...] = field(default_factory=tuple)
    """The first one that matches a model at a host is its price."""
    local: LocalPrice | None = None

    def of(self, model: ModelIdentity) -> Price | None:
        """Return the price of a hosted model; None if it is unknown."""
        if model.backend != "openai":
            return None
        host = urlsplit(model.revision.split(" ")[0]).hostname
        named = (p for p in self.services if p.host == host and any(fnmatchcase(model.base, m) for m in p.models))
        return next(named, None)

    def machine(self, model: ModelIdentity) -> LocalPrice | None:
        """Return the cost of this machine, for a model that runs on it."""
        return self.local if model.backend == "local" else None


def of(file: str | None) -> Prices:
    """Read a file of prices, the shipped one for None; ConfigError reports the wrong key."""
    import yaml

    from harness.config.compose import conf_dir

    path = Path(file) if file else conf_dir() / "pricing.yaml"
    try:
        return TypeAdapter(Prices).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"pricing: {path} cannot be read ({error})") from error
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}, got {e['input']!r:.80}" for e in error.errors()[:5]]
        raise ConfigError(f"{path}: {'; '.join(problems)}") from error


class Budget:
    """The cost of completions so far, and its limit."""

    def __init__(self, price: Price | None = None, max_usd: float | None = None, in_batches: bool = False) -> None:
        if max_usd is not None and price is None:
            raise ConfigError(
                "generation.max_cost: expected a model whose price is known. Add its price to a copy of "
                "conf/pricing.yaml and set pricing=FILE, or remove max_cost."
            )
        self._price, self._max, self._in_batches = price, max_usd, in_batches
        self._usd, self._dearest, self._unknown = 0.0, 0.0, 0

    def spend(self, completion: Completion) -> None:
        """Add the cost of one completion; ModelError if the limit is reached.

        One whose tokens the service does not report counts as much as the dearest one so far.
        """
        if self._price is None or completion.error is not None:
            return
        usd = self._price.total([completion], self._in_batches)
        self._unknown += usd is None
        self._dearest = max(self._dearest, usd or 0.0)
        self._usd += self._dearest if usd is None else usd
        if self._max is None:
            return
        if self._unknown >= UNREPORTED and not self._dearest:
            raise ModelError("generation.max_cost: the service does not report the tokens that it bills. Remove it.")
        if self._usd >= self._max:
            raise ModelError(
                f"stopped: {self._usd:.4f} USD of generation.max_cost {self._max:g} are spent. All completions so far "
                "are stored; raise the limit to continue."
            )

    def note(self) -> str:
        """Return the cost so far as text; empty if it is unknown."""
        return "" if self._price is None or self._unknown else f"{self._usd:.4f} USD"
