"""Losses on a discriminator's answer; the shape of the values is that of the logits."""
# ruff: noqa: F722, F821

import torch  # noqa: F401  doctests
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from limbeck.losses.traits import loss
from limbeck.numerics import upcast

GAN = "Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661"
SQUARES = "Mao et al. 2017 (LSGAN), https://arxiv.org/abs/1611.04076"


@loss(minimum=None, source=GAN)
def real(logit: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Binary cross-entropy to "real": −log σ(x) = log(1 + e^−x). Tends to 0 as x grows; never reaches it.

    logit: the discriminator's answer x, any shape. The learner who wants to be taken for real uses it too.

    >>> real(torch.tensor([0.0]))
    tensor([0.6931])
    """
    return softplus(-upcast(logit))


@loss(minimum=None, source=GAN)
def fake(logit: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Binary cross-entropy to "fake": −log(1 − σ(x)) = log(1 + e^x).

    logit: the discriminator's answer x, any shape.

    >>> fake(torch.tensor([0.0]))
    tensor([0.6931])
    """
    return softplus(upcast(logit))


@loss(minimum=None, source=SQUARES)
def real_squares(score: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Least squares to "real": (1 − x)², zero at x = 1.

    score: the discriminator's answer, any shape; AFD puts a sigmoid before it, LSGAN nothing.

    >>> real_squares(torch.tensor([0.5]))
    tensor([0.2500])
    """
    return (1 - upcast(score)).square()


@loss(minimum=None, source=SQUARES)
def fake_squares(score: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Least squares to "fake": x², zero at x = 0.

    score: the discriminator's answer, any shape.

    >>> fake_squares(torch.tensor([0.5]))
    tensor([0.2500])
    """
    return upcast(score).square()
