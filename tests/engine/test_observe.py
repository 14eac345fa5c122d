"""`observe`: the traps of the design, each sprung here."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from toy import build

from limbeck.errors import UserError
from limbeck.plan.observe import observe
from limbeck.plan.roles import Adapter, Cast
from limbeck.plan.taps import Field, State, Tap, Via


class Net(nn.Module):
    def __init__(self, inplace=False):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.relu = nn.ReLU(inplace=inplace)
        self.twice = nn.Linear(4, 4)
        self.unused = nn.Linear(4, 4)
        self.pair = Pair()
        self.last = nn.Linear(4, 2)
        self.forwards = 0

    def forward(self, x):
        self.forwards += 1
        x = self.twice(self.twice(self.relu(self.first(x))))
        return self.last(self.pair(x)[1])


class Pair(nn.Module):
    def forward(self, x):
        return x + 1, x * 2


@pytest.fixture
def cast():
    torch.manual_seed(0)
    return Cast({"student": Net(), "teacher": Net()})


X = torch.arange(6.0).view(2, 3) / 6


def double(x):
    return 2 * x


def test_a_graph_only_for_who_learns_or_whose_input_needs_it(cast):
    sources = [Tap("student"), Tap("teacher")]
    scene = observe(cast, {"inputs": X}, sources, learns=("student.first",))
    assert scene(sources[0]).requires_grad and not scene(sources[1]).requires_grad
    made = X.clone().requires_grad_()
    cast.requires_grad_(False)
    scene = observe(cast, {"inputs": made}, sources)
    assert torch.autograd.grad(scene(Tap("teacher")).sum(), made)[0].abs().sum() > 0
    with torch.no_grad():
        assert not observe(cast, {"inputs": made}, sources)(sources[0]).requires_grad
    assert not observe(cast, {"inputs": X}, [Tap("student", "first")])(Tap("student", "first")).is_inference()


def test_an_in_place_relu_behind_a_tap_is_noticed_and_a_plain_one_is_not(cast):
    tap = Tap("teacher", "first")
    kept = observe(cast, {"inputs": X}, [tap])(tap)
    assert torch.equal(kept, cast["teacher"].first(X))
    cast.add("teacher", Net(inplace=True))
    with pytest.raises(UserError, match="tap teacher.first was overwritten in place"):
        observe(cast, {"inputs": X}, [tap])
    with pytest.raises(UserError, match="tap teacher.relu \\(input\\) was overwritten in place"):
        observe(cast, {"inputs": X}, [Tap("teacher", "relu", io="input")])
    observe(cast, {"inputs": X}, [Tap("teacher", "relu")])  # its output is what it is


def test_a_tap_that_never_ran(cast):
    with pytest.raises(UserError, match="tap student.unused never ran"):
        observe(cast, {"inputs": X}, [Tap("student", "unused")])


def test_a_layer_that_runs_twice_needs_a_call(cast):
    with pytest.raises(UserError, match="tap student.twice is ambiguous: the layer ran 2 times; choose one with call="):
        observe(cast, {"inputs": X}, [Tap("student", "twice")])
    first, second = (Tap("student", "twice", call=k) for k in (0, 1))
    scene = observe(cast, {"inputs": X}, [first, second])
    once = cast["student"].twice(cast["student"].relu(cast["student"].first(X)))
    assert torch.equal(scene(first), once) and torch.equal(scene(second), cast["student"].twice(once))
    with pytest.raises(UserError, match=r"student.twice \(call 2\) never ran"):
        observe(cast, {"inputs": X}, [Tap("student", "twice", call=2)])
    cut = observe(cast, {"inputs": X}, [second], shorten=True)
    assert torch.equal(cut(second), scene(second))


def test_unknown_places_offer_the_closest(cast):
    with pytest.raises(UserError, match="teacher was not observed"):
        observe(cast, {"inputs": X}, [Tap("student")])(Tap("teacher"))
    with pytest.raises(UserError, match="unknown layer of role 'student' 'frist'; did you mean 'first'"):
        observe(cast, {"inputs": X}, [Tap("student", "frist")])
    with pytest.raises(UserError, match="unknown role 'studnt'; did you mean 'student'"):
        observe(cast, {"inputs": X}, [Tap("studnt")])
    with pytest.raises(UserError, match="unknown view 'strong'"):
        observe(cast, {"inputs": X}, [Tap("student", on="strong")])
    with pytest.raises(UserError, match="unknown batch field 'lables'"):
        observe(cast, {"inputs": X}, [])(Field("lables"))
    with pytest.raises(
        UserError, match="unknown parameter or buffer of role 'student' 'last.wieght'; did you mean 'last.weight'"
    ):
        observe(cast, {"inputs": X}, [])(State("student", "last.wieght"))


def test_equal_sources_are_evaluated_once_and_a_role_runs_once_per_view(cast):
    counted = []

    def count(x):
        counted.append(1)
        return x

    sources = [
        Tap("student"),
        Tap("student"),
        Tap("student", "first"),
        Tap("student", on="weak"),
        Tap("student").via(count),
        Tap("student").via(count),
    ]
    scene = observe(cast, {"inputs": X, "weak": X}, sources)
    for source in [*sources, *sources]:
        scene(source)
    assert cast["student"].forwards == 2 and cast["teacher"].forwards == 0 and len(counted) == 1


def test_partials_that_bind_the_same_are_the_same_source():
    from functools import partial

    from limbeck.transforms import tempered

    one, two = (Tap("a").via(partial(tempered, temperature=t)) for t in (4.0, 4.0))
    assert one == two and hash(one) == hash(two) and len({one, two}) == 1
    assert one != Tap("a").via(partial(tempered, temperature=2.0)) and one != Tap("b").via(partial(tempered, temperature=4.0))
    assert Tap("a").via(partial(tempered, temperature=[1])) != one  # unhashable settings: by identity, no crash


def test_a_forward_is_cut_short_after_its_last_tap():
    net = build(width=2)
    ran = []
    net.linear.register_forward_hook(lambda *_: ran.append(1))
    tap, batch = Tap("a", "layer1"), {"inputs": torch.rand(2, 1, 8, 8)}
    whole = observe(Cast({"a": net}), batch, [tap])(tap)
    assert ran == [1]
    assert torch.equal(observe(Cast({"a": net}), batch, [tap], shorten=True)(tap), whole) and ran == [1]
    observe(Cast({"a": net}), batch, [tap, Tap("a")], shorten=True)
    assert ran == [1, 1]
    assert not any(part._forward_hooks for name, part in net.named_modules() if name != "linear")


def test_tuple_outputs_inputs_of_layers_and_detached_ones(cast):
    pair = Tap("student", "pair")
    sources = [pair[0], pair[1], Tap("student", "pair", io="input"), pair.detach(), Tap("student")]
    scene = observe(cast, {"inputs": X}, sources, learns=("student",))
    inside = scene(Tap("student", "pair", io="input"))
    assert torch.equal(scene(pair[0]), inside + 1) and torch.equal(scene(pair[1]), inside * 2)
    assert scene(pair[0]).requires_grad and not any(t.requires_grad for t in scene(pair.detach()))
    assert scene(Tap("student").via(double)).requires_grad


def test_a_string_names_a_module_of_the_cast(cast):
    scene = observe(cast, {"inputs": X}, [Tap("student", "first")])
    source = Via("teacher.twice", (Tap("student", "first"),))
    assert torch.equal(scene(source), cast["teacher"].twice(scene(Tap("student", "first"))))
    with pytest.raises(UserError, match="unknown role 'gaet'"):
        scene(Tap("student", "first").via("gaet"))


class Words(nn.Module):
    """Eats a mapping by keyword and answers as transformers do."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, ids, mask):
        return SimpleNamespace(loss=None, logits=self.linear(ids * mask))


