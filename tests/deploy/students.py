"""A student on the digits as a folder: what export and measure start from."""

import torch

from limbeck.data import Batches, load
from limbeck.deploy.student import Deployed, save_student
from limbeck.models import build
from limbeck.plan.roles import Adapter, Cast, Normalise
from limbeck.plan.taps import Tap


def write_student(folder, model="cnn", arguments=None, train=None):
    """A folder with a student of the digits; `train(module, inputs, labels)` teaches it."""
    digits, torch_seed = load("digits"), torch.manual_seed(0)
    del torch_seed
    module = build(model, classes=10, shape=digits.shape, arguments=arguments or {})
    prepare = Normalise(digits.mean, digits.std)
    if train is not None:
        whole = next(Batches(digits["train"], digits, size=2000, seed=0).ordered())
        train(module, prepare(whole["inputs"]), whole["labels"])
    cast = Cast({})
    cast.add("student", module, Adapter(prepare=prepare))
    spec = {"model": model, "arguments": arguments or {}, "mean": list(digits.mean), "std": list(digits.std)}
    facts = {
        "version": 1,
        "limbeck": "0",
        "method": {"name": "alone", "arguments": {}},
        "roles": {"student": spec},
        "classes": list(digits.classes),
        "shape": list(digits.shape),
        "kind": digits.kind,
        "task": {"name": "classify", "settings": {}},
        "outputs": "one logit for each of 10 classes",
        "inputs": "images as float32 on 0..1, channels first; normalisation is inside",
        "data": "digits",
    }
    student = Deployed(cast, Tap("student")).eval()
    save_student(folder, student, facts)
    return student


def learn(module, inputs, labels):
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    for _ in range(30):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(inputs), labels).backward()
        optimizer.step()
