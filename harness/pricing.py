"""What completions cost, from a file of dated prices that its user owns: an unknown price is unknown, never 0.

The shipped `conf/pricing.yaml` says of which day and from where each of its prices is. Yours: HARNESS_PRICING=FILE.
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


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens of the models that `models` names; `*` stands for anything in a name.

    `batch` is the share of it that a batch costs, and `training` what a token that is trained on does.
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
        return f"{self.input:g} USD in and {self.output:g} USD out by million tokens, {self.as_of}, {self.source}"

    def of(self, prompt_tokens: float, completion_tokens: float, cached_tokens: float = 0) -> float:
        """Return the USD that so many tokens cost; `cached_tokens` are some of those of the prompt."""
        cached = self.input if self.cached_input is None else self.cached_input
        fresh = prompt_tokens - cached_tokens
        return (fresh * self.input + cached_tokens * cached + completion_tokens * self.output) / MILLION

    def total(self, completions: Iterable[Completion], in_batches: bool = False) -> float | None:
        """Return the USD of completions, failed ones left out; None where one does not tell its tokens."""
        usd = 0.0
        for each in completions:
            if each.error is not None:
                continue
            if each.prompt_tokens is None or each.completion_tokens is None:
                return None
            usd += self.of(each.prompt_tokens, each.completion_tokens, each.cached_tokens or 0)
        return usd * (self.batch if in_batches else 1.0)


@dataclass(frozen=True, slots=True)
class LocalPrice:
    """What an hour of this machine costs its owner, in USD."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    usd_per_hour: float
    as_of: datetime.date
    source: str

    def __str__(self) -> str:
        return f"{self.usd_per_hour:g} USD an hour, {self.as_of}, {self.source}"

    def hours(self, seconds: float) -> float:
        """Return the USD that so many seconds cost."""
        return self.usd_per_hour * seconds / 3600


@dataclass(frozen=True, slots=True)
class Prices:
    """All prices that are known."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    services: tuple[Price, ...] = field(default_factory=tuple)
    """The first that names a model at a host is its price."""
    local: LocalPrice | None = None

    def of(self, model: ModelIdentity) -> Price | None:
        """Return the price of a model behind a service, None where it is not known."""
        if model.backend != "openai":
            return None
        host = urlsplit(model.revision.split(" ")[0]).hostname
        named = (p for p in self.services if p.host == host and any(fnmatchcase(model.base, m) for m in p.models))
        return next(named, None)

    def machine(self, model: ModelIdentity) -> LocalPrice | None:
        """Return what this machine costs, for a model that runs on it."""
        return self.local if model.backend == "local" else None


def of(file: str | None) -> Prices:
    """Read a file of prices, the shipped one for None; ConfigError names the key that is wrong."""
    import yaml

    from harness.config.compose import conf_dir

    path = Path(file) if file else conf_dir() / "pricing.yaml"
    try:
        return TypeAdapter(Prices).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"pricing: {path} cannot be read ({error})") from error
    except ValidationError as error:
        found = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}, got {e['input']!r:.80}" for e in error.errors()[:5]]
        raise ConfigError(f"{path}: {'; '.join(found)}") from error


class Budget:
    """What completions have cost so far, and the most that they may."""

    def __init__(self, price: Price | None = None, max_usd: float | None = None, in_batches: bool = False) -> None:
        if max_usd is not None and price is None:
            raise ConfigError(
                "generation.max_cost: expected a model whose price is known. Add its price to a copy of "
                "conf/pricing.yaml and name that with pricing=FILE, or leave max_cost out."
            )
        self._price, self._max, self._in_batches = price, max_usd, in_batches
        self._usd: float | None = None if price is None else 0.0

    def spend(self, completion: Completion) -> None:
        """Count one more completion; ModelError where it leaves nothing to go on with."""
        if self._price is None or self._usd is None:
            return
        usd = self._price.total([completion], self._in_batches)
        self._usd = None if usd is None else self._usd + usd
        if self._max is None:
            return
        if self._usd is None:
            raise ModelError("generation.max_cost: the service does not tell how many tokens it bills. Leave it out.")
        if self._usd >= self._max:
            raise ModelError(
                f"Stopped: {self._usd:.4f} USD are spent of generation.max_cost {self._max:g}. Everything that was "
                "answered is kept; go on with a higher one."
            )

    def note(self) -> str:
        """Say what was spent, nothing where that is not known."""
        return "" if self._usd is None else f"{self._usd:.4f} USD"
