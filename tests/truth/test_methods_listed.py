"""The general model's own list of techniques, each rebuilt by hand or seen to do what its paper says it does."""

import math
from dataclasses import replace

import pytest
import torch
from byhand import CLOSE, agree, draw, net, soft, weights
from digits import DIGITS, make_cast, streams, train, values
from torch.nn import functional as F  # noqa: N812

from limbeck import connectors, engine, losses
from limbeck.data.streams import Streams
from limbeck.engine.check import build_parts
from limbeck.engine.step import evaluate_term
from limbeck.errors import UserError
from limbeck.methods import find
from limbeck.plan.observe import observe
from limbeck.plan.schedules import Progress
from limbeck.transforms import labelling


def sides(cast, batch, view="inputs"):
    return net(cast, "student", batch[view]), net(cast, "teacher", batch[view])


def of_stage(method, number, batch, *, prepare=None, modes=()):
    """(cast, {term: its mean}) of one stage on a batch, with the stage's own actions done; `modes` are set to train."""
    cast = make_cast(method)
    for action in method.stages[number].before:
        action(cast, Progress("any", 0, 1, seed=0))
    torch.manual_seed(7)
    build_parts(method, cast, batch)
    cast.eval()
    for name in modes:
        cast[name].train()
    terms = [t for u in method.stages[number].updates for t in u.terms]
    scene = observe(cast, batch, [s for t in terms for s in t.sources], learns=tuple(cast.keys()))
    return cast, {t.name: (lambda s, c: s / c)(*evaluate_term(t, scene)) for t in terms}


def labelled_batch(method, unlabelled=20, data=DIGITS):
    """A batch as the joint partitions give it: the last samples without labels."""
    batch = dict(Streams(data, size=64, seed=0, views=method.views, augment="crop:1")(("train",), 0))
    known = torch.ones(len(batch["labels"]))
    known[-unlabelled:] = 0
    return batch | {"labels": torch.where(known.bool(), batch["labels"], -100), "labelled": known}


def test_noise_is_on_the_chosen_share_of_samples_and_only_while_it_trains():
    part, z = connectors.NoisyAnswer(draw(4, 3), share=0.25, sigma=0.5), draw(4000, 3) + 5
    assert torch.equal(part.eval()(z), z)
    torch.manual_seed(0)
    factor = part.train()(z) / z - 1
    touched = (factor.abs() > 1e-6).any(1)
    assert abs(touched.float().mean() - 0.25) < 0.03
    assert abs(factor[touched].std() - 0.5) < 0.02 and abs(factor[touched].mean()) < 0.03
    cast, batch, _, means = values(find("noisy_teacher")(labels=0.5))  # evaluation mode: no noise
    (*_, z_s), (*_, z_t) = sides(cast, batch)
    agree(means, {"logits": (z_s - z_t).square().sum(1).mean() / 2, "task": F.cross_entropy(z_s, batch["labels"])})


def test_voted_teachers_by_loops():
    teachers = ("teacher", "teacher_2", "teacher_3")
    cast, batch, _, means = values(find("teachers_voted")())
    (*_, h, z_s), y, t = net(cast, "student", batch["inputs"]), batch["labels"], 4.0
    h = h.mean((2, 3))[:8]
    others = [net(cast, k, batch["inputs"]) for k in teachers]
    mean = torch.stack([(o[3] / t).softmax(1) for o in others]).mean(0)
    expected = t * t * F.kl_div((z_s / t).log_softmax(1), mean, reduction="batchmean")
    torch.testing.assert_close(means["soft"].detach() * t * t, expected.detach(), **CLOSE)
    assert weights(find("teachers_voted")()) == pytest.approx({"task": 0.1, "soft": 0.9 * t * t, "order": 1.0})
    far, seen = torch.cdist(h, h), [torch.cdist(*2 * [o[2].mean((2, 3))[:8]]) for o in others]
    rows = torch.zeros(8)
    for i in range(8):
        for j in range(8):
            for k in range(8):
                votes = sum(torch.sign(d[i, k] - d[i, j]).item() for d in seen)
                rows[i] += max(0.0, (far[i, j] - far[i, k]).item()) if votes > 0 else 0.0
    from limbeck.transforms import voted_order

    ours = losses.relative_order_votes(h, voted_order(*(o[2].mean((2, 3))[:8] for o in others)))
    torch.testing.assert_close(ours.detach(), rows / 64, rtol=1e-3, atol=1e-5)
    assert torch.isfinite(means["order"]) and y.shape == (64,)


