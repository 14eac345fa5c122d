"""Training equals a plain PyTorch loop to the last bit (float32, CPU). The loops below use nothing of the engine."""

import pytest
import torch
from torch.nn import functional as F
from toy import Cast, Toy, build, copy, differing, fit_of, go, state

from limbeck import methods
from limbeck.connectors import ConvRegressor

STEPS = 8


def divergence(student, teacher, temperature):
    p = F.log_softmax(teacher / temperature, dim=1)
    q = F.log_softmax(student / temperature, dim=1)
    return (p.exp() * (p - q)).sum(1)


def soft(student, teacher, temperature):
    return temperature**2 * divergence(student, teacher, temperature)


def sgd(parameters, steps, schedule):
    optimizer = torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=5e-4)
    if schedule == "one_cycle":
        return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=steps, cycle_momentum=False)
    return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=1)


def step(optimizer, schedule, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()


def trained_by_limbeck(method, modules, schedule):
    cast = Cast({name: copy.deepcopy(module) for name, module in modules.items()})
    go(method, cast, fit=fit_of(STEPS, schedule=schedule), seed=5)
    return cast


@pytest.mark.parametrize("schedule", ["one_cycle", "constant"])
def test_hinton(schedule):
    modules = {"teacher": build(width=4, seed=1), "student": build(width=2, seed=2)}
    cast = trained_by_limbeck(methods.kd(temperature=4.0, alpha=0.9), modules, schedule)
    teacher, student = modules["teacher"].eval(), modules["student"].train()
    untouched = state(teacher)
    optimizer, rate = sgd(student.parameters(), STEPS, schedule)
    for k in range(STEPS):
        batch = Toy()(("train",), k)
        with torch.no_grad():
            answer = teacher(batch["inputs"])
        logits = student(batch["inputs"])
        task = F.cross_entropy(logits, batch["labels"], reduction="none").sum() / 8
        loss = (1 - 0.9) * task + 0.9 * (soft(logits, answer, 4.0).sum() / 8)
        step(optimizer, rate, loss)
    assert differing(state(cast["student"]), state(student)) == []
    assert differing(state(cast["teacher"]), untouched) == []


def test_the_soft_term_is_torchs_kl_div_to_rounding():
    a, b = torch.randn(6, 4), torch.randn(6, 4)
    torchs = F.kl_div(F.log_softmax(a / 4, 1), F.softmax(b / 4, 1), reduction="batchmean") * 16
    assert abs(float(soft(a, b, 4.0).mean() - torchs)) < 1e-5  # sums in another order


@pytest.mark.parametrize("schedule", ["one_cycle", "constant"])
def test_fitnets_both_stages(schedule):
    modules = {"teacher": build(width=4, seed=1), "student": build(width=2, seed=2)}
    teacher, student = copy.deepcopy(modules["teacher"]).eval(), copy.deepcopy(modules["student"])
    middle = []

    def listen(kind, facts):  # the moment between the stages
        if kind == "stage" and facts["stage"] == "kd":
            middle.append(state(cast))

    cast = Cast(modules)
    go(methods.fitnets(hint_share=0.5), cast, fit=fit_of(STEPS, schedule=schedule), seed=5, listen=listen)

    torch.manual_seed(5)  # the regressor is drawn first from the run's seed
    regressor = ConvRegressor(torch.zeros(8, 4, 4, 4), torch.zeros(8, 8, 4, 4))
    for part in (student, regressor):
        part.requires_grad_(False).eval()
    first = [student.layer1, student.layer2, regressor]
    for part in first:
        part.requires_grad_(True).train()
    optimizer, rate = sgd([p for part in first for p in part.parameters()], STEPS // 2, schedule)
    for k in range(STEPS // 2):
        inputs = Toy()(("train",), k)["inputs"]
        with torch.no_grad():
            hint = teacher.layer2(teacher.layer1(inputs))
        distance = (regressor(student.layer2(student.layer1(inputs))) - hint).square().flatten(1).mean(1)
        step(optimizer, rate, distance.sum() / 8)
    assert (
        differing(
            {k: v for k, v in middle[0].items() if k.startswith("student.")},
            {f"student.{k}": v for k, v in state(student).items()},
        )
        == []
    )

    student.requires_grad_(True).train()
    optimizer, rate = sgd(student.parameters(), STEPS // 2, schedule)
    for k in range(STEPS // 2):
        batch = Toy()(("train",), STEPS // 2 + k)
        with torch.no_grad():
            answer = teacher(batch["inputs"])
        logits = student(batch["inputs"])
        task = F.cross_entropy(logits, batch["labels"], reduction="none").sum() / 8
        weight = 4.0 + (1.0 - 4.0) * (k / (STEPS // 2))
        step(optimizer, rate, task + weight * (divergence(logits, answer, 3.0).sum() / 8))
    assert differing(state(cast["student"]), state(student)) == []
    assert differing(state(cast["regressor"]), state(regressor)) == []
    assert differing(state(cast["teacher"]), state(teacher)) == []


@pytest.mark.parametrize("schedule", ["one_cycle", "constant"])
def test_mutual_one_after_the_other(schedule):
    modules = {"student": build(width=2, seed=1), "peer": build(width=3, seed=2)}
    cast = trained_by_limbeck(methods.mutual(), modules, schedule)
    made = {name: (module.train(), *sgd(module.parameters(), STEPS, schedule)) for name, module in modules.items()}
    for k in range(STEPS):
        batch = Toy()(("train",), k)  # both learn from the same minibatch, as in the paper's Algorithm 1
        for learner, mentor in (("student", "peer"), ("peer", "student")):
            module, optimizer, rate = made[learner]
            logits = module(batch["inputs"])
            with torch.no_grad():
                answer = made[mentor][0](batch["inputs"])
            task = F.cross_entropy(logits, batch["labels"], reduction="none").sum() / 8
            step(optimizer, rate, task + soft(logits, answer, 1.0).sum() / 8)
    for name, module in modules.items():
        assert differing(state(cast[name]), state(module)) == [], name
