"""What language models write: a few continuations of the judged part, greedily, side by side, and what can be counted of them.

Letters: n prompts, L tokens.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import TypedDict

from limbeck.data import Data
from limbeck.data.tokens import Tokenizer
from limbeck.deploy.student import Deployed
from limbeck.files.still import still
from limbeck.metrics.strings import repeated, rouge_l
from limbeck.models.writing import added
from limbeck.plan.roles import in_evaluation
from limbeck.plan.taps import Tap

ROWS, SHOWN = 16, 6  # prompts that are continued, and that are kept in words
NEW = 48  # tokens that are written at most
OPENING = 24  # tokens of a running text that are given as a prompt


class WrittenText(TypedDict):
    """A prompt, what really follows, and what each model wrote."""

    prompt: str
    follows: str
    models: dict[str, str]


class WrittenFigures(TypedDict):
    """ended: share of texts that came to their end. repeated: share of runs of four tokens that had been there before.
    rouge_l, exact: against the completions, mean ROUGE-L (F1 on words) and share that is the same; None for running text."""

    ended: float
    repeated: float
    rouge_l: float | None
    exact: float | None


class Writing(TypedDict):
    """What a card keeps of it: how many prompts, at most how many new tokens each."""

    prompts: int
    new: int
    texts: list[WrittenText]
    figures: dict[str, WrittenFigures]


def write(entries: Mapping[str, Deployed], data: Data) -> Writing | None:
    """Let every model continue the first rows of the judged part; None where models cannot write or rows have no prompts."""
    assert data.tokens is not None
    tokenizer = Tokenizer(data.tokens.source).tokenizer
    prompts = _prompts(data)
    if not prompts or any(not isinstance(entry.source, Tap) or entry.source.path for entry in entries.values()):
        return None
    end = tokenizer.eos_token_id
    said = {who: [continued(entry, ids, data.outputs, end) for ids, *_ in prompts] for who, entry in entries.items()}
    texts, figures = {}, {}
    for who, rows in said.items():
        texts[who] = [tokenizer.decode(row, skip_special_tokens=True) for row in rows]
        right = [tokenizer.decode(follows, skip_special_tokens=True) for _, follows, _ in prompts]
        asked = prompts[0][2]
        pairs = list(zip(texts[who], right, strict=True))
        figures[who] = WrittenFigures(
            ended=sum(end in row for row in rows) / len(rows),
            repeated=sum(repeated(row) for row in rows) / len(rows),
            rouge_l=sum(rouge_l(a, b) for a, b in pairs) / len(pairs) if asked else None,
            exact=sum(a.strip() == b.strip() for a, b in pairs) / len(pairs) if asked else None,
        )
    shown = [
        WrittenText(
            prompt=tokenizer.decode(ids, skip_special_tokens=True),
            follows=tokenizer.decode(follows[:NEW], skip_special_tokens=True),
            models={who: each[k] for who, each in texts.items()},
        )
        for k, (ids, follows, _) in enumerate(prompts[:SHOWN])
    ]
    return Writing(prompts=len(prompts), new=NEW, texts=shown, figures=figures)


Prompt = tuple[list[int], list[int], bool]  # tokens, those that follow, and whether it is a prompt with a completion


def _prompts(data: Data) -> list[Prompt]:
    """Prompts of the judged part: what stands before the first label, or the opening of a running text."""
    inputs, labels, many = data.judged.inputs, data.judged.labels, data.outputs
    assert isinstance(inputs, Tensor) and labels is not None
    asked = bool((labels[:, 0] == -100).all())
    found: list[Prompt] = []
    for row, own in zip(inputs[: 4 * ROWS], labels[: 4 * ROWS], strict=True):
        side, ids = (row - 1) // many, ((row - 1) % many).tolist()
        known = (own != -100).nonzero()[:, 0]
        border = next((k + 1 for k in range(len(ids) - 1) if row[k + 1] == 0 or side[k + 1] != side[k]), len(ids))
        first = int(known[0]) + 1 if asked else min(OPENING, border // 2)
        if first:
            follows = own[first - 1 : border]
            found.append((ids[:first], follows[follows != -100].tolist(), asked))
        if len(found) == ROWS:
            break
    return found


def continued(entry: Deployed, ids: Sequence[int], many: int, end: int | None, new: int = NEW) -> list[int]:
    """The tokens that a model adds to a prompt, greedily, the end of the text included where it comes.

    Args:
        entry: a role's whole answer. ids: of the prompt. many: V. end: the token that ends a text. new: at most so many.
    """
    assert isinstance(entry.source, Tap)
    module: Any = entry.cast[entry.source.role]
    place = next((p.device for p in module.parameters()), torch.device("cpu"))
    given = torch.tensor([list(ids)], device=place)
    with in_evaluation(module), torch.no_grad(), still():
        if callable(getattr(module, "go_on", None)):  # in tokens of its own
            said: list[int] = module.go_on(ids, new)
            return said
        if callable(getattr(module, "generate", None)):
            found: list[int] = added(module, given, torch.ones_like(given), new, many, end)[0].tolist()
            return found
        return _looped(entry, given, end, new)


def _looped(entry: nn.Module, given: Tensor, end: int | None, new: int) -> list[int]:
    """By asking for the next token again and again."""
    row: list[int] = []
    for _ in range(new):
        numbers = torch.cat([given, given.new_tensor([row])], 1).long() + 1
        row.append(int(entry(numbers)[0, -1].argmax()))
        if row[-1] == end:
            break
    return row
