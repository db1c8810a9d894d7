"""Which settings a request carries, and what happens to one that the service refuses.

A setting is sent where it says something: top-p and the seed say nothing of a greedy completion, nor top-p 1 to a
service that samples from all tokens anyway. A server of open weights may do otherwise: vLLM takes what a request leaves
out from the model's generation_config.json, repetition penalties included, so that such servers are told explicitly to
do none of this, as local runs do. Public services that have no such settings are not asked.

What the service does not take is renamed or left out, with a notice that names the setting that keeps it quiet. A
setting of `model.extra` is the user's own and is never left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from harness.client.refusals import ReportedError
from harness.config import OpenAIModelConfig
from harness.config.model import is_sampled
from harness.progress import say
from harness.store.digest import digest
from harness.types import SamplingParams

MOST_STOPS = 4
"""The most stop sequences that services accept; the text is truncated here at all of them anyway."""
_PUBLIC = (
    "openai.com",
    "azure.com",
    "anthropic.com",
    "googleapis.com",
    "mistral.ai",
    "groq.com",
    "x.ai",
    "deepseek.com",
    "cohere.com",
    "cohere.ai",
    "perplexity.ai",
    "cerebras.ai",
)
"""Hosts of services that have no other sampling settings than OpenAI's, or whose defaults are to use none of them."""
_NEUTRAL = {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
"""The values at which nothing is done. Source: vLLM's `SamplingParams`."""
_RENAMED = {"max_tokens": "max_completion_tokens"}
_TOO_LONG = ("context", "too long", "length", "token")
"""Words of a refusal that is about the prompt."""


class RequestSettings:
    """The settings of the requests for one model under one set of decoding options, as the service takes them."""

    def __init__(self, config: OpenAIModelConfig, decoding: SamplingParams) -> None:
        self._model, self._extra = config.id, config.extra
        self._seed = decoding.seed
        sampled = is_sampled(config, decoding.temperature)
        chosen = {
            "model": config.id,
            "max_tokens": None if "max_completion_tokens" in config.extra else decoding.max_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p if sampled and decoding.top_p < 1 else None,
            "seed": decoding.seed if sampled else None,
            "stop": list(decoding.stop[:MOST_STOPS]) or None,
        }
        neutral = {} if _is_public(config.base_url) else _neutral(sampled)
        self._defaults = {name for name in neutral if chosen.get(name) is None and name not in config.extra}
        """Those that nobody chose, sent against the server's own defaults."""
        settings = {**neutral, **{k: v for k, v in chosen.items() if v is not None}, **config.extra}
        self.sent = {name: value for name, value in settings.items() if value is not None}
        self.version = 0
        """Counts the changes: a request that was refused before one is sent again."""
        self.notices: list[str] = []
        self.answered = False

    def of_sample(self, sample: int) -> Mapping[str, Any]:
        """Return the settings of the n-th sample of a prompt, which differs from the others by its seed."""
        if not sample or "seed" not in self.sent or "seed" in self._extra:
            return self.sent
        return {**self.sent, "seed": int(digest([self._seed, sample]), 16) % 2**31}

    def adapt(self, refusal: ReportedError) -> bool:
        """Rename or leave out what the service refused; False where it is nothing that may be left out."""
        names = [name for name in refusal.settings if name in self.sent and name not in self._extra]
        if refusal.conflict and len(names) > 1:
            names = [min(names, key=self._weight)]
        names = [name for name in names if self._may_go(name, refusal)]
        if not names and not self.answered and not self.hint(refusal) and not _is_long(refusal):
            names = sorted(self._defaults & set(self.sent))  # it does not say what it refuses: the least that can be
        for name in names:
            self._leave_out(name)
        self.version += bool(names)
        return bool(names)

    def hint(self, refusal: ReportedError) -> str:
        """Return how the user leaves out what was refused; empty where the service names no setting."""
        named = {new: old for old, new in _RENAMED.items()}
        names = [named.get(name, name) for name in refusal.settings_of(self.sent) if name != "model"]
        return f" (without it: +model.extra.{names[0]}=null)" if names else ""

    def _may_go(self, name: str, refusal: ReportedError) -> bool:
        if refusal.unsupported or name in ("stop", "seed", *self._defaults):
            return name in (*_RENAMED, "temperature", "top_p", "stop", "seed", *_NEUTRAL)
        return name == "temperature" and not self.sent[name] and refusal.not_zero

    def _weight(self, name: str) -> int:
        """Return how much a setting says, so that of two that exclude each other the lesser goes."""
        if name in self._defaults or (name == "temperature" and self.sent[name] == 1):
            return 0
        return {"seed": 1, "top_p": 2, "temperature": 3}.get(name, 1)

    def _leave_out(self, name: str) -> None:
        value = self.sent.pop(name)
        if name in _RENAMED:
            self.sent[_RENAMED[name]] = value
            return
        effect = _EFFECTS.get(name, "a default of the service's own may apply")
        if name == "temperature" and not value:
            effect = "completions are NOT greedy: the service samples them, and another run gives others"
        notice = f"{self._model}: the service does not accept {name}={value}, which is left out: {effect}"
        self.notices.append(f"{notice} (to choose this: +model.extra.{name}=null)")
        say(f"warning: {self.notices[-1]}")


_EFFECTS = {
    "temperature": "completions are sampled at a temperature of the service's own",
    "top_p": "completions are sampled from other tokens than was asked for",
    "seed": "another run may give other completions",
    "stop": "texts are truncated at the stop sequences here, after more tokens",
}


def _neutral(sampled: bool) -> dict[str, Any]:
    return {name: value for name, value in _NEUTRAL.items() if sampled or name == "repetition_penalty"}


def _is_public(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    return any(host == name or host.endswith(f".{name}") for name in _PUBLIC) or host.startswith("bedrock")


def _is_long(refusal: ReportedError) -> bool:
    text = f"{refusal.code} {refusal.message}".lower()
    return any(word in text for word in _TOO_LONG)
