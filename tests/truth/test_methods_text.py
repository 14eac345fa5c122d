"""DistilBERT and TinyBERT: layers that start alike, attention as transformers computes it, and losses in plain loops."""

import math

import pytest
import torch

pytest.importorskip("transformers", reason="the text models are those of transformers")

from limbeck import methods, models
from limbeck.data.text import Words
from limbeck.engine.check import build_parts
from limbeck.engine.step import evaluate_term
from limbeck.errors import UserError
from limbeck.models.inherit import Inherit
from limbeck.plan.observe import observe
from limbeck.plan.roles import Adapter, Cast
from limbeck.plan.schedules import Progress
from limbeck.transforms.combine import attention_scores

INPUTS = torch.tensor([[2.0, 5.0, 3.0, 0.0], [2.0, 4.0, 6.0, 3.0]])
BATCH = {"inputs": INPUTS, "labels": torch.tensor([0, 1])}


def bert(seed, hidden=8, layers=2, **more):
    torch.manual_seed(seed)
    sizes = {"vocab_size": 7, "num_attention_heads": 2, "intermediate_size": 8, "max_position_embeddings": 4}
    sizes |= {"hidden_size": hidden, "num_hidden_layers": layers, **more}
    return models.build("transformers:bert", classes=2, shape=(4,), arguments=sizes).eval()


def cast_of(student):
    return Cast(
        {"teacher": bert(0, layers=4), "student": student}, dict.fromkeys(("teacher", "student"), Adapter(prepare=Words()))
    )


def test_the_student_starts_as_every_second_layer_of_its_teacher():
    cast = cast_of(bert(1))
    (action,) = methods.distilbert().stages[0].before
    action(cast, Progress("any", 0, 1, seed=0))
    mine, theirs = cast["student"].state_dict(), cast["teacher"].state_dict()
    for name, value in mine.items():
        source = name.replace("layer.1.", "layer.2.")
        assert torch.equal(value, theirs[source]), name
    assert methods.distilbert(start=False).stages[0].before == ()
    with pytest.raises(UserError, match="layers of equal shape"):
        Inherit("student", "teacher", (("bert.embeddings", "classifier"),))(cast, Progress("any", 0, 1, seed=0))


def test_attention_scores_are_those_that_transformers_puts_through_its_softmax():
    net, seen = bert(0, attn_implementation="eager"), {}
    at = net.bert.encoder.layer[1].attention.self
    for name in ("query", "key"):
        getattr(at, name).register_forward_hook(lambda m, i, o, n=name: seen.update({n: o}))
    with torch.no_grad():
        given = net(**Words()(INPUTS), output_attentions=True).attentions[1]
        scores = attention_scores(seen["query"], seen["key"], INPUTS, heads=2)
    there = INPUTS != 0
    found = scores.masked_fill(~there[:, None, None], -torch.inf).softmax(-1)
    torch.testing.assert_close(found[1], given[1])
    torch.testing.assert_close(found[0, :, :3], given[0, :, :3])
    assert not scores[0, :, :, 3].any() and scores[0, :, 3, :3].all()  # the authors set what is masked, the keys, to 0


def values(method, cast, stage):
    (update,) = method.stages[stage].updates
    scene = observe(cast, BATCH, [s for term in update.terms for s in term.sources], learns=update.trains)
    return {t.name: (total / count).item() for t in update.terms for total, count in [evaluate_term(t, scene)]}


def hidden(net):
    with torch.no_grad():
        return net(**Words()(INPUTS), output_hidden_states=True).hidden_states


def test_tinyberts_terms_are_means_of_squares():
    method = methods.tinybert(heads=2)
    cast = cast_of(bert(1, hidden=6))
    build_parts(method, cast, BATCH)
    found = values(method, cast, 0)
    mine, theirs = hidden(cast["student"]), hidden(cast["teacher"])
    with torch.no_grad():
        fitted = [cast["fit_embeddings"](mine[0]), cast["fit_hidden"](mine[1]), cast["fit_hidden"](mine[2])]
    for name, a, b in zip(("embeddings", "hidden 0", "hidden 1"), fitted, (theirs[0], theirs[2], theirs[4]), strict=True):
        expected = sum((x - y) ** 2 for x, y in zip(a.flatten().tolist(), b.flatten().tolist(), strict=True)) / a.numel()
        assert found[name] == pytest.approx(expected, rel=1e-4)
    assert len(found) == 5 and found["attention 0"] > 0


def test_distilberts_hidden_states_count_word_by_word():
    cast = cast_of(bert(1))
    found = values(methods.distilbert(), cast, 0)
    mine, theirs = hidden(cast["student"])[2], hidden(cast["teacher"])[4]
    distances = []
    for row, place in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (1, 3)):  # not what stands behind the end
        a, b = mine[row, place].tolist(), theirs[row, place].tolist()
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        distances.append(1 - dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b)))
    assert found["hidden"] == pytest.approx(sum(distances) / 7, rel=1e-4)
