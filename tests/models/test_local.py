"""The local backend, against transformers' own `generate`."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError, ModelError
from harness.hf import loading
from harness.hf.encoding import TextEncoder
from harness.models import local
from harness.protocols import Model, TokenizingModel
from harness.tasks.samples import drawn, sample_id
from harness.types import EncodedText, Example, FinishReason, Message, Prompt, SamplingParams, StopAt
from tests.support.running import CHAT, PLAIN, TITLES, model_of, outcomes, run
from tests.support.tokenizers import merging


def generated(folder: Path, prompts: Sequence[Prompt], max_tokens: int) -> dict[str, tuple[str, int, FinishReason]]:
    """Return each greedy text of transformers' `generate`, its length in tokens and why it ended."""
    tokenizer, model = loading.load_tokenizer(folder), loading.load_model(folder, device="cpu")
    ends = model.generation_config.eos_token_id
    expected = {}
    for prompt in prompts:
        tokens = TextEncoder(tokenizer).prompts([prompt])[0].ids
        batch = tokenizer.pad({"input_ids": [tokens]}, return_tensors="pt")
        output: Any = model.generate(**batch, max_new_tokens=max_tokens, do_sample=False)  # type: ignore[operator]
        new = output[0, len(tokens) :].tolist()
        ended = new[-1] in (ends if isinstance(ends, list) else [ends])
        text = str(tokenizer.decode(new[:-1] if ended else new, skip_special_tokens=True)).strip()
        expected[prompt.example_id] = text, len(new), FinishReason.STOP if ended else FinishReason.LENGTH
    return expected


@pytest.mark.parametrize("batch_size", [1, 3, 32])
@pytest.mark.parametrize("prompts", [CHAT, PLAIN], ids=["chat", "plain"])
def test_greedy_rows_equal_generate(ending_model: Path, prompts: list[Prompt], batch_size: int) -> None:
    completions = outcomes(run(model_of(ending_model, batch_size=batch_size), prompts, SamplingParams(max_tokens=24)))
    assert completions == generated(ending_model, prompts, 24)
    assert {reason for _, _, reason in completions.values()} == {FinishReason.STOP, FinishReason.LENGTH}
    assert len({tokens for _, tokens, _ in completions.values()}) > 2


@pytest.mark.slow
def test_greedy_rows_of_a_real_model_equal_generate(smollm2: Path) -> None:
    titles = ("Photosynthesis", "Paris", "Isaac Newton", "DNA", "World War II", "Jazz", "The Adventures of Tintin", "Q")
    prompts = [Prompt(t, messages=(Message("user", f"In one sentence, what is {t}?"),)) for t in titles]
    completions = run(model_of(smollm2), prompts, SamplingParams(max_tokens=32))
    assert outcomes(completions) == generated(smollm2, prompts, 32)
    sentences = run(model_of(smollm2), prompts, SamplingParams(max_tokens=32, stop_at=StopAt.sentence))
    for title, completion in sentences.items():
        whole, short = completions[title].text, completion.text
        assert whole is not None
        assert short is not None
        assert whole.startswith(short)


def test_the_contract(tiny_model: Path) -> None:
    model = model_of(tiny_model)
    assert isinstance(model, Model)
    identity, parameters = model.identity, model.parameters
    assert "_model" not in vars(model), "the identity must not load the weights"
    assert (identity.backend, identity.base, identity.dtype) == ("local", str(tiny_model), "float32")
    assert parameters == loading.load_model(tiny_model).num_parameters()


SAMPLING = SamplingParams(max_tokens=12, temperature=1.0, top_p=0.9, seed=3)


def test_samples_depend_on_seed_and_prompt_and_nothing_else(tiny_model: Path) -> None:
    whole = run(model_of(tiny_model), CHAT, SAMPLING)
    assert outcomes(run(model_of(tiny_model, batch_size=2), CHAT[::-1], SAMPLING)) == outcomes(whole)
    assert outcomes(run(model_of(tiny_model), CHAT[3:4], SAMPLING)) == outcomes({TITLES[3]: whole[TITLES[3]]})
    other = run(model_of(tiny_model), CHAT, SamplingParams(max_tokens=12, temperature=1.0, top_p=0.9, seed=4))
    assert outcomes(other) != outcomes(whole)


def test_each_sample_of_a_prompt_is_drawn_by_itself(tiny_model: Path) -> None:
    alone = run(model_of(tiny_model), CHAT, SAMPLING)
    _, prompts = drawn([Example(p.example_id, "", "") for p in CHAT], CHAT, 3)
    several = run(model_of(tiny_model, batch_size=4), prompts, SAMPLING)
    assert outcomes({title: several[title] for title in TITLES}) == outcomes(alone), "the first is as without others"
    texts = [[several[sample_id(title, k)].text for k in range(3)] for title in TITLES]
    assert all(len(set(samples)) == 3 for samples in texts)


