"""Texts as a tokenizer of transformers numbers them, and back into what its models take.

A sample is a row of L numbers: 0 where nothing stands, else 1 + token + V x type, V being the size of the vocabulary and type the
segment of a pair. So one tensor says which tokens there are, where they end (whatever the tokenizer pads with) and to which text
of a pair they belong. Letters: n samples, L places, V tokens.
"""

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired

import torch
from torch import Tensor, nn
from typing_extensions import TypedDict

from limbeck.errors import UserError, reason
from limbeck.files.saved import config_in, folder_of, from_pretrained

Text = str | tuple[str, str]
"""A text, or two that belong together."""
USUAL = 512  # tokens, where neither tokenizer nor model says how many it reads
_ENDLESS = 10**6  # a tokenizer that knows no limit has a larger one
_PROBES = ("A Fine film, isn't it?", "ÀÉ naïve  123.5 x_y", "日本 #hash @you\n")  # to tell tokenizers apart


class TokenFacts(TypedDict):
    """How texts are numbered, as student.json keeps it.

    tokenizer: its class. vocabulary: V. pad: the token where nothing stands. longest: most tokens of a row, special ones
    included. types: whether models are told the segment of a token. fingerprint: of what the tokenizer does. documents: of texts
    whose next tokens are predicted, whether several share a row.
    """

    tokenizer: str
    vocabulary: int
    pad: int
    longest: int
    types: bool
    fingerprint: str
    documents: NotRequired[bool]


@dataclass(frozen=True)
class Tokens:
    """What of a tokenizer is known beside the numbers it made. source: its folder, or its name on a hub. sample: a few texts."""

    source: str
    facts: TokenFacts
    sample: tuple[str, ...] = ()


class Tokenizer:
    """A tokenizer as it was saved: texts to rows of numbers.

    Args:
        source: a folder with a tokenizer, or the name of one on a hub.
        longest: most tokens of a row; None for as many as the tokenizer, or the model in the folder, reads.

    Raises:
        UserError: transformers is not installed, or there is no such tokenizer.
    """

    def __init__(self, source: str, longest: int | None = None):
        self.source, self.tokenizer = source, _opened(source)
        limit = _limit(self.tokenizer, source)
        if longest is not None and longest > limit:
            raise UserError(f"data.longest = {longest}, but the model of {source[-80:]} reads at most {limit} tokens; lower it")
        pad = self.tokenizer.pad_token_id
        self.padded = pad is not None
        self.facts = TokenFacts(
            tokenizer=type(self.tokenizer).__name__,
            vocabulary=len(self.tokenizer),
            pad=int(pad if pad is not None else self.tokenizer.eos_token_id or 0),
            longest=longest or limit,
            types="token_type_ids" in self.tokenizer.model_input_names,
            fingerprint=fingerprint(self.tokenizer),
        )

    def rows(self, texts: Sequence[Text]) -> tuple[list[list[int]], int]:
        """The numbers of each text, special tokens included, and how many texts were cut to fit."""
        longest, cut = self.facts["longest"], 0
        found: list[list[int]] = []
        for start in range(0, len(texts), 1000):
            some = texts[start : start + 1000]
            whole = self._asked(some)
            long = [k for k, row in enumerate(whole) if len(row) > longest]
            if long:
                for k, row in zip(long, self._asked([some[k] for k in long], truncation=True, max_length=longest), strict=True):
                    whole[k] = row
            found += whole
            cut += len(long)
        return found, cut

    def tensor(self, rows: Sequence[Sequence[int]], width: int) -> Tensor:
        """(n, width) int64 of rows of numbers, 0 on the side where the tokenizer pads."""
        made = torch.zeros(len(rows), width, dtype=torch.int64)
        left = self.tokenizer.padding_side == "left"
        for k, row in enumerate(rows):
            made[k, (width - len(row) if left else 0) : (width if left else len(row))] = torch.tensor(row, dtype=torch.int64)
        return made

    def _asked(self, texts: Sequence[Text], **how: Any) -> list[list[int]]:
        pairs = bool(texts) and not isinstance(texts[0], str)
        given = [[t[k] for t in texts] for k in (0, 1)] if pairs else [list(texts)]
        try:
            found = self.tokenizer(*given, padding=False, verbose=False, **how)
        except Exception as error:  # a tokenizer of somebody's own
            raise UserError(f"the tokenizer of {self.source[-80:]} cannot read these texts ({reason(error)})") from error
        ids = found["input_ids"]
        types = found["token_type_ids"] if self.facts["types"] else [[0] * len(row) for row in ids]
        many = self.facts["vocabulary"]
        return [[1 + i + many * t for i, t in zip(*both, strict=True)] for both in zip(ids, types, strict=True)]


