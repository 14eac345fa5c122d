"""A teacher with a tokenizer of its own: it reads the same bytes in its own tokens and answers in the student's.

Where a token of the teacher ends with one of the student's, its probabilities of the next token are given to the student's token
with which each begins, as the student's tokenizer splits it (a projection of the vocabulary). A next token that reaches beyond
the teacher's has the probability of the teacher's tokens along the text, taken off the token that they begin with. Inside a token
of the teacher it is known how likely the text's own token is, given the bytes that were read; all others share the rest.
Letters: n rows, T places, V tokens of the student, W of the teacher.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor, nn

from limbeck.data import Data
from limbeck.data.language import Encoder
from limbeck.data.spelling import Place, Prefixes, Spelling, Spelt, places
from limbeck.data.tokens import TokenFacts, Tokenizer, inputs_for
from limbeck.errors import UserError
from limbeck.losses.traits import traits_of
from limbeck.models import pretrained
from limbeck.models.writing import added
from limbeck.plan import Method, Term, Update
from limbeck.plan.roles import Cast
from limbeck.plan.taps import Source, Tap, Via, detach, leaves
from limbeck.runs.casting import learners
from limbeck.tasks.next_token import FirstWords

TOLD = "told"  # the layer that gives on what the teacher says: log p, -inf where it says nothing
SAMPLED = 64  # rows that are aligned to say how the tokens fit
SPECIAL = b"\0"  # what stands for a special token in a text
CHUNK = 256  # places that are projected at once
FLOOR = 1e-4  # probability of all tokens together of which the teacher says nothing, at least


class Pair:
    """The tokenizers of student and teacher side by side.

    Args:
        student, teacher: where they lie, as `Tokenizer` takes it.

    Raises:
        UserError: their tokens cannot be told as bytes.
    """

    def __init__(self, student: str, teacher: str):
        first, second = Tokenizer(student), Tokenizer(teacher)
        self.student, self.teacher = Spelling(first), Spelling(second)
        self.facts: TokenFacts = {**second.facts, "documents": True}
        self.fingerprints = (first.facts["fingerprint"], second.facts["fingerprint"])
        self.theirs = {mine: k for k, mine in self.student.pairs(self.teacher)}
        self.before = tuple(Encoder(second, teacher).before)
        self._starting: dict[bytes, Tensor] = {}

    @cached_property
    def first(self) -> Tensor:
        """(W,) the student's token that each of the teacher's begins with; V of the student where there is none."""
        found = torch.tensor(self.student.first_of(self.teacher))
        return torch.where(found < 0, len(self.student.words), found)

    @cached_property
    def prefixes(self) -> Prefixes:
        return Prefixes(self.teacher.words)

    def starting(self, prefix: bytes) -> Tensor:
        """The teacher's tokens that begin with these bytes."""
        if prefix not in self._starting:
            self._starting[prefix] = torch.tensor(self.prefixes.starting(prefix), dtype=torch.int64)
        return self._starting[prefix]

    def aligned(self, ids: Sequence[int]) -> tuple[tuple[int, ...], list[Place | None]]:
        """A document in the student's tokens: the teacher's tokens of it, and what it can say behind each of the student's."""
        words, spaced = self.student.words, self.student.spaced
        text, piece, ends = bytearray(), bytearray(), []
        found, stops = list(self.before), [0] * len(self.before)

        def close() -> bool:
            spelt = self.teacher.spell(bytes(piece)) if piece else Spelt((), ())
            if spelt is None:
                return False
            found.extend(spelt.ids)
            stops.extend(len(text) - len(piece) + end for end in spelt.ends)
            piece.clear()
            return True

        for k, token in enumerate(ids):
            word = words[token]
            own = word[1:] if spaced and word[:1] == b" " and not text else word
            piece += own
            if word:
                text += own
            elif not close():
                return (), [None] * len(ids)
            elif k or self.theirs.get(token) not in self.before:  # else both begin with it
                text += SPECIAL
                if token in self.theirs:
                    found.append(self.theirs[token])
                    stops.append(len(text))
            ends.append(len(text))
        if not close():
            return (), [None] * len(ids)
        return tuple(found), places(Spelt(tuple(ids), tuple(ends)), Spelt(tuple(found), tuple(stops)), words, bytes(text))