def make_output(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    """Make the model generate `text`, a token at a time."""
    import torch

    script = iter(loading.load_tokenizer(folder)(text)["input_ids"])
    monkeypatch.setattr(local, "choose", lambda *_: torch.tensor([next(script)]))


@pytest.mark.parametrize(
    ("output", "decoding", "text", "reason"),
    [
        (" A river<end>", SamplingParams(), "A river", FinishReason.STOP),
        ("<end>", SamplingParams(), "", FinishReason.STOP),
        ("A river is a", SamplingParams(max_tokens=1), "A", FinishReason.LENGTH),
        ("A ri###ver", SamplingParams(stop=("##",)), "A ri", FinishReason.STOP),
        ("A river of light", SamplingParams(stop=("iver of l",)), "A r", FinishReason.STOP),
        ("A river\nIt", SamplingParams(stop_at=StopAt.line), "A river", FinishReason.STOP),
        ("\n\nA river\nIt", SamplingParams(stop_at=StopAt.line), "A river", FinishReason.STOP),
        ("A river flows. It", SamplingParams(stop_at=StopAt.sentence), "A river flows.", FinishReason.STOP),
        ("A river flows.<end>", SamplingParams(stop_at=StopAt.sentence), "A river flows.", FinishReason.STOP),
        ("A naïve 日本<end>", SamplingParams(), "A naïve 日本", FinishReason.STOP),
    ],
)
def test_stops(
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    output: str,
    decoding: SamplingParams,
    text: str,
    reason: FinishReason,
) -> None:
    make_output(monkeypatch, tiny_model, output)
    [completion] = model_of(tiny_model).generate(PLAIN[:1], decoding)
    assert (completion.text, completion.finish_reason) == (text, reason)
    assert completion.prompt_tokens == len(loading.load_tokenizer(tiny_model)(PLAIN[0].text)["input_ids"])
    assert completion.seconds is not None


THOUGHT = "<think>\nIt is. Or ##?\n</think>\n\nA river.\nIt<end>"


@pytest.mark.parametrize(
    ("output", "decoding", "expected"),
    [  # text, reasoning, why it ended, and whether a rule ended it
        (THOUGHT, SamplingParams(stop_at=StopAt.line), ("A river.", "It is. Or ##?", FinishReason.STOP, True)),
        (THOUGHT, SamplingParams(stop_at=StopAt.sentence), ("A river.", "It is. Or ##?", FinishReason.STOP, True)),
        (THOUGHT, SamplingParams(stop=("##",)), ("A river.\nIt", "It is. Or ##?", FinishReason.STOP, False)),
        (THOUGHT, SamplingParams(max_tokens=18), ("", "It is. Or ##?", FinishReason.LENGTH, False)),
        (THOUGHT, SamplingParams(answer_after="", stop=("##",)), ("<think>\nIt is. Or", None, FinishReason.STOP, True)),
        ("so: it A: a river\nIt", SamplingParams(answer_after="A:", stop_at=StopAt.line),
         ("a river", "so: it", FinishReason.STOP, True)),
        ("so it is<end>", SamplingParams(answer_after="A:", stop=("it",)), ("so", None, FinishReason.STOP, False)),
        ("a river<end>", SamplingParams(stop=("river",)), ("a", None, FinishReason.STOP, True)),
        ("a river", SamplingParams(stop=("river",), max_tokens=2), ("a", None, FinishReason.STOP, False)),
        ("A <user>river<end>", SamplingParams(), ("A river", None, FinishReason.STOP, False)),
    ],
)  # fmt: skip
def test_no_rule_ends_the_reasoning(
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    output: str,
    decoding: SamplingParams,
    expected: tuple[str, str | None, FinishReason, bool],
) -> None:
    make_output(monkeypatch, tiny_model, output)
    [completion] = model_of(tiny_model).generate(PLAIN[:1], decoding)
    assert (completion.text, completion.reasoning, completion.finish_reason, completion.partial) == expected
    assert completion.raw is not None
    assert output.replace("<user>", "").startswith(completion.raw)


def test_tags_of_reasoning_are_kept_when_they_are_special_tokens(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    for file in folder.glob("*.js*"):
        file.write_text(file.read_text().replace("<user>", "[THINK]").replace("<answer>", "[/THINK]"))
    assert "[THINK]" in loading.load_tokenizer(folder).get_vocab()
    for decoding in (SamplingParams(stop_at=StopAt.line), SamplingParams(answer_after="[/THINK]", stop=("\n",))):
        make_output(monkeypatch, folder, "[THINK]It is\nwater.[/THINK]A river\nIt")
        [completion] = model_of(folder).generate(PLAIN[:1], decoding)
        assert (completion.text, completion.partial) == ("A river", True)
        assert completion.reasoning is not None
        assert completion.reasoning.endswith("It is\nwater.")


def test_a_prompt_that_leaves_a_tag_open_makes_the_start_reasoning(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_output(monkeypatch, tiny_model, "it is\nwater</think>A river\nIt")
    prompt = Prompt("open", messages=CHAT[0].messages, rendered="<user>What?<end><answer><think>\n")
    [completion] = model_of(tiny_model).generate([prompt], SamplingParams(stop_at=StopAt.line))
    assert (completion.text, completion.reasoning) == ("A river", "it is\nwater")
    assert completion.prompt_tokens == len(loading.load_tokenizer(tiny_model)(prompt.rendered)["input_ids"])


def test_prompts_and_references_are_known_before_the_weights_are_loaded(tiny_model: Path) -> None:
    model = model_of(tiny_model)
    assert isinstance(model, TokenizingModel)
    prompts = [*CHAT, *PLAIN]
    rendered = model.rendered(prompts)
    encoded = model.encoded(["A river.", "<end>", ""])
    assert "_model" not in vars(model)
    assert rendered[0].text == "<user>What is Rain?<end><answer>"
    assert rendered[-1].text == PLAIN[-1].text
    assert [text.decoded for text in encoded] == ["A river.", "", ""]
    completions = run(
        model, [replace(p, example_id=str(i)) for i, p in enumerate(prompts)], SamplingParams(max_tokens=1)
    )
    assert [completions[str(i)].prompt_tokens for i in range(len(prompts))] == [text.tokens for text in rendered]
    (generated_text, n_tokens, _) = generated(tiny_model, PLAIN[:1], 1)["Rain"]
    assert model.encoded([generated_text])[0].tokens >= n_tokens


def test_an_adapter_brings_its_chat_template_and_tokenizer(tiny_model: Path, adapter: Path) -> None:
    base = model_of(tiny_model).rendered(CHAT[:1])[0].text
    (adapter / "chat_template.jinja").write_text("[{{ messages[0]['content'] }}]")
    assert model_of(tiny_model, adapter=str(adapter)).rendered(CHAT[:1])[0].text == "[What is Rain?]" != base
    tokenizer = loading.load_tokenizer(tiny_model)
    tokenizer.add_tokens(["<tool>"])
    tokenizer.chat_template = None
    tokenizer.save_pretrained(adapter)
    assert model_of(tiny_model, adapter=str(adapter)).rendered(CHAT[:1])[0].text == "[What is Rain?]"
    (adapter / "chat_template.jinja").unlink()
    model = model_of(tiny_model, adapter=str(adapter))
    assert model.rendered(CHAT[:1])[0].text == base
    assert model.rendered([Prompt("t", text="<tool>")])[0].tokens == 1
    merging().save_pretrained(adapter)
    with pytest.raises(ModelError, match=r"its tokenizer does not fit the base model: \d+ tokens"):
        model_of(tiny_model, adapter=str(adapter)).rendered(CHAT[:1])


def test_template_options_reach_generation(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "chat_template.jinja").write_text("{% if brief %}In brief: {% endif %}{{ messages[0]['content'] }}")
    model = model_of(folder, template_options={"brief": True})
    assert model.rendered(CHAT[:1])[0].text == "In brief: What is Rain?"
    with pytest.raises(ConfigError, match="does not use 'brif'"):
        run(model_of(folder, template_options={"brif": True}), CHAT, SamplingParams())


@pytest.mark.parametrize("architecture", ["gpt2", "qwen2", "gemma2", "mistral"])
def test_other_architectures_equal_generate(tiny_model: Path, tmp_path: Path, architecture: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = shutil.copytree(tiny_model, tmp_path / "model")
    size: dict[str, Any] = {"vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    own: dict[str, Any] = {"sliding_window": 16, "head_dim": 8, "intermediate_size": 64, "num_key_value_heads": 2}
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        architecture,
        **size,
        **({} if architecture == "gpt2" else own),
        initializer_range=0.3,
        eos_token_id=0,
        bos_token_id=0,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    assert outcomes(run(model_of(folder, batch_size=4), CHAT, SamplingParams(max_tokens=24))) == generated(
        folder, CHAT, 24
    )


def test_what_the_tokenizer_makes_of_texts_is_known_without_it(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    prompts = [Prompt("1", messages=(Message("user", "Rain"),)), Prompt("2", text="Snow")]

    def read() -> tuple[list[EncodedText], list[EncodedText]]:
        model = model_of(tiny_model)
        return model.rendered(prompts), model.encoded(["falls", "<s>"])

    first = read()
    monkeypatch.setattr(loading, "load_tokenizer", lambda *_: pytest.fail("loaded"))
    assert read() == first
    monkeypatch.undo()
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    loads, load = [], loading.load_tokenizer

    def counted(folder: Path, adapter: Path | None = None) -> Any:
        loads.append(folder)
        return load(folder, adapter)

    monkeypatch.setattr(loading, "load_tokenizer", counted)
    clock = tmp_path / "clock"
    shutil.copytree(tiny_model, clock)
    (clock / "chat_template.jinja").write_text("{{ strftime_now('%Y') }}{{ messages[0].content }}")
    for _ in range(2):
        model_of(clock).rendered(prompts)
    assert len(loads) == 2