class TokenInputs(nn.Module):
    """Numbers (n, L) as a network takes them: by name the `takes` among input_ids, attention_mask, token_type_ids and
    position_ids, each (n, L) int64, or the ids alone where it takes none of these names. The tokens are those of the tokenizer,
    `pad` where nothing stands. Positions count from 0 in every document of a row. `use_cache` stands for use_cache=False.

    >>> found = TokenInputs(10, 9, ("input_ids", "attention_mask"))(torch.tensor([[3.0, 5.0, 0.0]]))
    >>> found["input_ids"].tolist(), found["attention_mask"].tolist()
    ([[2, 4, 9]], [[1, 1, 0]])
    """

    def __init__(self, vocabulary: int, pad: int, takes: Sequence[str] = ()):
        super().__init__()
        self.vocabulary, self.pad, self.takes = vocabulary, pad, tuple(takes)

    def forward(self, x: Tensor) -> Tensor | dict[str, Any]:
        whole = x.long()
        there = whole != 0
        place = (whole - 1).clamp_min(0)
        ids = torch.where(there, place % self.vocabulary, self.pad)
        if not self.takes:
            return ids
        every: dict[str, Any] = {"input_ids": ids, "attention_mask": there.long()}
        if "token_type_ids" in self.takes:
            every["token_type_ids"] = place // self.vocabulary
        if "position_ids" in self.takes:
            every["position_ids"] = _within(place // self.vocabulary)
        if "use_cache" in self.takes:
            every["use_cache"] = False
        return {name: every[name] for name in self.takes}


def _within(part: Tensor) -> Tensor:
    """(n, L) how many places of the same part, 0 or 1, stand before each one without a break.

    >>> _within(torch.tensor([[0, 0, 1, 1, 1, 0]]))
    tensor([[0, 1, 0, 1, 2, 0]])
    """
    at = torch.arange(part.shape[1], device=part.device).expand_as(part)
    begins = torch.nn.functional.pad(part[:, 1:] != part[:, :-1], (1, 0), value=False)
    last, reach = torch.where(begins, at, 0), 1
    while reach < part.shape[1]:  # the largest so far, by doubling: there is no running maximum in ONNX
        last = torch.maximum(last, torch.nn.functional.pad(last[:, :-reach], (reach, 0)))
        reach *= 2
    return at - last


def inputs_for(module: nn.Module, facts: TokenFacts) -> TokenInputs:
    """What numbers of this tokenizer go through before a module, by the names in its forward.

    Rows of next tokens end with what stands behind their end, which no earlier place looks at: they need no mask.
    """
    try:
        known = inspect.signature(module.forward).parameters
    except (TypeError, ValueError):
        known = {}  # type: ignore[assignment]
    several = facts.get("documents")
    if several is None:
        names = ("input_ids", "attention_mask", *(("token_type_ids",) if facts["types"] else ()))
    else:
        names = ("input_ids", *(("position_ids",) if several else ()), "use_cache")  # what a cache would keep is never asked for
    return TokenInputs(facts["vocabulary"], facts["pad"], tuple(name for name in names if name in known))


def numbered(texts: Sequence[Text], folder: str | Path, longest: int | None = None) -> Tensor:
    """Texts, or pairs of texts, as a student takes them: (n, L), L being the longest among them.

    Args:
        texts: what is to be answered about. folder: with the tokenizer, `RUN/student` for example. longest: most tokens.
    """
    tokenizer = Tokenizer(str(folder), longest)
    rows, _ = tokenizer.rows(texts)
    return tokenizer.tensor(rows, max(map(len, rows), default=1))


def fingerprint(tokenizer: Any) -> str:
    """A hash of what a tokenizer does: its vocabulary, its special tokens, and what it makes of a few texts."""
    known = sorted(tokenizer.get_vocab().items())
    said = [tokenizer(text, verbose=False)["input_ids"] for text in _PROBES]
    special = sorted(map(str, tokenizer.all_special_tokens))
    return hashlib.sha256(json.dumps([known, special, said]).encode()).hexdigest()


def library() -> Any:
    """transformers, or a sentence on how to install it."""
    try:
        import transformers
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise UserError('transformers is not installed; run: pip install "limbeck[transformers]"') from error
    return transformers


def _opened(source: str) -> Any:
    try:
        return from_pretrained(library().AutoTokenizer, source, trust_remote_code=False)
    except UserError:
        raise
    except Exception as error:  # many kinds, for files that are missing, damaged or of another library
        raise UserError(
            f"there is no tokenizer at {source[-80:]} that transformers can open ({reason(error)[:90]}); "
            "give data.tokenizer the folder of one"
        ) from error


def _limit(tokenizer: Any, source: str) -> int:
    """How many tokens a model of the folder reads."""
    folder = folder_of(source)
    own: Mapping[str, object] = config_in(folder) if folder is not None else {}
    known = [own[key] for key in ("max_position_embeddings", "n_positions", "max_sequence_length") if key in own]
    places = [k for k in known if isinstance(k, int) and 0 < k < _ENDLESS]
    if any(word in str(own.get("model_type", "")) for word in ("roberta", "camembert", "mpnet", "longformer")):
        pad = own.get("pad_token_id", 1)
        places = [k - (pad if isinstance(pad, int) else 1) - 1 for k in places]  # their positions are counted from there
    limits = [*places, *([tokenizer.model_max_length] if 0 < tokenizer.model_max_length < _ENDLESS else [])]
    return int(min(limits, default=USUAL))