class InOtherTokens(nn.Module):
    """A language model that is asked and answers in the tokens of another tokenizer: rows (n, T) of `limbeck.data.tokens` in,
    logits (n, T, V) out. The probability that it does not tell apart is spread evenly over the tokens of which it says nothing.

    Args:
        inner: a causal model of transformers. pair: the tokenizers. vocabulary: V.
    """

    def __init__(self, inner: nn.Module, pair: Pair, vocabulary: int):
        super().__init__()
        self.inner, self.told = inner, nn.Identity()
        self.vocabulary, self.fingerprints = vocabulary, pair.fingerprints
        self.prepare, self.logits = inputs_for(inner, pair.facts), FirstWords(len(pair.teacher.words))
        self._pair = pair  # of which the fingerprints say all

    def forward(self, x: Tensor) -> Tensor:
        told = self.told(self._told(x)).exp()
        unknown = told == 0
        rest = (1 - told.sum(-1, keepdim=True)).clamp_min(0)
        spread = rest / unknown.sum(-1, keepdim=True).clamp_min(1)
        return torch.where(unknown, spread, told).clamp_min(1e-12).log()

    def go_on(self, ids: Sequence[int], new: int) -> list[int]:
        """What it writes behind a prompt, greedily, up to `new` tokens of its own; prompt and answer in the student's tokens."""
        ours, theirs = self._pair.student, self._pair.teacher
        own, _ = self._pair.aligned(ids)
        given = torch.tensor([list(own)], device=next((p.device for p in self.inner.parameters()), torch.device("cpu")))
        end = theirs.outer.eos_token_id
        found = added(self.inner, given, torch.ones_like(given), new, len(theirs.words), end)[0].tolist()
        spelt = ours.spell(b"".join(theirs.words[k] for k in found))
        over = [ours.outer.eos_token_id] if end in found and ours.outer.eos_token_id is not None else []
        return [*(spelt.ids if spelt is not None else ()), *over]

    def _told(self, x: Tensor) -> Tensor:
        """(n, T, V) log-probabilities of the tokens of which it says something, -inf of the others."""
        ids, asked = self._rows(x)
        z = self.logits(self.inner(**given) if isinstance(given := self.prepare(ids), dict) else self.inner(given)).float()
        z = z.flatten(0, 1)
        total = torch.cat([some.logsumexp(-1) for some in z.split(CHUNK)])
        first = self._pair.first.clamp_max(self.vocabulary).to(z.device)
        out = z.new_zeros(x.numel(), self.vocabulary + 1)
        plain = [(at, place.row) for at, place in asked if not place.inside]
        for start in range(0, len(plain), CHUNK):
            some = torch.tensor(plain[start : start + CHUNK], device=z.device)
            p = (z[some[:, 1]] - total[some[:, 1], None]).exp()
            out[some[:, 0]] = out.new_zeros(len(some), self.vocabulary + 1).index_add_(1, first, p)
        for at, place in asked:
            if place.rest:
                self._along(out[at], place, z, total)
        return out[:, : self.vocabulary].clamp_max(1.0).log().view(*x.shape, self.vocabulary)

    def _along(self, out: Tensor, place: Place, z: Tensor, total: Tensor) -> None:
        """The text's own token, which ends elsewhere than the teacher's: what the teacher gives to its bytes."""

        def share(row: int, prefix: bytes) -> Tensor:
            return (z[row, self._pair.starting(prefix).to(z.device)] - total[row]).exp().sum()

        inside = share(place.row, place.inside) if place.inside else z.new_ones(())
        mass, last = z.new_ones(()), place.row
        for row, token in place.path:
            mass, last = mass * (z[row, token] - total[row]).exp(), row + 1
        mass = mass * share(last, place.rest) / inside.clamp_min(1e-12)
        if not place.inside:
            taken = int(self._pair.first[place.path[0][1]])
            if taken < self.vocabulary:
                out[taken] = (out[taken] - mass).clamp_min(0)
        out[place.label] += mass

    def _rows(self, x: Tensor) -> tuple[Tensor, list[tuple[int, Place]]]:
        """The rows as the teacher reads them, and for each place of `x`, flat, what it can say there, by its own flat places."""
        rows, asked = [], []
        for k, documents in enumerate(documents_of(x, self.vocabulary)):
            numbers: list[int] = []
            for side, (start, ids) in enumerate(documents):
                own, found = self._pair.aligned(ids)
                asked += [(k, start + j, len(numbers), place) for j, place in enumerate(found) if place is not None]
                numbers += [1 + token + self.prepare.vocabulary * (side % 2) for token in own]
            rows.append(numbers)
        width = max(1, max(map(len, rows)))
        made = torch.zeros(len(rows), width, dtype=torch.int64)
        for k, numbers in enumerate(rows):
            made[k, : len(numbers)] = torch.tensor(numbers, dtype=torch.int64)
        flat = []
        for k, at, base, place in asked:
            first = k * width + base
            moved = replace(place, row=first + place.row, path=tuple((first + row, token) for row, token in place.path))
            flat.append((k * x.shape[1] + at, moved))
        return made.to(x.device), flat


def documents_of(x: Tensor, vocabulary: int) -> list[list[tuple[int, list[int]]]]:
    """Of each row its documents: where each begins, and its tokens.

    >>> documents_of(torch.tensor([[1, 2, 6, 0]]), 4)
    [[(0, [0, 1]), (2, [1])]]
    """
    found = []
    for row in x.long().tolist():
        own: list[tuple[int, list[int]]] = []
        before = -1
        for k, number in enumerate(row):
            if number == 0:
                before = -1
                continue
            side, token = divmod(number - 1, vocabulary)
            if side != before:
                own.append((k, []))
            own[-1][1].append(token)
            before = side
        found.append(own)
    return found