def test_votes_are_private_by_laplace_noise_that_belongs_to_the_sample():
    answers = [torch.eye(3)[[0, 1, 2, 0]] * 5, torch.eye(3)[[0, 1, 1, 2]] * 5, torch.eye(3)[[0, 2, 1, 2]] * 5]
    index = torch.tensor([4, 9, 2, 7])
    assert labelling.noisy_votes(index, *answers, scale=0.0).tolist() == [0, 1, 1, 2]
    many = torch.arange(20000)
    unanimous = [torch.tensor([[5.0, 0.0]]).expand(20000, 2)] * 4
    first = labelling.noisy_votes(many, *unanimous, scale=3.0, seed=1)
    assert torch.equal(first, labelling.noisy_votes(many, *unanimous, scale=3.0, seed=1))
    assert torch.equal(first[50:60], labelling.noisy_votes(many[50:60], *[z[50:60] for z in unanimous], scale=3.0, seed=1))
    a = 4 / 3.0  # P(X - Y > 4) for two Laplace(3): (1/4) exp(-a) (2 + a)
    assert abs(first.float().mean().item() - math.exp(-a) * (2 + a) / 4) < 0.01


def test_pate_teachers_see_their_own_part_and_the_student_no_label():
    method = find("pate")(teachers=3, scale=0.5)
    data = labelled_digits(300)
    cast = make_cast(method)
    seen = {}

    class Spy(Streams):
        def __call__(self, partitions, position):
            batch = super().__call__(partitions, position)
            seen.setdefault(partitions[0], set()).update(batch["index"].tolist())
            return batch

    fit = engine.Fit(steps=12, steps_per_epoch=6, checkpoint_seconds=0.0)
    engine.train(method, cast, Spy(data, size=32, seed=0), fit, seed=0, device="cpu")
    private = [seen[f"train[{k}/3]"] for k in (1, 2, 3)]
    assert not (private[0] & private[1] | private[1] & private[2] | private[0] & private[2])
    assert seen["unlabelled"] and data["unlabelled"].labels is None
    assert [stage.name for stage in method.stages] == ["teachers", "student"]


def labelled_digits(count):
    from limbeck import data

    return data.load("digits", labelled=count)


def test_temporal_ensembling_remembers_by_hand():
    torch.manual_seed(0)
    memory, index = connectors.AnswerMemory(draw(2, 3), torch.arange(2), samples=6, decay=0.6).train(), torch.tensor([1, 4])
    answers, average = [draw(2, 3, seed=k) for k in range(3)], torch.zeros(2, 3)
    for k, z in enumerate(answers):
        target, seen = memory(z, index)
        assert seen.tolist() == [k > 0] * 2
        if k:
            torch.testing.assert_close(target, average / (1 - 0.6**k), **CLOSE)
            torch.testing.assert_close(target.sum(1), torch.ones(2), **CLOSE)
        average = 0.6 * average + 0.4 * z.softmax(1)
    before = memory.average.clone()
    memory.eval()(answers[0], index)
    assert torch.equal(before, memory.average) and memory.visits.tolist() == [0, 3, 0, 0, 3, 0]
    with pytest.raises(UserError, match="samples"):
        memory(answers[0], torch.tensor([1, 6]))


def test_temporal_ensembling_agrees_only_with_what_it_remembers():
    method = find("temporal_ensembling")(samples=2000)
    batch = labelled_batch(method)
    cast, first = of_stage(method, 0, batch)
    assert first["consistency"] == 0  # nothing is remembered yet
    z = net(cast, "student", batch["inputs"])[3]
    torch.testing.assert_close(first["task"].detach(), F.cross_entropy(z[:44], batch["labels"][:44]).detach(), **CLOSE)
    weight = weights(method)["consistency"]
    assert weight(Progress("train", 81, 300)) == 30 and weight(Progress("train", 0, 300)) == pytest.approx(30 * math.exp(-5))


