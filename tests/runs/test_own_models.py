"""Networks of the user's: what is frozen in them stays so, what they cannot bear is done without or refused before training."""

import copy
import threading
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from torch import nn
from torch.nn.utils import parametrizations, prune

import limbeck
from limbeck import losses, methods
from limbeck.deploy.onnx_file import compare_onnx, export_onnx
from limbeck.engine.step import pieces
from limbeck.errors import UserError
from limbeck.models import load_weights
from limbeck.plan import Adapter, Tap, Term, single_stage
from limbeck.plan.observe import observe
from limbeck.plan.roles import Cast
from limbeck.tasks.keeping import read_predictions

SIDE = 8


def pictures(count=48, side=SIDE):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 2
    inputs = torch.rand(count, 1, side, side, generator=generator) * 0.5
    inputs[labels == 1, :, : side // 2] += 0.5
    return inputs, labels


class Net(nn.Module):
    """Convolution, batch-norm, dropout, linear; `how` flattens."""

    def __init__(self, width=4, side=SIDE, flat=lambda x: x.flatten(1)):
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.drop = nn.Dropout(0.1)
        self.linear = nn.Linear(width * side * side, 2)
        self.flat = flat

    def features(self, x):
        return self.drop(torch.relu(self.norm(self.conv(x))))

    def forward(self, x):
        return self.linear(self.flat(self.features(x)))


def net(seed=0, kind=Net, **how):
    torch.manual_seed(seed)
    return kind(**how)


@pytest.fixture
def distill(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))

    def run(teacher, student, data=None, **how):
        how = {"epochs": 1, "batch": 16, "onnx": False, "baseline": False, "out": tmp_path / "run", **how}
        return limbeck.distill(teacher, student, data or pictures(), **how)

    yield run


@pytest.fixture
def refused(distill, tmp_path):
    """The sentence of a run that is refused before anything is trained."""

    def sentence(*given, **how):
        heard = []
        with pytest.raises(UserError) as caught:
            distill(*given, listen=heard.append, **how)
        assert not any(type(event).__name__ == "Step" for event in heard)
        assert not (tmp_path / "run" / "recipe.toml").exists()
        text = str(caught.value)
        assert len(text) <= 300 and "\n" not in text
        return text

    return sentence


def flags(*modules):
    return [[p.requires_grad for p in m.parameters()] + [part.training for part in m.modules()] for m in modules]


def state(module):
    return {key: value.clone() for key, value in module.state_dict().items()}


def moved(before, module):
    return {key for key, value in module.state_dict().items() if not torch.equal(before[key], value)}


# ---------------------------------------------------------------- 1 frozen layers


def half_frozen(seed=0):
    student = net(seed)
    student.conv.requires_grad_(False)
    student.norm.eval()
    return student


@pytest.mark.parametrize(
    "how", [{}, {"method": methods.find("fitnets")(hint="conv", guided="conv")}, {"method": methods.find("mutual")()}]
)
def test_what_is_frozen_stays_so_and_flags_come_back(distill, how):
    teacher, student = net(1).eval(), half_frozen()
    given, before = flags(teacher, student), state(student)
    roles = {"roles": {"peer": net(3)}} if how and how["method"].name == "mutual" else {}
    result = distill(None if roles else teacher, student, baseline=True, **how, **roles)
    assert flags(teacher, student) == given
    assert moved(before, student) == {"norm.weight", "norm.bias", "linear.weight", "linear.bias"}
    assert any("student: 2 of 6 parameter tensors came frozen" in note for note in result.card["notes"])


def test_the_baseline_is_frozen_where_the_student_is(distill, tmp_path):
    student = half_frozen()
    before = state(student)
    distill(net(1), student, baseline=True)
    baseline = net(5)
    load_weights(baseline, tmp_path / "run" / "weights" / "baseline.safetensors", who="student")
    assert "conv.weight" not in moved(before, baseline) and "norm.running_mean" not in moved(before, baseline)
    assert "linear.weight" in moved(before, baseline)