def wrapped(role: str, module: nn.Module, own: str, data: Data) -> tuple[InOtherTokens, list[str]]:
    """A role whose tokenizer, at `own`, is another than the data's, and what a reader needs to know of it.

    Raises:
        UserError: the tokenizers cannot be aligned on the data's texts, or the teacher reads fewer tokens than they take.
    """
    assert data.tokens is not None
    pair = Pair(data.tokens.source, own)
    made = InOtherTokens(module, pair, data.outputs)
    x = data["train"].inputs
    assert isinstance(x, Tensor)
    rows = [[pair.aligned(ids) for _, ids in row] for row in documents_of(x[:SAMPLED], data.outputs)]
    if any(len(found) and not ids for row in rows for ids, found in row):
        raise UserError(
            f"role {role!r}: its tokenizer at {own[-60:]} changes the texts (it lowers case or the like), so its tokens cannot "
            "be aligned with those of the data; take a teacher whose tokenizer keeps every byte"
        )
    longest, most = max(sum(len(ids) for ids, _ in row) for row in rows), pretrained.places(module)
    if most is not None and longest > most:
        raise UserError(
            f"role {role!r} reads at most {most} tokens, and a row of {x.shape[1]} takes {longest} of its own; lower data.longest"
        )
    found = [place for row in rows for _, each in row for place in each]
    kinds = Counter("silent" if p is None or (p.inside and not p.rest) else _kind(p) for p in found)
    shares = {kind: 100 * count / len(found) for kind, count in kinds.items()}
    return made, [
        f"it has its own tokenizer ({pair.facts['tokenizer']}, {pair.facts['vocabulary']:,} tokens) and reads the same "
        f"bytes; of the places, {shares.get('plain', 0):.0f} % end where one of its tokens ends, {shares.get('inside', 0):.0f} % "
        f"inside one, {shares.get('beyond', 0):.0f} % are followed by a token that reaches beyond its own, and at "
        f"{shares.get('silent', 0):.1f} % it says nothing"
    ]


def _kind(place: Place) -> str:
    return "inside" if place.inside else "beyond" if place.path else "plain"


# ---------------------------------------------------------------- terms


def others(cast: Cast) -> list[str]:
    """The roles that answer in tokens that are not their own."""
    return [role for role in cast if isinstance(cast[role], InOtherTokens)]


def told_in_part(method: Method, cast: Cast) -> Method:
    """The method with its comparisons to such roles on what these say: their probabilities, and that of all the rest together.

    Raises:
        UserError: it trains such a role, or reads of it what is no answer.
    """
    for role in others(cast):
        if role in learners(method):
            raise UserError(
                f"role {role!r} has a tokenizer of its own, so it cannot be trained on these tokens; give it as a teacher"
            )
        stages = (replace(s, updates=tuple(_update_in_part(u, role, method.name) for u in s.updates)) for s in method.stages)
        method = method.but(stages=tuple(stages))
    return method


def _update_in_part(update: Update, role: str, name: str) -> Update:
    return replace(update, terms=tuple(_in_part(term, role, name) for term in update.terms))


def _in_part(term: Term, role: str, name: str) -> Term:
    reads = [key for key, s in term.inputs.items() if any(isinstance(x, Tap) and x.role == role for x in leaves(s))]
    if not reads:
        return term
    traits = traits_of(term.by)
    plain = traits is not None and traits.over == "classes" and not traits.summed and not term.batchwise
    if not plain or len(reads) > 1 or len(term.inputs) != 2 or not _answer(term.inputs[reads[0]], role):
        raise UserError(
            f"method {name!r} reads more of the {role} than its answers ({term.name}), but the {role} has a tokenizer of its "
            "own; use lm_kd, kd, skewed, adaptive, between, taid, on_policy or contrastive_pairs"
        )
    told: Source = Tap(role, TOLD).detach()
    (other,) = set(term.inputs) - set(reads)
    return term.but(inputs={other: term.inputs[other].via(beside, told), reads[0]: told.via(with_rest)})


def _answer(source: Source, role: str) -> bool:
    while isinstance(source, Via) and source.fn is detach:
        source = source.sources[0]
    return isinstance(source, Tap) and source.role == role and not source.path


def with_rest(told: Tensor) -> Tensor:
    """(..., V + 1) log-probabilities: those that are told, and of all the others together.

    >>> with_rest(torch.tensor([[0.5, 0.0]]).log()).exp()
    tensor([[0.5000, 0.0000, 0.5000]])
    """
    p = told.exp()
    sum_ = p.sum(-1, keepdim=True)
    rest = (1 - sum_).clamp_min(FLOOR)
    return torch.cat([told, rest.log()], -1) - (sum_ + rest).log()


def beside(logits: Tensor, told: Tensor) -> Tensor:
    """(..., V + 1) log-probabilities of logits (..., V), of the same tokens and of all the others together.

    >>> beside(torch.zeros(1, 4), torch.tensor([[0.5, 0.0, 0.0, 0.5]]).log()).exp()
    tensor([[0.2500, 0.0000, 0.0000, 0.2500, 0.5000]])
    """
    log_q, known = logits.log_softmax(-1), told > -torch.inf
    rest = log_q.masked_fill(known, -1e4).logsumexp(-1, keepdim=True)
    return torch.cat([log_q.masked_fill(~known, -torch.inf), rest], -1)
