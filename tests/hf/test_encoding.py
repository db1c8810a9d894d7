"""Prompts, completions and pairs as tokens, against the tokenizers' own encoding of the whole text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError
from harness.hf import loading
from harness.hf.encoding import TextEncoder, continued
from harness.types import Message, Prompt, TrainingPair
from tests.support.tokenizers import merging, sentencepiece

QUESTION = "Q: capital of Spain?\nA:"
TEMPLATE = "{{ bos_token }}{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
OPTION = (
    "{% if brief is defined and brief %}In brief: {% endif %}{{ messages[0]['content'] }}{# unused #}{{ 'quoted' }}"
)


def chat(text: str) -> Prompt:
    return Prompt("c", messages=(Message("user", text),))


def plain(text: str) -> Prompt:
    return Prompt("p", text=text)


def ids(tokenizer: Any, prompt: Prompt) -> list[int]:
    return TextEncoder(tokenizer).prompts([prompt])[0].ids


def with_sep() -> Any:
    """A tokenizer that begins each text with [CLS] and ends it with [SEP], which is not its end-of-text token."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({"[CLS]": 0, "[SEP]": 1, "[UNK]": 2, "a": 3, "b": 4}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A $B:1 [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 1)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="[UNK]")  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("end_behind", [False, True])
def test_no_end_token_stands_behind_a_plain_prompt(end_behind: bool) -> None:
    expected = sentencepiece()(QUESTION)["input_ids"]
    assert expected[0] == 1
    assert ids(sentencepiece(end_behind), plain(QUESTION)) == expected
    assert ids(sentencepiece(end_behind), plain(f"<s>{QUESTION}")).count(1) == 1
    assert ids(with_sep(), plain("a b")) == [0, 3, 4]


def test_a_chat_template_writes_its_own_start() -> None:
    tokenizer = sentencepiece(end_behind=True)
    tokenizer.chat_template = TEMPLATE
    tokens = ids(tokenizer, chat("capital of Spain?"))
    assert (tokens.count(1), tokens.count(2)) == (1, 0)
    assert tokens == tokenizer("<s>capital of Spain?\n", add_special_tokens=False)["input_ids"]


def test_what_is_rendered_once_decides(tiny_model: Path) -> None:
    tokenizer = loading.load_tokenizer(tiny_model)
    encoder = TextEncoder(tokenizer)
    prompt = Prompt("c", messages=(Message("user", "now"),), rendered="<user>then<end>")
    assert encoder.rendered(prompt) == "<user>then<end>"
    assert encoder.prompts([prompt])[0].ids == tokenizer("<user>then<end>", add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("make", [sentencepiece, lambda: sentencepiece(end_behind=True), None])
@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\t"])
def test_a_plain_pair_is_encoded_as_one_text(tiny_model: Path, make: Callable[[], Any] | None, end: str) -> None:
    tokenizer = make() if make else loading.load_tokenizer(tiny_model)
    encoder = TextEncoder(tokenizer)
    prompt = plain(f"{QUESTION}{end}")
    (pair,) = encoder.pairs([TrainingPair(prompt, "Madrid")])
    whole = continued(f"{QUESTION}{end}", "Madrid")
    tokens = [token for token in tokenizer(whole)["input_ids"] if token != tokenizer.eos_token_id]
    assert pair.ids == (*tokens, tokenizer.eos_token_id)
    assert list(pair.ids[: pair.n_prompt]) == encoder.prompts([prompt])[0].ids
    decode = encoder.decoder(())
    assert decode(pair.ids[pair.n_prompt : -1]).strip() == "Madrid"


def test_a_token_over_the_end_of_the_prompt_leaves_the_prompt_as_generation_has_it() -> None:
    encoder = TextEncoder(merging())
    (pair,) = encoder.pairs([TrainingPair(chat("ba"), "bab")])
    assert (pair.ids, pair.n_prompt) == ((2, 1, 2, 3, 0), 2)


def test_an_empty_completion_is_the_end_token_alone(tiny_model: Path) -> None:
    encoder = TextEncoder(loading.load_tokenizer(tiny_model))
    for prompt in (plain("a"), chat("a")):
        (pair,) = encoder.pairs([TrainingPair(prompt, "")])
        assert len(pair.ids) - pair.n_prompt == 1


def test_template_options_reach_the_template() -> None:
    tokenizer = merging()
    tokenizer.chat_template = OPTION
    assert TextEncoder(tokenizer).rendered(chat("ab")) == "abquoted"
    assert TextEncoder(tokenizer, {"brief": True}).rendered(chat("ab")) == "In brief: abquoted"
    assert TextEncoder(tokenizer, {"bref": True}).rendered(plain("ab")) == "ab"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("bref", r"does not use 'bref'.* Did you mean 'brief'\?"),
        ("quoted", "does not use 'quoted'"),
        ("unused", "does not use 'unused'"),
        ("messages", "messages is set by the harness itself"),
        ("add_generation_prompt", "add_generation_prompt is set by the harness itself"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(option: str, message: str) -> None:
    tokenizer = merging()
    tokenizer.chat_template = OPTION
    with pytest.raises(ConfigError, match=message):
        TextEncoder(tokenizer, {option: True}).rendered(chat("ab"))


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("Paris", "Paris"),
        ("Paris , what ? I 'm", "Paris , what ? I 'm"),
        ("two\nlines  spaced", "two\nlines  spaced"),
        ("日本 🎉", "日本 🎉"),
        ("before</s>after", "before after"),
        ("", ""),
    ],
)
def test_a_completion_decodes_to_itself_unless_it_has_special_tokens(text: str, decoded: str) -> None:
    tokenizer = sentencepiece()
    tokenizer.clean_up_tokenization_spaces = True
    encoder = TextEncoder(tokenizer)
    (encoded,) = encoder.completions([text], encoder.decoder(()))
    assert (encoded.text, encoded.decoded.strip()) == (text, decoded)
    n_tokens = len(tokenizer(text, add_special_tokens=False)["input_ids"])
    assert encoded.tokens == n_tokens + 1


def test_a_decoder_keeps_the_special_tokens_that_it_is_asked_to(tiny_model: Path) -> None:
    tokenizer = loading.load_tokenizer(tiny_model)
    tokens = tokenizer("<user>why<answer>so<end>")["input_ids"]
    encoder = TextEncoder(tokenizer)
    assert encoder.decoder(())(tokens) == "whyso"
    assert encoder.decoder(("<answer>",))(tokens) == "why<answer>so"


@pytest.mark.parametrize("unit", ["a", "word ", " ", "日本", "<end>"])
def test_of_a_text_that_cannot_fit_only_the_beginning_is_encoded(tiny_model: Path, unit: str) -> None:
    encoder = TextEncoder(loading.load_tokenizer(tiny_model))
    most = 100
    for n in (5, 60, 4_000_000):
        text = unit * n + "x"
        (prompt,) = encoder.prompts([Prompt("long", text=text)], most)
        assert prompt.is_whole == (n < 1_000)
        assert len(prompt.ids) > most or prompt.is_whole
        assert len(prompt.ids) < 100_000