def test_label_refinery_shows_both_the_same_crop_and_no_label():
    method = find("label_refinery")(view="crop:2")
    batch = streams(method)(("train",), 0)
    method_roles = method.roles()
    assert method_roles == ("student",) and [len(s.updates[0].terms) for s in method.stages] == [1, 1, 1]
    cast = make_cast(method)
    for action in method.stages[1].before:
        action(cast, Progress("any", 0, 1, seed=1))
    term = method.stages[1].updates[0].terms[0]
    scene = observe(cast.eval(), batch, term.sources, learns=("student",))
    total, count = evaluate_term(term, scene)
    expected = soft(net(cast, "student", batch["crop"])[3], net(cast, "refinery", batch["crop"])[3], 1.0)
    torch.testing.assert_close((total / count).detach(), expected.detach(), **CLOSE)
    assert not torch.equal(batch["crop"], batch["inputs"])


def test_data_distillation_labels_by_the_mean_of_its_looks():
    for hard in (True, False):
        method = find("data_distillation")(looks=("identity", "crop:2", "flip:1.0"), hard=hard)
        batch = labelled_batch(method)
        cast, means = of_stage(method, 0, batch)
        z = net(cast, "student", batch["inputs"])[3]
        mean = torch.stack([net(cast, "teacher", batch[f"look_{k}"])[3].softmax(1) for k in (1, 2, 3)]).mean(0)
        new = F.cross_entropy(z[44:], mean.argmax(1)[44:] if hard else mean[44:])
        agree(means, {"task": F.cross_entropy(z[:44], batch["labels"][:44]), "generated": new})
        assert torch.equal(batch["look_3"], batch["look_1"].flip(3))


def test_clean_labels_mix_by_hand():
    method = find("clean_labels")(trust=0.3, temperature=2.0)
    batch = streams(method)(("train",), 0)
    cast, means = of_stage(method, 1, batch)
    (*_, z_s), (*_, z_t) = sides(cast, batch)
    target = 0.3 * F.one_hot(batch["labels"], 10) + 0.7 * (z_t / 2).softmax(1)
    agree(means, {"corrected": F.cross_entropy(z_s, target)})
    assert method.stages[0].updates[0].partitions == ("train[1/10]",) and method.stages[0].trains == ("teacher",)


def test_clean_labels_help_against_wrong_ones():
    """Digits with 60 % of the labels replaced and 150 clean ones: the student of the mixture beats the student of the labels."""
    generator = torch.Generator().manual_seed(0)
    whole = DIGITS["train"]
    wrong = torch.rand(len(whole), generator=generator) < 0.6
    noisy = torch.where(wrong, torch.randint(0, 10, (len(whole),), generator=generator), whole.labels)
    rows = torch.arange(150)
    parts = {**DIGITS.partitions, "train": replace(whole, labels=noisy), "clean": whole.select(rows, "clean")}
    data = replace(DIGITS, partitions=parts, _memo={})
    found = {}
    for name, method in (("mixed", find("clean_labels")(clean="clean", trust=0.1)), ("alone", find("alone")())):
        cast = make_cast(method)
        fit = engine.Fit(steps=150, steps_per_epoch=50, checkpoint_seconds=1e9)
        engine.train(method, cast, Streams(data, size=64, seed=0), fit, seed=0, device="cpu")
        test = DIGITS["test"]
        with torch.no_grad():
            z = cast.eval().feed("student", test.inputs.float() / test.inputs.max())
        found[name] = (z.argmax(1) == test.labels).float().mean().item()
    assert found["mixed"] > found["alone"] + 0.02, found


def test_cross_modal_reads_the_pair_without_labels_first():
    method = find("cross_modal")(paired="channels:0", at="layer2")
    batch = streams(method)(("train",), 0)
    cast, means = of_stage(method, 0, batch)
    mine, theirs = net(cast, "student", batch["inputs"])[1], net(cast, "teacher", batch["paired"])[1]
    agree(means, {"transfer": F.mse_loss(cast["regressor"](mine), theirs)})
    assert method.stages[0].trains == ("student:layer2", "regressor") and method.stages[1].trains == ("student",)