def test_a_network_given_in_evaluation_is_trained_as_a_whole_but_for_frozen_blocks(distill, tmp_path):
    student = net().eval()
    before = state(student)
    distill(net(1), student)
    assert {"conv.weight", "norm.running_mean", "linear.weight"} <= moved(before, student)
    student = net().eval()
    student.norm.requires_grad_(False)
    before = state(student)
    distill(net(1), student, out=tmp_path / "second")
    assert not {"norm.weight", "norm.running_mean"} & moved(before, student) and "conv.weight" in moved(before, student)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_flags_come_back_after_an_interruption(distill, stop):
    teacher, student = net(1).eval(), half_frozen()
    given = flags(teacher, student)

    def listen(event):
        if type(event).__name__ == "Step":
            raise stop

    with pytest.raises(stop):
        distill(teacher, student, listen=listen)
    assert flags(teacher, student) == given


def test_a_student_of_which_everything_is_frozen_is_refused(refused):
    assert "every parameter of it is frozen" in refused(net(1), net().requires_grad_(False))


def test_restarts_leave_what_is_frozen(distill):
    student = half_frozen()
    student.conv.weight.data.fill_(0.25)
    distill(None, student, method=methods.find("born_again")(generations=2))
    assert (student.conv.weight == 0.25).all()


def test_an_integer_parameter_is_left_alone(distill):
    class Coded(Net):
        def __init__(self):
            super().__init__()
            self.code = nn.Parameter(torch.arange(2), requires_grad=False)

        def forward(self, x):
            return super().forward(x)[:, self.code]

    student = net(kind=Coded)
    assert distill(net(1), student).card["models"]["student"]["parameters"] > 0
    assert student.code.tolist() == [0, 1]


class Counting(Net):
    """Counts its forwards in training in an attribute, and replaces a buffer."""

    def __init__(self):
        super().__init__()
        self.count = 0
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.count += self.training
        self.seen = self.seen + self.training
        return super().forward(x)


def test_what_is_tried_before_training_leaves_no_trace(distill):
    student = net(kind=Counting)
    steps = distill(net(1), student).card["models"]["student"]["steps"]
    assert student.count == student.seen.item() == steps


def test_teacher_samples_count_what_a_killed_run_had_asked(distill):
    def stop(event):
        if type(event).__name__ == "Step" and event.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(net(1), net(2), epochs=4, listen=stop)
    card = distill(net(1), net(2), epochs=4, resume=True).card
    assert card["models"]["student"]["teacher_samples"] == 43  # every training sample once, before the stop


# ---------------------------------------------------------------- 2 parametrised, pruned, tied, lazy, shared


def normed(module):
    for layer in (module.conv, module.linear):
        parametrizations.weight_norm(layer)
    return module


def normed_of_old(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nn.utils.weight_norm(module.conv)
        nn.utils.weight_norm(module.linear)
    return module


def spectral(module):
    parametrizations.spectral_norm(module.conv)
    return module


def spectral_of_old(module):
    nn.utils.spectral_norm(module.conv)
    return module


def pruned(module):
    prune.l1_unstructured(module.conv, "weight", 0.5)
    prune.l1_unstructured(module.linear, "weight", 0.5)
    return module


class Tied(Net):
    def __init__(self):
        super().__init__()
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.third = nn.Conv2d(4, 4, 3, padding=1)
        self.third.weight = self.second.weight
        self.after = nn.BatchNorm2d(4)

    def features(self, x):
        return self.after(self.third(self.second(super().features(x))))


def tied(_):
    return net(kind=Tied)


def lazily(_):
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))


MADE = [normed, normed_of_old, spectral, spectral_of_old, pruned, tied, lazily]


