"""The methods of a comparison as words, as values, in files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from limbeck import methods
from limbeck.comparison.leaderboard import safe_name
from limbeck.comparison.schema import EntryFile
from limbeck.errors import UserError
from limbeck.runs.recipes import parse_value
from limbeck.runs.settings import Recipe


@dataclass(frozen=True)
class Entry:
    """One line of the comparison: a method with its settings under a name; the baseline is one of them."""

    name: str
    method: str
    arguments: Mapping[str, object] = field(default_factory=dict)

    def plain(self) -> EntryFile:
        """The same as a file holds it."""
        return {"name": self.name, "method": self.method, "arguments": dict(self.arguments)}


def parse_entries(words: str | Sequence[str]) -> list[Entry]:
    """`kd,dkd,kd:temperature=2:alpha=0.5` -> entries; the same method may come with several settings.

    A comma or colon inside brackets or quotes belongs to the value: `fitnets:guided=["stem","layer1"]`.

    >>> [e.name for e in parse_entries("kd, kd:temperature=2")]
    ['kd', 'kd:temperature=2']
    """
    split = _apart(words, ",") if isinstance(words, str) else [str(word) for word in words]
    entries = []
    for word in filter(None, (w.strip() for w in split)):
        name, *settings = _apart(word, ":")
        pairs = [s.partition("=") for s in settings]
        if any(not equals or not key for key, equals, _ in pairs):
            raise UserError(f"method {word!r}: write NAME:SETTING=VALUE, for example kd:temperature=2")
        entries.append(Entry(word, name, {k: parse_value(v) for k, _, v in pairs}))
        methods.make(name, entries[-1].arguments)
    names = [e.name for e in entries]
    folders = [safe_name(name) for name in names]
    if not entries or len(set(folders)) < len(names):
        raise UserError(f"name at least one method, each once; got {', '.join(names) or repr(words)}")
    return entries


def _apart(words: str, mark: str) -> list[str]:
    """`words` split at every mark that is not inside quotes or brackets.

    >>> _apart("a:b=[[1,2],[3]],c", ",")
    ['a:b=[[1,2],[3]]', 'c']
    """
    pieces, depth, quote = [""], 0, ""
    for letter in words:
        if quote or letter in "\"'":
            quote = "" if letter == quote else quote or letter
        else:
            depth = max(0, depth + (letter in "[{") - (letter in "]}"))
        if letter == mark and not depth and not quote:
            pieces.append("")
        else:
            pieces[-1] += letter
    return pieces


def to_toml(recipe: Recipe, entries: Sequence[Entry], seeds: int, search: int = 0) -> str:
    """A recipe file that asks for this comparison: `limbeck compare --recipe FILE`."""
    import tomli_w

    words = [":".join([e.method, *(f"{k}={json.dumps(v)}" for k, v in e.arguments.items())]) for e in entries]
    table = {"methods": words, "seeds": seeds, **({"search": search} if search else {})}
    return tomli_w.dumps({"compare": table, **recipe.model_dump(mode="json", exclude_none=True)})
