"""Attention by angle and as the authors' code weighs it, and settings that follow the number of classes."""

import pytest
import torch
from byhand import agree, net, weights
from digits import DIGITS, values
from torch.nn import functional as F  # noqa: N812

from limbeck import methods
from limbeck.plan.declare import settled
from limbeck.runs.recipes import make
from limbeck.runs.sources import open_sources


def looks(cast, batch):
    """{layer: (student's, teacher's mean of squares over channels, flattened)}, and both logits."""
    (*mine, z_s), (*theirs, z_t) = (net(cast, role, batch["inputs"]) for role in ("student", "teacher"))
    both = {f"layer{k}": [f.pow(2).mean(1).flatten(1) for f in pair] for k, pair in enumerate(zip(mine, theirs, strict=True), 1)}
    return both, z_s, z_t


def test_attention_by_angle_and_with_soft_labels():
    cast, batch, _, means = values(methods.kd_attention())
    maps, z_s, z_t = looks(cast, batch)
    expected = {f"looks {k}": 1 - F.cosine_similarity(a, b).mean() for k, (a, b) in maps.items()}
    log_q, log_p = ((((z - z.mean(1, keepdim=True)) / z.std(1, keepdim=True)) / 2).log_softmax(1) for z in (z_s, z_t))
    expected["soft"] = 4 * F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
    expected["task"] = F.cross_entropy(z_s, batch["labels"])
    agree(means, expected)
    assert weights(methods.kd_attention()) == {
        "task": 0.1,
        "soft": 9.0,
        "looks layer1": 10.0,
        "looks layer2": 10.0,
        "looks layer3": 10.0,
    }
    assert weights(methods.attention_angle()) == {"task": 1.0, "looks layer1": 10.0, "looks layer2": 10.0, "looks layer3": 10.0}
    other = methods.attention_angle(at=("layer1", "layer2"), teacher_at=("layer2", "layer3"), weight=3.0)
    assert [str(t.inputs["teacher"]).count("layer3") for _, _, t in other.terms() if t.name == "looks layer2"] == [1]
    assert weights(other)["looks layer1"] == 3.0


def test_attention_has_the_whole_beta_on_the_sum_of_the_layers_means():
    method = methods.attention()
    cast, batch, _, means = values(method)
    maps, *_ = looks(cast, batch)
    theirs = 1000 * sum((F.normalize(a) - F.normalize(b)).pow(2).mean() for a, b in maps.values())
    ours = sum(weights(method)[name] * value for name, value in means.items() if name != "task")
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("name", "first"), [("dkd", "dkd"), ("rld", "correlation")])
def test_the_rest_weighs_one_with_ten_classes_and_the_authors_eight_with_a_hundred(name, first):
    plain = methods.find(name)()
    ten, said = settled(plain, 10)
    hundred, _ = settled(plain, 100)
    own, nothing = settled(methods.find(name)(beta=8.0), 10)
    assert (ten.arguments["beta"], hundred.arguments["beta"], own.arguments["beta"], nothing) == (1.0, 8.0, 8.0, [])
    assert said == [f"{name}: beta = 1 for 10 classes (the authors' 8 was tuned for a hundred classes and is too strong for ten)"]
    values_ = {}
    for beta, method in ((1.0, ten), (8.0, own)):
        values_[beta] = {t.name: t for _, _, t in method.terms()}[first]
    assert str(values_[1.0]) != str(values_[8.0]) and str(plain.stages) == str(own.stages)


def test_a_run_takes_the_rule_and_says_so():
    settings = {"data": {"name": "digits"}, "method": {"name": "dkd"}, "train": {"epochs": 1}}
    sources = open_sources(make(settings, "test"), data=DIGITS)
    assert sources.method.arguments["beta"] == 1.0 and sources.notes[0].startswith("dkd: beta = 1 for 10 classes")
    settings["method"]["arguments"] = {"beta": 8.0}
    given = open_sources(make(settings, "test"), data=DIGITS)
    assert given.method.arguments["beta"] == 8.0 and not [note for note in given.notes if "beta" in note]