@pytest.mark.parametrize("make", MADE)
def test_reparametrised_networks_teach_live_and_learn(distill, make):
    teacher, student = make(net(1)), make(net(2))
    student(torch.rand(2, 1, SIDE, SIDE))  # old reparametrisations keep what they computed
    result = distill(teacher, student, baseline=True, augment="crop:1")  # live views: the teacher would be folded
    again = make(net(3))
    if make is lazily:
        again(torch.rand(2, 1, SIDE, SIDE))
    again.load_state_dict(student.state_dict())
    with torch.no_grad():
        x = torch.rand(3, 1, SIDE, SIDE)
        assert torch.allclose(again.eval()(x), student.eval()(x), atol=1e-6)
    assert set(result.card["models"]) == {"teacher", "baseline", "student"}


@pytest.mark.parametrize("make", [normed, normed_of_old, pruned, tied])
def test_reparametrised_students_are_exported_as_they_answer(tmp_path, make):
    student, (x, y) = make(net(2)), pictures()
    export_onnx(student, x, tmp_path / "student.onnx", metadata={})
    assert compare_onnx(student, tmp_path / "student.onnx", x, y)["largest_difference"] < 1e-4


def test_a_pruned_student_stays_pruned(distill):
    student = pruned(net(2))
    gone = student.conv.weight_mask == 0
    distill(net(1), student)
    student(torch.rand(2, 1, SIDE, SIDE))
    assert (student.conv.weight[gone] == 0).all() and gone.any()


def test_a_teacher_that_shares_weights_with_its_student_keeps_its_own(distill):
    student = net()
    teacher = net(1)
    teacher.conv, teacher.norm = student.conv, student.norm
    x = pictures()[0]
    with torch.no_grad():
        before = copy.deepcopy(teacher).eval()(x)
    result = distill(teacher, student, epochs=3, augment="crop:1")
    assert any("teacher shares" in note for note in result.card["notes"])
    assert not torch.allclose(teacher.eval()(x), before)  # the shared layers were trained, in the student
    kept = read_predictions(result.folder)
    assert kept is not None  # the card's teacher answers as before
    assert torch.allclose(kept[1].predictions["teacher"].logits, before[kept[1].predictions["teacher"].index], atol=1e-5)


def test_a_network_can_teach_itself(distill):
    both = net()
    assert any("teacher shares" in note for note in distill(both, both).card["notes"])


# ---------------------------------------------------------------- 3 memory layout


def viewed(x):
    return x.view(len(x), -1)


def strided(x):
    return x.as_strided((len(x), x[0].numel()), (x[0].numel(), 1))  # silently others in another layout


