"""A tiny CNN and the usual losses by hand, to rebuild whole methods with plain torch."""

import torch
from torch.nn import functional as F  # noqa: N812

CLOSE = {"rtol": 1e-4, "atol": 1e-6}  # float32 sums in another order


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def net(cast, role, x):
    """(map1, map2, map3, logits) of a tiny CNN."""
    x, found = cast.adapter_of(role).prepare(x), []
    for name in ("layer1", "layer2", "layer3"):
        x = cast[role].get_submodule(name)(x)
        found.append(x)
    return (*found, cast[role].linear(x.mean((2, 3))))


def soft(student, teacher, temperature):
    """T^2 KL by torch's own."""
    log_p, log_q = (F.log_softmax(z / temperature, 1) for z in (teacher, student))
    return temperature**2 * F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


def agree(means, expected):
    assert means.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(means[name].detach(), torch.as_tensor(value).detach(), **CLOSE)


def weights(method):
    return {t.name: t.weight for _, _, t in method.terms()}
