"""Tiny tokenizers of the kinds that encode a text in their own ways."""

from __future__ import annotations

import json
from typing import Any

from tests.conftest import TEXTS

ANSWERS = {"France": "Paris", "Spain": "Madrid", "Japan": "Tokyo"}


def sentencepiece(end_behind: bool = False) -> Any:
    """Llama 2's: a mark before the text and for each space, bytes for unknown characters, <s> before each text.

    With `end_behind` it also puts </s> behind each text, as add_eos_token does.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    texts = [*(text.replace("\n", " ") for text in TEXTS), *(f"Q: capital of {q}? A: {a}" for q, a in ANSWERS.items())]
    words.train_from_iterator([*texts, "abcdefghijklmnopqrstuvwxyz"], trainers.BpeTrainer(show_progress=False))
    learnt = json.loads(words.to_str())["model"]
    special = ["<unk>", "<s>", "</s>"]
    tokens = dict.fromkeys([*special, *(f"<0x{i:02X}>" for i in range(256)), *learnt["vocab"]])
    vocabulary = {token: number for number, token in enumerate(tokens)}
    merges = [tuple(pair) for pair in learnt["merges"]]
    core = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    core.add_special_tokens(special)
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    single = "<s> $A </s>" if end_behind else "<s> $A"
    core.post_processor = processors.TemplateProcessing(
        single=single, pair=f"{single} $B:1", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def merging() -> Any:
    """One that knows a, b and ab, and merges them wherever they meet."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE({"<end>": 0, "a": 1, "b": 2, "ab": 3}, [("a", "b")]))
    core.decoder = decoders.Fuse()
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>")  # type: ignore[no-untyped-call]
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    return tokenizer


def llama(tokenizer: Any, folder: Any) -> Any:
    """Save a random Llama of one layer with a tokenizer, and return it."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=128,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        initializer_range=0.3,
    )
    model = LlamaForCausalLM(config)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return model