class FlatTwice(torch.autograd.Function):
    """Forward bears any layout, backward does not."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient + 0 * x.view(-1).view(x.shape)


@pytest.mark.parametrize("flat", [viewed, strided, lambda x: FlatTwice.apply(x).flatten(1)])
def test_a_network_that_does_not_bear_channels_last_learns_the_same_without(distill, tmp_path, flat):
    data = pictures(side=16)
    runs = {}
    for layout in ("auto", "contiguous"):
        student = net(2, side=16, flat=flat)
        distill(
            net(1, side=16, flat=flat), student, data, train=limbeck.Train(layout=layout), out=tmp_path / layout, baseline=True
        )
        runs[layout] = state(student)
    for key, value in runs["contiguous"].items():  # to rounding: a teacher that is only asked may have channels last
        assert torch.allclose(runs["auto"][key], value, atol=1e-5), key


def test_others_keep_channels_last_and_come_back_as_they_were(distill):
    student = net(2, side=16)
    distill(net(1, side=16, flat=viewed), student, pictures(side=16), augment="crop:1")
    assert student.conv.weight.is_contiguous()


def rows(x):
    return x.view(len(x), -1)


def test_a_transform_that_views_features_makes_all_contiguous(distill):
    hint = Term("hint", losses.mse, student=Tap("student", "norm").via(rows), teacher=Tap("teacher", "norm").via(rows).detach())
    task = Term("task", losses.cross_entropy, student=Tap("student"), labels=limbeck.plan.Field("labels"))
    assert distill(net(1, side=16), net(2, side=16), pictures(side=16), method=single_stage(task, hint)).card["models"]


# ---------------------------------------------------------------- 4 other outputs in training


@dataclass
class Answer:
    logits: torch.Tensor
    extra: torch.Tensor


class Helped(Net):
    """Returns something else in training than in evaluation."""

    def __init__(self, how, when=True):
        super().__init__()
        self.how, self.when, self.aux = how, when, nn.Linear(256, 2)

    def forward(self, x):
        flat = self.features(x).flatten(1)
        first, second = self.linear(flat), self.aux(flat)
        return self.how(first, second) if self.training == self.when else first


PAIR = (lambda a, b: (a, b)), Adapter(logits=0)
WORDS = (lambda a, b: {"out": a, "aux": b}), Adapter(logits="out")
LAST = (lambda a, b: [b, a]), Adapter(logits=-1)
OBJECT = Answer, None
CALLED = (lambda a, b: (a, b)), Adapter(logits=lambda out: out[0] if isinstance(out, tuple) else out)


@pytest.mark.parametrize("when", [True, False], ids=["in training", "in evaluation"])
@pytest.mark.parametrize("how", [PAIR, WORDS, LAST, OBJECT, CALLED])
def test_an_adapter_serves_both_modes(distill, how, when):
    given = {"student": how[1]} if how[1] else None
    student = net(kind=Helped, how=how[0], when=when)
    card = distill(None, student, epochs=12, lr=0.05, adapters=given, method=methods.find("alone")()).card
    assert card["models"]["student"]["score"] == 1.0


def test_a_tuple_in_training_only_is_refused_with_advice_that_works(refused):
    assert "Adapter(logits=KEY_OR_INDEX), which stands for a tensor too" in refused(net(1), net(kind=Helped, how=PAIR[0]))
    assert "Adapter(logits=7)" in refused(net(1), net(kind=Helped, how=PAIR[0]), adapters={"student": Adapter(logits=7)})


# ---------------------------------------------------------------- 5 taps


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x, scale=None, *, shift=None):
        out = self.linear(x)
        return out if scale is None else out * scale


class Calls(nn.Module):
    def __init__(self, call):
        super().__init__()
        self.block, self.unused, self.head, self.call = Block(), nn.Linear(4, 4), nn.Linear(4, 2), call

    def forward(self, x):
        return self.head(self.call(self.block, x.flatten(1)[:, :4]))


CALLS = {
    "keyword": lambda block, x: block(x=x),
    "keywords in another order": lambda block, x: block(shift=x + 7, scale=torch.ones(4), x=x),
    "several": lambda block, x: block(x, torch.ones(4)),
    "mixed": lambda block, x: block(x, scale=torch.ones(4)),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_the_first_input_of_a_tapped_layer_is_found_however_it_is_called(call):
    x = torch.rand(3, 1, 2, 2)
    tap = Tap("student", "block", io="input")
    seen = observe(Cast({"student": net(kind=Calls, call=call)}), {"inputs": x}, [tap])
    assert torch.equal(seen(tap), x.flatten(1))


def hinted(path, **how):
    hint = Term("hint", losses.mse, student=Tap("student", path, **how), teacher=Tap("teacher", path, **how).detach())
    return single_stage(Term("task", losses.cross_entropy, student=Tap("student"), labels=limbeck.plan.Field("labels")), hint)


REFUSED_TAPS = {
    "twice": (lambda block, x: block(block(x)), "block", "ran 2 times; choose one with call=0"),
    "never": (CALLS["keyword"], "unused", "never ran"),
    "tuple": (lambda block, x: block(x), "pair", "is a tuple, take one part by [...]"),
    "dict": (lambda block, x: block(x), "named", "is a dict, take one part by [...]"),
}


class Parts(nn.Module):
    def forward(self, x):
        return (x, x)


class Named(nn.Module):
    def forward(self, x):
        return {"a": x}


class Many(Calls):
    def __init__(self, call):
        super().__init__(call)
        self.pair, self.named = Parts(), Named()

    def forward(self, x):
        self.pair(self.block.linear.weight), self.named(x)
        return super().forward(x)


@pytest.mark.parametrize("case", REFUSED_TAPS.values(), ids=REFUSED_TAPS.keys())
def test_a_tap_that_cannot_be_compared_is_refused(refused, case):
    call, path, words = case
    assert words in refused(net(1, kind=Many, call=call), net(kind=Many, call=call), method=hinted(path))


def test_one_call_of_several_and_one_part_of_several(distill):
    call = REFUSED_TAPS["twice"][0]
    assert distill(net(1, kind=Many, call=call), net(kind=Many, call=call), method=hinted("block", call=1)).card["models"]
    cast, x = Cast({"student": net(kind=Many, call=call)}), torch.rand(3, 1, 2, 2)
    tap = Tap("student", "named")["a"]
    assert torch.equal(observe(cast, {"inputs": x}, [tap])(tap), x)


# ---------------------------------------------------------------- 7 teachers outside of PyTorch, networks that cannot be copied


class Forest(nn.Module):
    def __init__(self, x, y):
        super().__init__()
        self.forest = RandomForestClassifier(5, random_state=0).fit(x.flatten(1).numpy(), y.numpy())

    def forward(self, x):
        return torch.tensor(np.log(self.forest.predict_proba(x.flatten(1).cpu().numpy()) + 1e-3)).float()


class Table(nn.Module):
    def forward(self, x):
        return torch.stack([x.mean((1, 2, 3)) * 0 + 0.5, x.mean((1, 2, 3))], 1)


class Locked(Net):
    """Neither copied nor pickled."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class Numpy(Net):
    def forward(self, x):
        with torch.no_grad():
            return torch.from_numpy(super().forward(x).numpy())


