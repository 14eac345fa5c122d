"""Weights that a teacher hands down, against slices by hand; stacks and which of their blocks stay."""

import pytest
import torch
from torch import nn

from limbeck.errors import UserError
from limbeck.models import build
from limbeck.models.inherit import Ends, hand_down, share_of
from limbeck.models.stacks import Stack, chosen, places, stacks


def net(name, seed=0, **arguments):
    torch.manual_seed(seed)
    return build(name, classes=10, shape=(3, 32, 32), arguments=arguments)


def of(handed):
    return {each.layer: (each.of, each.how) for each in handed}


def test_the_first_block_of_each_stage_with_its_statistics():
    teacher, student = net("resnet56", 1), net("resnet8")
    teacher.train()(torch.rand(8, 3, 32, 32))  # statistics that are not those of a new network
    handed = hand_down(teacher, student)
    assert share_of(handed) == 1.0 and all(each.how == "whole" for each in handed)
    theirs, mine = teacher.state_dict(), student.state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in mine.items()), "block 0 is called 0 in both"
    assert mine["layer2.0.bn1.running_mean"].abs().sum() > 0
    several = of(hand_down(teacher, net("resnet20")))
    assert [several[f"layer3.{k}.conv1"][0] for k in range(3)] == ["layer3.0.conv1", "layer3.4.conv1", "layer3.8.conv1"]


def test_uniformly_chosen_channels_by_hand():
    teacher, student = net("resnet8", 1, width=16), net("resnet8", width=6)
    handed = of(hand_down(teacher, student))
    at = {6: [0, 3, 6, 9, 12, 15], 12: [round(k * 31 / 11) for k in range(12)], 24: [round(k * 63 / 23) for k in range(24)]}
    assert handed["layer2.0.conv1"] == ("layer2.0.conv1", "12 of 32 outputs, 6 of 16 inputs")
    theirs, mine = dict(teacher.named_parameters()), dict(student.named_parameters())
    for name, few_out, few_in in (("layer2.0.conv1", 12, 6), ("layer3.0.conv2", 24, 24)):
        by_hand = theirs[f"{name}.weight"].detach().numpy()[at[few_out]][:, at[few_in]]
        assert (mine[f"{name}.weight"].detach().numpy() == by_hand).all()
    assert mine["conv1.weight"].shape[1] == 3 and handed["conv1"][1] == "6 of 16 outputs"
    assert torch.equal(mine["linear.weight"], theirs["linear.weight"][:, at[24]]) and handed["linear"][1] == "24 of 64 inputs"
    assert torch.equal(student.layer1[0].bn1.running_var, teacher.layer1[0].bn1.running_var[at[6]])
    assert places(4, 8).tolist() == [0, 2, 4, 6]


def test_what_does_not_match_stays_at_random_and_says_why():
    teacher = build("resnet8", classes=100, shape=(3, 32, 32))
    student, before = net("resnet8"), net("resnet8").linear.weight
    handed = of(hand_down(teacher, student, ends=Ends(outputs=(100, 10))))
    assert handed["linear"] == ("", "its classes are others") and torch.equal(student.linear.weight, before)
    assert of(hand_down(net("resnet8", width=4), student))["conv1"] == ("", "shape (16, 3, 3, 3) is no part of (4, 3, 3, 3)")
    words = [nn.Sequential(nn.Embedding(n, 4)) for n in (9, 5)]
    assert of(hand_down(*words))["0"] == ("", "5 entries where the teacher has 9")
    assert share_of(hand_down(nn.Sequential(nn.Linear(3, 3)), nn.ModuleDict({"a": nn.Linear(3, 3)}))) == 0
    trial = net("resnet8", 5)
    kept = trial.conv1.weight.clone()
    assert share_of(hand_down(net("resnet8", 1), trial, try_only=True)) == 1.0 and torch.equal(trial.conv1.weight, kept)


def test_stacks_of_several_families():
    found = {stack.path: (stack.size, stack.alike) for stack in stacks(net("resnet20"))}
    assert found == {"layer1": (3, (0, 1, 2)), "layer2": (3, (1, 2)), "layer3": (3, (1, 2))}
    two = {stack.path: stack.alike for stack in stacks(net("resnet14"))}
    assert two == {"layer1": (0, 1), "layer2": (1,), "layer3": (1,)}, "the first of a later stage halves the map"
    assert stacks(nn.Sequential(*(nn.Sequential(nn.Linear(a, 2 * a), nn.ReLU()) for a in (4, 8)))) == []
    assert stacks(net("cnn", depth=1)) == [] and stacks(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))) == []
    stack = Stack("layer2", 9, tuple(range(1, 9)))
    assert (stack.keep(3), stack.keep(3, "first"), stack.keep(3, "last"), stack.keep(1)) == ([0, 4, 8], [0, 1, 2], [0, 7, 8], [0])
    for count in (0, 10):
        with pytest.raises(UserError, match=f"layer2 has 9 blocks; keep 1 to 9 of them, not {count}"):
            stack.keep(count)
    assert chosen(5, 5) == [0, 1, 2, 3, 4] and chosen(4, 2) == [0, 3]
