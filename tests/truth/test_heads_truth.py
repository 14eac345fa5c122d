"""Losses on heads against the same losses on all logits: values, gradients, pieces of a batch, padded vocabularies, caps."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from limbeck import losses
from limbeck.engine.step import evaluate_term
from limbeck.losses import heads as heads_module
from limbeck.losses.heads import Head, OnHeads, Part
from limbeck.methods import make
from limbeck.plan.observe import observe
from limbeck.plan.roles import Adapter, Cast
from limbeck.plan.schedules import Progress
from limbeck.runs.heads import find_heads
from limbeck.tasks.bind import bind
from limbeck.tasks.next_token import FirstWords, NextToken

N, T, V = 3, 70, 23


class Tiny(nn.Module):
    """A language model: embedding, a step that mixes places, a head with what models have behind it."""

    def __init__(self, width: int, words: int = V, bias: bool = False, scale: float = 1.0, cap: float | None = None):
        super().__init__()
        self.embed, self.mix = nn.Embedding(words, width), nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, words, bias=bias)
        self.scale, self.config = scale, type("Config", (), {"final_logit_softcapping": cap})()

    def forward(self, ids):
        z = self.scale * self.head(self.mix(self.embed(ids))[0])
        cap = self.config.final_logit_softcapping
        return cap * torch.tanh(z / cap) if cap else z


def made(seed=0, **student):
    torch.manual_seed(seed)
    cast = Cast({"student": Tiny(8, **student).double(), "teacher": Tiny(12, words=V + 5).double()})
    for role in cast:
        cast.adapters[role] = Adapter(logits=FirstWords(V))
    labels = torch.randint(0, V, (N, T))
    labels[0, :11] = labels[1, 30:] = -100  # a prompt, and what stands behind an end
    batch = {"inputs": torch.randint(0, V, (N, T)), "labels": labels, "index": torch.arange(N)}
    return cast, batch, find_heads(cast, batch, V)


def gradients(cast, batch, terms, weight=1.0, whole=None):
    cast.requires_grad_(True)
    cast["teacher"].requires_grad_(False)
    cast.zero_grad()
    now = Progress("train", 1, 4)
    scene = observe(cast, batch, [s for t in terms for s in t.sources], learns=("student",), now=now)
    count = float((batch if whole is None else whole)["labels"].ne(-100).sum())
    value = sum(t.weight_at(now) * evaluate_term(t, scene)[0] for t in terms) / count
    value.backward()
    return value.detach(), {name: p.grad.clone() for name, p in cast["student"].named_parameters() if p.grad is not None}


def same(first, second, room=1e-9):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.allclose(first[name], second[name], rtol=room, atol=room), name


METHODS = {
    "alone": {},
    "kd": {"temperature": 2.0},
    "skewed": {"forward": 0.5, "labels": 0.3},
    "adaptive": {"labels": 0.5},
    "between": {"beta": 0.3, "labels": 1.0},
    "between 0": {"beta": 0.0},
    "between 1": {"beta": 1.0},
    "taid": {"labels": 0.2},
    "kd_standardised": {},
    "dkd": {},
}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_the_value_and_the_gradient_of_all_logits(name):
    cast, batch, heads = made()
    assert set(heads.found) == {"student", "teacher"} and not heads.notes
    method = bind(make(name.split()[0], METHODS[name]), NextToken(vocabulary=V))
    (update,), (lean,) = method.stages[0].updates, heads.lean(method).stages[0].updates
    assert len(lean.terms) == 1 + (name == "dkd") and all(isinstance(term.by, OnHeads) for term in lean.terms)
    plain, joined = gradients(cast, batch, update.terms), gradients(cast, batch, lean.terms)
    assert float(joined[0]) == pytest.approx(float(plain[0]), rel=1e-10)
    same(plain[1], joined[1])
    apart = heads.lean(method, join=False).stages[0].updates[0].terms
    assert len(apart) == len(update.terms)
    same(plain[1], gradients(cast, batch, apart)[1])


@pytest.mark.parametrize(
    "student", [{"bias": True}, {"scale": 0.25}, {"cap": 3.0}, {"bias": True, "scale": 4.0, "cap": 5.0}, {"words": V + 2}]
)
def test_a_bias_a_factor_a_cap_and_words_that_fill_up_are_found_and_obeyed(student):
    cast, batch, heads = made(**student)
    head = heads.found["student"]
    assert head.scale == pytest.approx(student.get("scale", 1.0)) and head.cap == student.get("cap")
    assert bool(head.bias) == bool(student.get("bias")) and head.words == V
    method = bind(make("between", {"beta": 0.0, "labels": 0.5}), NextToken(vocabulary=V))
    plain = gradients(cast, batch, method.stages[0].updates[0].terms)
    same(plain[1], gradients(cast, batch, heads.lean(method).stages[0].updates[0].terms)[1])


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_pieces_of_a_ragged_batch_add_up_to_the_whole(parts):
    cast, batch, heads = made()
    method = heads.lean(bind(make("kd", {}), NextToken(vocabulary=V)))
    terms = method.stages[0].updates[0].terms
    whole = gradients(cast, batch, terms)
    total = {}
    for rows in torch.arange(N).chunk(parts):
        _, own = gradients(cast, {k: v[rows] for k, v in batch.items()}, terms, whole=batch)
        total = {name: total.get(name, 0) + grad for name, grad in own.items()}
    same(whole[1], total)


def test_a_teacher_that_is_padded_by_64_words_gives_the_same_loss():
    cast, batch, heads = made()
    method = bind(make("between", {"beta": 0.0}), NextToken(vocabulary=V))
    first = gradients(cast, batch, heads.lean(method).stages[0].updates[0].terms)
    wider = nn.Linear(12, V + 64, bias=False).double()
    wider.weight.data[: V + 5] = cast["teacher"].head.weight.data
    cast["teacher"].head = wider
    second = gradients(cast, batch, find_heads(cast, batch, V).lean(method).stages[0].updates[0].terms)
    assert torch.equal(first[0], second[0])


def test_a_network_whose_logits_are_no_linear_layer_keeps_them_and_says_so():
    cast, batch, _ = made()
    cast["student"].head = nn.Sequential(nn.Linear(8, V), nn.ReLU()).double()
    heads = find_heads(cast, batch, V)
    assert "student" not in heads.found and "student: its logits are not those of one linear layer" in heads.notes[0]
    method = bind(make("kd", {}), NextToken(vocabulary=V))
    assert heads.lean(method).stages[0].updates[0].terms == method.stages[0].updates[0].terms


def test_no_tensor_of_all_logits_is_made_where_a_chunk_will_do(monkeypatch):
    monkeypatch.setattr(heads_module, "CHUNK", {"cpu": 4})
    cast, batch, heads = made()
    lean = heads.lean(bind(make("kd", {}), NextToken(vocabulary=V))).stages[0].updates[0].terms
    seen = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            for one in out if isinstance(out, tuple | list) else [out]:
                if isinstance(one, torch.Tensor) and one.shape[-1:] in ((V,), (V + 5,)):
                    seen.append(one.numel())
            return out

    with Watch():
        gradients(cast, batch, lean)
    assert seen and max(seen) <= 12 * (V + 5) < N * T * V


def test_gradients_of_a_sum_are_those_of_differences():
    cast, batch, heads = made()
    terms = heads.lean(bind(make("skewed", {"labels": 0.5}), NextToken(vocabulary=V))).stages[0].updates[0].terms
    _, grads = gradients(cast, batch, terms)
    weight, step = cast["student"].head.weight, 1e-6
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[3, 2] += sign * step
        values.append(float(gradients(cast, batch, terms)[0]))
        with torch.no_grad():
            weight[3, 2] -= sign * step
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(float(grads["head.weight"][3, 2]), rel=1e-5)


def test_sums_of_parts_are_told_apart():
    cast, batch, heads = made()
    method = bind(make("kd", {"temperature": 2.0}), NextToken(vocabulary=V))
    (lean,) = heads.lean(method).stages[0].updates[0].terms
    scene = observe(cast, batch, lean.sources, learns=("student",))
    evaluate_term(lean, scene)
    with torch.no_grad():
        z = {role: cast[role](batch["inputs"])[..., :V] for role in cast}
    there = batch["labels"] != -100
    wanted = losses.soft_target(z["student"], z["teacher"], temperature=2.0)[there].sum()
    assert float(lean.by.sums["soft"]) == pytest.approx(float(wanted), rel=1e-9)
    assert float(lean.by.sums["task"]) == pytest.approx(
        float(losses.cross_entropy(z["student"], batch["labels"])[there].sum()), rel=1e-9
    )


def test_half_precision_sums_are_in_float32():
    head = Head("head", "head.weight", "", V)
    readers = {"student": lambda value: value("a"), "teacher": lambda value: value("b")}
    part = Part("kl", 1.0, losses.kl, readers, {"student": ("a", True), "teacher": ("b", False)}, {})
    torch.manual_seed(0)
    h, g = torch.randn(2, 5, 8).bfloat16().requires_grad_(), torch.randn(2, 5, 8).bfloat16()
    w, u = torch.randn(V, 8).bfloat16(), torch.randn(V, 8).bfloat16()
    given = {"a hidden": h, "a weight": w, "b hidden": g, "b weight": u}
    value = OnHeads([part], {"a": head, "b": head})(mask=torch.ones(2, 5), **given)
    wanted = losses.kl(h.detach().float() @ w.float().T, g.float() @ u.float().T).sum()
    assert value.dtype == torch.float32 and float(value.detach()) == pytest.approx(float(wanted), rel=1e-5)
    value.backward()
    assert h.grad.dtype == torch.bfloat16