def test_specialists_by_hand():
    method = find("specialists")(subsets=((1, 7), (3, 5, 8)))
    batch = streams(method)(("train",), 0)
    cast, first = of_stage(method, 0, batch)
    z, y = net(cast, "teacher", batch["inputs"])[3], batch["labels"]  # the experts start as copies
    expected = {}
    for k, classes in enumerate(((1, 7), (3, 5, 8)), start=1):
        p = z.softmax(1)
        grouped = torch.cat([p[:, list(classes)], 1 - p[:, list(classes)].sum(1, keepdim=True)], 1)
        places = torch.tensor([classes.index(int(c)) if int(c) in classes else len(classes) for c in y])
        expected[f"task expert_{k}"] = F.nll_loss(grouped.log(), places)
    agree(first, expected)
    assert [u.partitions for u in method.stages[0].updates] == [
        ("train[classes 1,7]", "train"),
        ("train[classes 3,5,8]", "train"),
    ]


def test_a_specialist_teaches_only_where_it_is_asked():
    method = find("specialists")(subsets=((1, 7), (3, 5, 8)))
    batch, t = streams(method)(("train",), 0), 4.0
    cast = make_cast(method)
    for action in method.stages[0].before:
        action(cast, Progress("any", 0, 1, seed=0))
    for k in (1, 2):  # experts that differ from the teacher
        for p in cast[f"expert_{k}"].parameters():
            torch.nn.init.normal_(p, std=0.3, generator=torch.Generator().manual_seed(k))
    cast.eval()
    terms = {t.name: t for t in method.stages[1].updates[0].terms}
    scene = observe(cast, batch, [s for term in terms.values() for s in term.sources], learns=("student",))
    z_s, z_t = net(cast, "student", batch["inputs"])[3], net(cast, "teacher", batch["inputs"])[3]
    for k, classes in enumerate(((1, 7), (3, 5, 8)), start=1):
        asked = torch.tensor([int(c) in classes for c in z_t.argmax(1)])
        rest = [c for c in range(10) if c not in classes]

        def narrow(z, classes=classes, rest=rest):
            return torch.cat([z[:, list(classes)], z[:, rest].logsumexp(1, keepdim=True)], 1)

        total, count = evaluate_term(terms[f"soft expert_{k}"], scene)
        assert count == max(1, asked.sum())
        if asked.any():
            z_m = net(cast, f"expert_{k}", batch["inputs"])[3]
            expected = soft(narrow(z_s)[asked], narrow(z_m)[asked], t)
            torch.testing.assert_close((total / count).detach(), expected.detach(), **CLOSE)


@pytest.mark.parametrize("name", ["factor_transfer", "factor_transfer_code"])
def test_factor_transfer_in_two_stages(name):
    method = find(name)()
    cast, batch, _, means = values(method)
    (*_, f_s, z_s), (*_, f_t, _) = sides(cast, batch)
    factor = cast["paraphraser"].encode(f_t)
    mine = cast["translator"].encode(f_s)
    expected = {"paraphrase": F.l1_loss(cast["paraphraser"].decode(factor), f_t), "task": F.cross_entropy(z_s, batch["labels"])}
    if name == "factor_transfer":
        a, b = (F.normalize(x.flatten(1), dim=1) for x in (factor, mine))
        expected["factors"] = (a - b).abs().sum(1).mean()
    else:
        a, b = (F.normalize(x.square().mean(1).flatten(1), dim=1) for x in (factor, mine))
        expected["factors"] = (a - b).abs().mean()
    agree(means, expected)
    assert factor.shape[1] == f_t.shape[1] // 2
    normed = {
        part: any(isinstance(m, torch.nn.BatchNorm2d) for m in cast[part].modules()) for part in ("paraphraser", "translator")
    }
    assert normed == {"paraphraser": False, "translator": True}
    assert [s.trains for s in method.stages] == [("paraphraser",), ("student", "translator")]


def test_neuron_selectivity_by_loops():
    cast, batch, _, means = values(find("neuron_selectivity")())
    (*_, f_s, _), (*_, f_t, _) = sides(cast, batch)
    total = 0.0
    for a, b in zip(f_t[:3], f_s[:3], strict=True):
        a, b = F.normalize(a.flatten(1), dim=1), F.normalize(b.flatten(1), dim=1)
        kernel = [
            sum((x @ y) ** 2 for x in left for y in right) / (len(left) * len(right)) for left, right in ((a, a), (b, b), (a, b))
        ]
        total += kernel[0] + kernel[1] - 2 * kernel[2]
    ours = losses.nst(f_s[:3], f_t[:3]).sum()
    torch.testing.assert_close(ours, total, **CLOSE)
    torch.testing.assert_close(means["neurons layer3"], losses.nst(f_s, f_t).mean(), **CLOSE)


