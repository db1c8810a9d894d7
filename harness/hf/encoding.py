"""Texts as a model's tokenizer reads them: prompts, pairs of prompt and completion, and what it generates.

Generation, fine-tuning and likelihoods share this encoding, so that all are over the same tokens. A prompt and its
completion are encoded as one text and split where the prompt's own tokens end, because many tokenizers encode a text
behind another one differently from the same text alone. Where a token would hold the end of the prompt and the
beginning of the completion, the prompt keeps the tokens that generation gives the model, and the rest is encoded alone.

A plain prompt starts as the tokenizer starts a text, and never ends with an end token, which some tokenizers add: it is
to be continued. A chat template writes its own start.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigError, HarnessError, ModelError
from harness.hf.tokens import Tokens
from harness.types import EncodedText, Prompt, TrainingPair

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CHUNK = 1000
"""Texts that are encoded together: tokenizers are fast on many, and keep a record of each until all are done."""
LIKELY_CHARACTERS = 6
"""Characters of a token that few texts exceed on average; a text longer than that is looked at before it is encoded."""
_CODE = re.compile(r"\{[{%](.*?)[}%]\}", re.DOTALL)
_QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)

Decoder = Callable[[Sequence[int]], str]
"""From generated tokens, without the one that ended them, to their text."""


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """A prompt as one text and its tokens; only the first of them where the text is far too long for the model."""

    text: str
    ids: list[int]
    is_whole: bool = True


def continued(text: str, completion: str) -> str:
    """Return a plain prompt and its completion as one text: a space between, unless white space ends the prompt."""
    return f"{text}{completion}" if not text or text[-1].isspace() else f"{text} {completion}"


class TextEncoder:
    """A tokenizer, and the options of its chat template."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, template_options: Mapping[str, Any] | None = None) -> None:
        self._tokenizer: Any = tokenizer
        self._options = dict(template_options or {})

    def rendered(self, prompt: Prompt) -> str:
        """Return the one text that the model gets; ConfigError where a chat template is missing or refuses it."""
        if prompt.rendered:
            return prompt.rendered
        if not prompt.messages:
            return prompt.text
        if not self._tokenizer.chat_template:
            raise ConfigError("This model has no chat template. Set prompt.style=plain.")
        turns = [{"role": message.role, "content": message.content} for message in prompt.messages]
        try:
            template, options = self._template
            return str(
                self._tokenizer.apply_chat_template(
                    turns, chat_template=template, tokenize=False, add_generation_prompt=True, **options
                )
            )
        except HarnessError:
            raise
        except Exception as error:  # a template is a program, which can raise anything
            raise ConfigError(
                f"The model's chat template refuses these messages: {error}. Set prompt.style=plain."
            ) from error

    def prompts(self, prompts: Sequence[Prompt], max_tokens: int | None = None) -> list[EncodedPrompt]:
        """Return the prompts' tokens; of those that cannot fit into `max_tokens`, only the first ones."""
        texts = [self.rendered(prompt) for prompt in prompts]
        heads = [self._head(text, max_tokens) if max_tokens else text for text in texts]
        return [
            EncodedPrompt(text, self._started(prompt, ids), len(head) == len(text))
            for prompt, text, head, ids in zip(prompts, texts, heads, self._encoded(heads), strict=True)
        ]

    def pairs(self, pairs: Sequence[TrainingPair]) -> list[Tokens]:
        """Return each pair's tokens: the prompt as generation gets it, the completion, the end-of-text token.

        After plain text that no white space ends, the completion starts with a space.
        """
        end = self._tokenizer.eos_token_id
        if end is None:
            raise ModelError("This tokenizer has no end-of-text token, so no completion could end. Set its eos_token.")
        prompts = self.prompts([pair.prompt for pair in pairs])
        wholes = [_whole(prompt.text, pair) for prompt, pair in zip(prompts, pairs, strict=True)]
        encoded = []
        for pair, prompt, whole, ids in zip(pairs, prompts, wholes, self._encoded(wholes), strict=True):
            tokens = self._started(pair.prompt, ids)
            if tokens[: len(prompt.ids)] != prompt.ids:  # a token that reaches over the end of the prompt
                [alone] = self._encoded([whole[len(prompt.text) :]])
                tokens = [*prompt.ids, *alone]
            encoded.append(Tokens(pair.prompt.example_id, (*tokens, end), len(prompt.ids)))
        return encoded

    def completions(self, texts: Sequence[str], decode: Decoder) -> list[EncodedText]:
        """Return the texts with the tokens that a model has to generate for each, and what those decode to.

        Behind a plain prompt a completion starts with a space, a token more or less: the smaller number counts.
        """
        behind_chat, behind_text = self._encoded(texts), self._encoded([f" {text}" if text else "" for text in texts])
        return [
            EncodedText(text, min(len(ids), len(spaced)) + 1, decode(ids))
            for text, ids, spaced in zip(texts, behind_chat, behind_text, strict=True)
        ]

    def decoder(self, kept: Sequence[str]) -> Decoder:
        """Return a function from generated tokens to text, without special tokens except those that `kept` contain.

        White space stays as it is, so that a text can equal any reference.
        """
        tokenizer = self._tokenizer
        special = {id: str(token) for id, token in tokenizer.added_tokens_decoder.items() if token.special}
        special |= dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))
        skipped = {id for id, token in special.items() if not any(token in text for text in kept)}
        if len(skipped) == len(special):
            return lambda ids: str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
        return lambda ids: str(
            tokenizer.decode(
                [id for id in ids if id not in skipped], skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        )

    @property
    def is_constant(self) -> bool:
        """Whether the chat template always writes the same, which the clock and chance would change."""
        return not re.search(r"strftime_now|random", str(self._tokenizer.chat_template))

    @cached_property
    def _start(self) -> list[int]:
        """The tokens that the tokenizer puts before every text, such as one for its beginning."""
        bare, whole = (list(self._tokenizer("a", add_special_tokens=add)["input_ids"]) for add in (False, True))
        starts = (start for start in range(len(whole)) if whole[start : start + len(bare)] == bare)
        return whole[: next(starts, 0)]

    @cached_property
    def _longest_token(self) -> int:
        """The most characters of one token."""
        return max(map(len, self._tokenizer.get_vocab()), default=1)

    def _started(self, prompt: Prompt, ids: list[int]) -> list[int]:
        """Return a prompt's tokens behind the tokenizer's start, unless the text writes that itself."""
        if prompt.messages or ids[: len(self._start)] == self._start:
            return ids
        return [*self._start, *ids]

    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        encoded: list[list[int]] = []
        for start in range(0, len(texts), CHUNK):
            chunk = list(texts[start : start + CHUNK])
            encoded += self._tokenizer(chunk, add_special_tokens=False, verbose=False)["input_ids"]
        return encoded

    def _head(self, text: str, max_tokens: int) -> str:
        """Return the text, or a beginning of it that has more than `max_tokens` tokens where it is far too long.

        So a text of megabytes takes no longer than the longest one that the model can read.
        """
        likely = max_tokens * LIKELY_CHARACTERS
        if len(text) <= likely:
            return text
        head = text[:likely]
        [ids] = self._encoded([head])
        return head if len(ids) > max_tokens else text[: (max_tokens + 1) * self._longest_token]

    @cached_property
    def _template(self) -> tuple[str, dict[str, Any]]:
        """The chat template and its options; ConfigError for an option that the template does not use."""
        template: str = self._tokenizer.get_chat_template()
        reserved = {"messages", *inspect.signature(self._tokenizer.apply_chat_template).parameters}
        names = _names(template)
        for option in self._options:
            if option in reserved - {"tools", "documents"}:
                raise ConfigError(f"model.template_options: {option} is set by the harness itself. Leave it out.")
            if option not in names:
                near = difflib.get_close_matches(option, names, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise ConfigError(
                    f"model.template_options: the model's chat template does not use {option!r}, so that it would "
                    f"change nothing.{hint} Leave it out, or name a variable of the template."
                )
        return template, self._options


def _names(template: str) -> set[str]:
    """Return the names in the code of a Jinja template, with those of its variables among them."""
    code = " ".join(_QUOTED.sub(" ", block) for block in _CODE.findall(template))
    return set(re.findall(r"[A-Za-z_]\w*", code))


def _whole(text: str, pair: TrainingPair) -> str:
    """Return a rendered prompt and its completion as one text."""
    if pair.prompt.messages or not pair.completion:
        return f"{text}{pair.completion}"
    return continued(text, pair.completion)
