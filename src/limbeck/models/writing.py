"""What a causal model of transformers adds to prompts. Letters: n prompts, L places, V tokens."""

from typing import Any

import torch
from torch import Tensor


def added(module: Any, given: Tensor, there: Tensor, new: int, many: int, end: int | None, temperature: float = 0.0) -> Tensor:
    """(n, up to new) tokens that a model adds to prompts, which end on the right; words that only fill up its head are left out.

    Args:
        module: with a `generate` of transformers. given, there: (n, L) tokens, and 1 where one stands. new: tokens at most.
        many: V of the tokenizer. end: the token that ends a text. temperature: of the draws; 0 takes the likeliest token.
    """
    wide = int(getattr(module.config, "vocab_size", many))
    how: dict[str, object] = {"do_sample": False}
    if temperature:
        how = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
    if wide > many:
        how["suppress_tokens"] = list(range(many, wide))
    stop = {"eos_token_id": end, "pad_token_id": 0 if end is None else end}
    with torch.no_grad():
        out = module.generate(input_ids=given, attention_mask=there, max_new_tokens=new, num_beams=1, **stop, **how)
    found: Tensor = out[:, given.shape[1] :]
    return found
