"""A tiny Llama as plain transformers trains and saves one, with a byte-level tokenizer of its own; nothing of ours takes part."""

import random

import pytest
import torch

transformers = pytest.importorskip("transformers", reason="the folders are those of transformers")
tokenizers = pytest.importorskip("tokenizers")

TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def sentences(count, seed=0):
    """Sentences of a small grammar, with letters beyond ASCII."""
    draw = random.Random(seed)
    who, does = ["the cat", "a naïve dog", "one old fox", "the Größe"], ["sees", "likes", "follows", "hears"]
    where = ["in the garden", "by the river", "at night", "— again —"]
    return [f"{draw.choice(who)} {draw.choice(does)} {draw.choice(who)} {draw.choice(where)}." for _ in range(count)]


def tokenizer(texts, words=160, start=False):
    """Byte-level BPE; `<|end|>` ends a text, and with `start` `<|begin|>` begins one."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer, made.decoder = (
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False),
        tokenizers.decoders.ByteLevel(),
    )
    special = ["<|end|>", "<|begin|>", "<|user|>", "<|assistant|>", "<|system|>"]
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=words + 256, special_tokens=special, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()
    )
    made.train_from_iterator(texts, trainer)
    if start:
        made.post_processor = tokenizers.processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", 1)])
    found = transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|end|>", model_max_length=64)
    found.chat_template = TEMPLATE
    return found


def config(tokens, layers=2, width=32, padded=0, **more):
    return transformers.LlamaConfig(
        vocab_size=len(tokens) + padded,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        eos_token_id=0,
        bos_token_id=None,
        architectures=["LlamaForCausalLM"],
        **{"tie_word_embeddings": True, **more},
    )


def trained(folder, texts, steps=60, padded=0, start=False, **sizes):
    """Save a tokenizer and a model that learned the texts; returns both."""
    tokens = tokenizer(texts, start=start)
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config(tokens, padded=padded, **sizes)).train()
    ids = torch.tensor([i for text in texts for i in [*tokens(text)["input_ids"], 0]])
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    for step in range(steps):
        rows = ids[: len(ids) // 32 * 32].view(-1, 32)
        some = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(step))[:16]]
        model(input_ids=some, labels=some).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval().save_pretrained(folder)
    tokens.save_pretrained(folder)
    return tokens, model


def student(folder, tokens, **sizes):
    """Save the configuration of a smaller one, and nothing else."""
    config(tokens, **{"layers": 1, "width": 16, **sizes}).save_pretrained(folder)