class Both(nn.Module):
    def forward(self, a, b):
        return {"scores": a + b, "other": a}


def test_mappings_tuples_and_where_the_logits_are():
    one = torch.ones(2, 3)
    words = Cast({"a": Words()})
    mapped = {"inputs": {"ids": one, "mask": 2 * one}}
    assert torch.equal(observe(words, mapped, [Tap("a")])(Tap("a")), words["a"].linear(2 * one))
    learning = {"inputs": {"ids": one.clone().requires_grad_(), "mask": one}}
    assert observe(words.requires_grad_(False), learning, [Tap("a")])(Tap("a")).requires_grad
    pair = {"inputs": (one, one)}
    assert torch.equal(observe(Cast({"a": Both()}, {"a": Adapter(logits="scores")}), pair, [Tap("a")])(Tap("a")), 2 * one)
    first = Cast({"a": Pair()}, {"a": Adapter(logits=1)})
    assert torch.equal(observe(first, {"inputs": one}, [Tap("a")])(Tap("a")), 2 * one)
    called = Cast({"a": Pair()}, {"a": Adapter(logits=sum)})
    assert torch.equal(observe(called, {"inputs": one}, [Tap("a")])(Tap("a")), 4 * one)
    with pytest.raises(UserError, match=r"role 'a' returned a dict, which has no .*Adapter\(logits="):
        observe(Cast({"a": Both()}), pair, [Tap("a")])
    with pytest.raises(
        UserError, match=r"role 'a': no logits with Adapter\(logits='score'\) \(there is nothing at 'score' in a dict\)"
    ):
        observe(Cast({"a": Both()}, {"a": Adapter(logits="score")}), pair, [Tap("a")])
    assert torch.equal(observe(first, {"inputs": one}, [Tap("a", io="input")])(Tap("a", io="input")), one)


def test_an_adapter_prepares_and_compiled_or_wrapped_callers_are_used(cast):
    cast.adapters["student"] = Adapter(prepare=double)
    assert torch.equal(observe(cast, {"inputs": X}, [Tap("student")])(Tap("student")), cast["student"](2 * X))
    cast.callers["teacher"] = lambda x: torch.full((2, 2), 7.0)
    assert observe(cast, {"inputs": X}, [Tap("teacher")])(Tap("teacher")).eq(7).all()


@pytest.mark.parametrize("name", ["", "a.b", "keys", "type", "training", "adapters"])
def test_names_that_modules_use_themselves_are_refused(name):
    with pytest.raises(UserError, match="cannot be used"):
        Cast({name: Net()})
