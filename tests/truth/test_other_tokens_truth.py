"""What a teacher says in the tokens of another tokenizer, by loops over its whole vocabulary."""

import pytest
import torch

from limbeck.data.tokens import TokenInputs
from limbeck.losses import kl
from limbeck.plan.roles import Cast
from limbeck.runs.other_tokens import FLOOR, InOtherTokens, Pair, beside, with_rest
from limbeck.store.identity import identity
from tests.folder_of_lm import config, sentences, tokenizer, transformers

TEXTS = sentences(200)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("tokens")
    for name, words, start in (("coarse", 160, False), ("fine", 30, False), ("begins", 90, True)):
        made = tokenizer(TEXTS, words=words, start=start)
        made.save_pretrained(root / name)
    return root


def model(root, name, padded=0):
    tokens = transformers.AutoTokenizer.from_pretrained(root / name)
    torch.manual_seed(3)
    found = transformers.LlamaForCausalLM(config(tokens, padded=padded)).eval()
    for p in found.parameters():
        p.data.mul_(6)  # probabilities that differ
    return found


def rows(root, name, count=4, width=24):
    """Rows of two documents each, cut where a row is full, and a last one with nothing at its end."""
    tokens = transformers.AutoTokenizer.from_pretrained(root / name)
    many, made = len(tokens), torch.zeros(count, width, dtype=torch.int64)
    for k in range(count):
        numbers = [
            1 + i + many * side for side, text in enumerate(TEXTS[2 * k : 2 * k + 2]) for i in [*tokens(text)["input_ids"], 0]
        ]
        size = min(width, len(numbers)) if k + 1 < count else 9
        made[k, :size] = torch.tensor(numbers[:size])
    return made, many


def test_with_the_same_tokenizer_it_is_the_model_itself(root):
    inner = model(root, "coarse", padded=5)
    x, many = rows(root, "coarse")
    wrapped = InOtherTokens(inner, Pair(str(root / "coarse"), str(root / "coarse")), many)
    with torch.no_grad():
        found = wrapped(x).softmax(-1)
        plain = inner(**TokenInputs(many, 0, ("input_ids", "position_ids", "use_cache"))(x)).logits[..., :many].softmax(-1)
    there = x != 0
    assert (found - plain)[there].abs().max() < 1e-5


@pytest.mark.parametrize("student, teacher", [("fine", "coarse"), ("coarse", "fine"), ("fine", "begins"), ("begins", "fine")])
def test_every_answer_by_a_loop_over_the_teachers_tokens(root, student, teacher):
    inner, pair = model(root, teacher), Pair(str(root / student), str(root / teacher))
    x, many = rows(root, student, count=2)
    wrapped = InOtherTokens(inner, pair, many)
    with torch.no_grad():
        told = wrapped._told(x).exp()
    checked = {"plain": 0, "inside": 0, "beyond": 0}
    for k in range(2):
        for start, ids in _documents(x[k], many):
            own, found = pair.aligned(ids)
            with torch.no_grad():
                p = inner(input_ids=torch.tensor([own])).logits[0].softmax(-1)  # a document alone: others are not seen
            for j, place in enumerate(found):
                answer = told[k, start + j]
                if place is None or (place.inside and place.label < 0):
                    assert not answer.any()
                    continue
                wanted = _by_loop(place, p, pair)
                torch.testing.assert_close(answer, wanted, atol=1e-5, rtol=1e-3)
                assert answer.sum() <= 1 + 1e-4
                checked["inside" if place.inside else "beyond" if place.path else "plain"] += 1
    assert checked["plain"] > 5 and checked["inside"] + checked["beyond"] > 3


def _documents(row, many):
    side, found = None, []
    for k, number in enumerate(row.tolist()):
        if number:
            if (number - 1) // many != side:
                side = (number - 1) // many
                found.append((k, []))
            found[-1][1].append((number - 1) % many)
    return found


def _by_loop(place, p, pair):
    words, first = pair.teacher.words, pair.first.tolist()
    out = torch.zeros(len(pair.student.words))
    if not place.inside:
        for t, word in enumerate(words):
            if first[t] < len(out) and (word or t in pair.theirs.values()):
                out[first[t]] += p[place.row, t]
    if not place.inside and not place.path:
        return out
    inside = sum(p[place.row, t] for t, word in enumerate(words) if word and word.startswith(place.inside))
    mass = torch.ones(())
    last = place.row
    for row, token in place.path:
        mass, last = mass * p[row, token], row + 1
    mass = mass * sum(p[last, t] for t, word in enumerate(words) if word and word.startswith(place.rest))
    if place.inside:
        mass = mass / inside
    elif first[place.path[0][1]] < len(out):
        out[first[place.path[0][1]]] -= mass
    out = out.clamp_min(0)
    out[place.label] += mass
    return out


def test_what_it_has_answered_does_not_change_under_which_key_it_is_stored(root):
    pair = Pair(str(root / "fine"), str(root / "coarse"))
    x, many = rows(root, "fine", count=2)
    cast = Cast({"teacher": InOtherTokens(model(root, "coarse"), pair, many)})
    before = identity(cast, "teacher")
    with torch.no_grad():
        cast["teacher"](x)
    assert identity(cast, "teacher") == before
    other = Pair(str(root / "fine"), str(root / "begins"))
    assert identity(Cast({"teacher": InOtherTokens(model(root, "coarse"), other, many)}), "teacher") != before


def test_losses_are_those_of_what_is_told_and_one_rest():
    p = torch.tensor([[0.5, 0.0, 0.2, 0.0]])
    q = torch.tensor([[0.1, 0.3, 0.2, 0.4]])
    found = kl(beside(q.log(), p.log()), with_rest(p.log()))
    wanted = 0.5 * torch.tensor(5.0).log() + 0.2 * torch.tensor(1.0).log() + 0.3 * torch.tensor(0.3 / 0.7).log()
    torch.testing.assert_close(found[0], wanted)
    silent = kl(beside(q.log(), torch.full((1, 4), -torch.inf)), with_rest(torch.full((1, 4), -torch.inf)))
    assert float(silent) == pytest.approx(0.0, abs=1e-6)
    whole = with_rest(torch.tensor([[0.25, 0.75]]).log())
    assert float(whole.exp()[0, -1]) == pytest.approx(FLOOR / (1 + FLOOR))


def test_gradients_are_finite_also_where_all_or_nothing_is_told():
    z = torch.randn(3, 4, requires_grad=True)
    told = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]).log()
    kl(beside(z, told), with_rest(told)).sum().backward()
    assert z.grad.isfinite().all() and not z.grad[1].abs().max() > 1e-6