def halved():
    return net(1).bfloat16()


def shorter(x):
    return x.bfloat16()


TEACHERS = {
    "forest": lambda: Forest(*pictures()),
    "table": Table,
    "lock": lambda: net(1, kind=Locked),
    "no gradient": lambda: net(1, kind=Numpy),
}


@pytest.mark.parametrize("augment", ["", "crop:1"], ids=["stored", "live"])
@pytest.mark.parametrize("make", TEACHERS.values(), ids=TEACHERS.keys())
def test_any_module_teaches(distill, make, augment):
    card = distill(make(), net(2), augment=augment, baseline=True).card
    assert card["models"]["teacher"]["score"] is not None and card["models"]["teacher"]["latency_ms"]


def test_a_teacher_of_16_bits_is_stored(distill):
    card = distill(halved(), net(2), adapters={"teacher": Adapter(prepare=shorter)}).card
    assert card["models"]["student"]["teacher_samples"] == 43


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_compiled_script_learns_beside_its_baseline(distill):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        student = torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)))
    assert set(distill(net(1), student, baseline=True).card["models"]) == {"teacher", "baseline", "student"}


def test_a_student_that_cannot_be_copied_has_no_baseline_and_a_card(distill):
    card = distill(net(1), net(kind=Locked), baseline=True).card
    assert set(card["models"]) == {"teacher", "student"}
    assert any("no supervised baseline" in note and "cannot be copied" in note for note in card["notes"])


def test_it_has_one_where_it_can_be_made_again(distill):
    given = {"student": Adapter(factory=lambda: net(5, kind=Locked))}
    assert "baseline" in distill(net(1), net(kind=Locked), baseline=True, adapters=given).card["models"]


def test_a_method_that_must_copy_refuses_before_training(refused):
    assert "cannot be copied" in refused(None, net(kind=Locked), method=methods.find("born_again")(generations=2))


class Dict(Net):
    def forward(self, image, weight):
        return super().forward(image) * weight[:, None]


class Items(torch.utils.data.Dataset):
    def __init__(self):
        self.x, self.y = pictures()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, k):
        return {"image": self.x[k], "weight": torch.tensor(1.0)}, int(self.y[k])