def test_variational_information_is_a_gaussian_negative_log_likelihood():
    cast, batch, _, means = values(find("variational_information")())
    (*f_s, z_s), (*f_t, _) = sides(cast, batch)
    expected = {"task": F.cross_entropy(z_s, batch["labels"])}
    for k, (a, b) in enumerate(zip(f_s, f_t, strict=True), start=1):
        variance = torch.full_like(b, 5.0)  # as it starts
        expected[f"information layer{k}"] = F.gaussian_nll_loss(cast[f"guess_{k}"](a), b, variance)
    agree(means, expected)
    learns = torch.autograd.grad(means["information layer2"], cast["guess_2"].raw_variance)[0]
    assert (learns != 0).all()


def test_correlation_congruence_by_hand():
    cast, batch, _, means = values(find("correlation_congruence")())
    (*_, f_s, z_s), (*_, f_t, _) = sides(cast, batch)
    kernels = []
    for f in (f_s, f_t):
        u = F.normalize(f.mean((2, 3)), dim=1)
        c = u @ u.T
        kernels.append(math.exp(-0.8) * (1 + 0.8 * c + 0.64 / 2 * c * c))
    agree(means, {"task": F.cross_entropy(z_s, batch["labels"]), "congruence": (kernels[0] - kernels[1]).square().mean()})
    cast, batch, _, means = values(find("correlation_congruence_code")())
    (*_, f_s, _), (*_, f_t, _) = sides(cast, batch)
    gap = (cast["embed"](f_s) - cast["embed_teacher"](f_t)).abs()
    torch.testing.assert_close(means["congruence"], (gap[:-1] * gap[1:]).sum() / 63, **CLOSE)


def test_contrast_memory_by_loops_over_two_steps():
    torch.manual_seed(0)
    part = connectors.ContrastMemory(draw(2, 5), draw(2, 7), samples=30, size=4, negatives=6).train()
    scale = None
    for step in range(2):
        student, teacher, index = draw(3, 5, seed=step), draw(3, 7, seed=step + 5), torch.tensor([2, 9, 17]) + step
        memories = part.of_student.clone(), part.of_teacher.clone()
        torch.manual_seed(step)
        rows = torch.cat([index[:, None], torch.randint(30, (3, 6))], 1)
        u, v = F.normalize(part.student(student), dim=1), F.normalize(part.teacher(teacher), dim=1)
        raw = [torch.stack([(m[rows[n]] @ a[n] / 0.07).exp() for n in range(3)]) for a, m in ((u, memories[1]), (v, memories[0]))]
        scale = [x.mean().detach() * 30 for x in raw] if scale is None else scale
        torch.manual_seed(step)
        found = part(student, teacher, index)
        for ours, x, z in zip(found, raw, scale, strict=True):
            torch.testing.assert_close(ours, x / z, **CLOSE)
        for memory, old, now in ((part.of_student, memories[0], u), (part.of_teacher, memories[1], v)):
            torch.testing.assert_close(memory[index], F.normalize(0.5 * old[index] + 0.5 * now, dim=1).detach(), **CLOSE)
            rest = [k for k in range(30) if k not in index.tolist()]
            assert torch.equal(memory[rest], old[rest])
    x, noise = found[0], 6 / 30
    expected = -(x[:, 0] / (x[:, 0] + noise)).log() - (noise / (x[:, 1:] + noise)).log().sum(1)
    torch.testing.assert_close(losses.noise_contrast(x, samples=30), expected, **CLOSE)


def test_contrastive_representation_trains_its_memory_and_keeps_it():
    method = find("contrastive_representation")(samples=2000, negatives=32, size=8)
    cast, _ = train(method, steps=4)
    changed = (cast["memory"].of_student.norm(dim=1) - 1).abs() < 1e-4  # fresh rows are not of length 1
    assert 64 <= changed.sum() <= 4 * 64 and (cast["memory"].scale > 0).all()