def test_inputs_of_several_parts_end_with_a_card_and_a_note_said_before(distill):
    heard = []
    result = distill(net(1, kind=Dict), net(2, kind=Dict), Items(), onnx=True, baseline=True, listen=heard.append)
    card, kinds = result.card, [type(event).__name__ for event in heard]
    assert card["models"]["student"]["latency_ms"] and (result.folder / "report.html").exists()
    note = "cannot export to ONNX: the inputs are a dict"
    assert [n for n in card["notes"] if note in n]
    said = next(k for k, event in enumerate(heard) if note in str(event))
    assert said < kinds.index("Phase")


def test_a_student_without_gradient_is_refused(refused):
    assert "no gradient" in refused(net(1), net(kind=Numpy))


class Untraceable(Net):
    def forward(self, x):
        return super().forward(x) * float(np.float64(x.mean().item()) > -9)


class Fails(Net):
    """In what the name says."""

    def __init__(self, when):
        super().__init__()
        self.when = when

    def forward(self, x):
        if self.when(self, x):
            raise AttributeError("the dog ate it")
        return super().forward(x)


def test_what_can_be_missing_is_a_note_before_training(distill):
    heard = []
    result = distill(net(1), net(kind=Fails, when=lambda s, x: len(x) == 1), listen=heard.append)
    assert result.card["models"]["student"]["latency_ms"] is None and (result.folder / "MODEL_CARD.md").exists()
    assert any("latency of the student cannot be measured" in note for note in result.card["notes"])


@pytest.mark.parametrize("mode", [True, False], ids=["training", "evaluation"])
def test_a_network_that_fails_in_one_mode_is_refused(refused, mode):
    assert "the dog ate it" in refused(net(1), net(kind=Fails, when=lambda s, x: s.training == mode))


def test_a_teacher_that_fails_on_the_test_part_leaves_a_card(distill):
    x, y = pictures()
    teacher = net(1, kind=Fails, when=lambda s, x: bool((x > 5).any()))
    result = distill(teacher, net(2), (x, y), test=(x + 9, y))
    assert set(result.card["models"]) == {"student"} and (result.folder / "report.html").exists()
    assert any("the teacher is not measured" in note and "the dog" in note for note in result.card["notes"])


class Extra(Net):
    def get_extra_state(self):
        return {"a": object()}

    def set_extra_state(self, state):
        pass


def test_weights_that_cannot_be_kept_are_refused(refused):
    assert "weights cannot be saved" in refused(net(1), net(kind=Extra))


# ---------------------------------------------------------------- 8 batches of one


def pooled(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


ONES = {"batch 1": {"batch": 1}, "micro-batch 1": {"batch": 4, "train": limbeck.Train(accumulate=4)}}


@pytest.mark.parametrize("how", ONES.values(), ids=ONES.keys())
def test_batches_of_one_with_batch_norm_are_refused(refused, how):
    text = refused(pooled(1), pooled(2), **how)
    assert "batch-norm cannot be trained on one sample at a time" in text


def test_one_training_sample_with_batch_norm_is_refused(refused):
    x, y = pictures()
    assert "one sample at a time" in refused(pooled(1), pooled(2), (x[:1], y[:1]), validation=(x, y))


def test_a_rest_of_one_is_avoided(distill):
    x, y = pictures(35)
    student = pooled(2)
    student[2].track_running_stats = False
    student[2].running_mean = student[2].running_var = None
    card = distill(pooled(1), student, (x[:33], y[:33]), validation=(x[:17], y[:17]), batch=16).card
    assert card["models"]["student"]["samples"] == 17


def test_micro_batches_differ_by_one_at_most():
    batch = {"inputs": torch.arange(7), "labels": torch.arange(7)}
    assert [(len(cut["inputs"]), share) for cut, share in pieces(batch, 3)] == [(3, 3 / 7), (2, 2 / 7), (2, 2 / 7)]
    assert [len(cut["inputs"]) for cut, _ in pieces(batch, 9)] == [1] * 7


def test_without_batch_norm_one_at_a_time_is_fine(distill):
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    assert distill(pooled(1), plain, batch=1).card["models"]["student"]["steps"] == 43
